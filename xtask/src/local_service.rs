//! A BigQuery service on this machine: its configuration files, its ports, and how it is started.

use std::{
    fs::File,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{
    process::{program, write},
    target,
};

/// Issuer and audience in the service's authentication file.
pub(crate) const ISSUER: &str = "https://demo.example.com";
pub(crate) const AUDIENCE: &str = "connectors";

/// The service's configuration files and its log.
pub(crate) struct Files {
    pub(crate) auth: PathBuf,
    /// What the issuer signs tokens with.
    pub(crate) secret: PathBuf,
    handle_key: PathBuf,
    pub(crate) log: PathBuf,
}

impl Files {
    /// Writes them to `directory`, below `target/`.
    pub(crate) fn create(directory: &str) -> Result<Self> {
        let directory = target(directory);
        let files = Self {
            auth: directory.join("auth.yaml"),
            secret: directory.join("issuer.secret"),
            handle_key: directory.join("handle.key"),
            log: directory.join("bigquery.log"),
        };
        write(&files.secret, hex(&random::<32>()?))?;
        write(&files.handle_key, random::<32>()?)?;
        let auth = format!(
            "issuers:\n\
             \x20 - name: demo\n\
             \x20   issuer: {ISSUER}\n\
             \x20   audiences: [{AUDIENCE}]\n\
             \x20   key: {{hs256_secret_file: {}}}\n\
             rules:\n\
             \x20 - {{issuer: demo, sub: propeller, role: propeller}}\n\
             \x20 - {{issuer: demo, role: user}}\n",
            files.secret.display()
        );
        write(&files.auth, auth)?;
        Ok(files)
    }

    /// The arguments and the environment of the service at `binary`, with authentication on, in front of
    /// `upstream`.
    pub(crate) fn service(
        &self,
        binary: &Path,
        upstream: &str,
        api: SocketAddr,
        admin: SocketAddr,
    ) -> Command {
        let mut service = self.listening(binary, api, admin);
        service
            .arg(format!("--endpoint={upstream}"))
            // The fake is also Google's metadata server, from which the service gets its own identity as
            // it would on Google Cloud.
            .env("GCE_METADATA_HOST", upstream.trim_start_matches("http://"))
            // Do not pick up the credentials of the person who runs it.
            .env_remove("GOOGLE_APPLICATION_CREDENTIALS")
            .env_remove("HOME");
        service
    }
}

impl Files {
    /// The arguments of any service at `binary`, with authentication on.
    pub(crate) fn listening(&self, binary: &Path, api: SocketAddr, admin: SocketAddr) -> Command {
        let mut service = program(binary);
        service
            .arg(format!("--listen={api}"))
            .arg(format!("--admin-listen={admin}"))
            .arg(format!("--auth={}", self.auth.display()))
            .arg(format!("--handle-keys={}", self.handle_key.display()));
        service
    }
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    let mut source = File::open("/dev/urandom").context("cannot open /dev/urandom")?;
    std::io::Read::read_exact(&mut source, &mut bytes)?;
    Ok(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `preferred` on loopback, or any free port if that one is taken.
pub(crate) fn free_address(preferred: u16) -> Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", preferred))
        .or_else(|_| TcpListener::bind(("127.0.0.1", 0)))
        .context("no free port on loopback")?;
    Ok(listener.local_addr()?)
}
