//! The certificate authorities that clients trust.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use arc_swap::ArcSwap;
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio_rustls::rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};
use tokio_util::sync::CancellationToken;

use super::{Digest, Reload, certificates, invalid, keep_fresh, provider, read};
use crate::{Error, Result, digest::sha256};

/// The certificate authorities that HTTP/2 clients trust: only those in a file, which is reloaded when it
/// changes, or the system's.
#[derive(Debug)]
pub struct Authorities {
    current: ArcSwap<ClientConfig>,
    /// The file, and the digest of its contents as first read.
    file: Option<(PathBuf, Digest)>,
}

impl Authorities {
    /// Reads certificates in PEM from `ca_file`; without it, uses the system's.
    ///
    /// # Errors
    /// `InvalidArgument` that names the file; `Internal` if the system has no certificate authorities.
    pub async fn read(ca_file: Option<&Path>) -> Result<Self> {
        let Some(path) = ca_file else {
            let current = ArcSwap::from(with_http2(system_client_config()?));
            return Ok(Self { current, file: None });
        };
        let pem = read(path).await?;
        let current = ArcSwap::from(client_config_of(path, &pem)?);
        Ok(Self { current, file: Some((path.to_owned(), sha256(&[&pem]))) })
    }

    /// The current configuration for handshakes.
    pub fn config(&self) -> Arc<ClientConfig> {
        self.current.load_full()
    }

    /// Reloads the file when it changes, until `stop`. An invalid file is logged and changes nothing. The
    /// system's authorities are read once.
    pub async fn keep_fresh(self: Arc<Self>, stop: CancellationToken) {
        if let Some((path, digest)) = &self.file {
            keep_fresh(&CaFile { path, authorities: &self }, *digest, &stop).await;
        }
    }
}

/// The configuration of a short-lived client, which does not reload `ca_file`.
///
/// # Errors
/// As for [`Authorities::read`].
pub async fn client_config(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>> {
    Ok(Authorities::read(ca_file).await?.config())
}

/// The configuration of a client that trusts the system's certificate authorities, without protocols (ALPN). They
/// are read once, for all clients of the process: a system has hundreds.
///
/// # Errors
/// `Internal` if the system has no certificate authorities.
pub fn system_client_config() -> Result<ClientConfig> {
    static CONFIG: OnceLock<ClientConfig> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(config.clone());
    }
    let config = builder()?.with_platform_verifier().map_err(Error::internal)?;
    Ok(CONFIG.get_or_init(|| config.with_no_client_auth()).clone())
}

/// The configuration of a client that trusts nobody: of one that needs none, because it makes no call over TLS.
///
/// # Errors
/// `Internal` if TLS is not available.
pub fn distrusting_client_config() -> Result<ClientConfig> {
    Ok(builder()?.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

/// The file that certificate authorities are read from.
struct CaFile<'a> {
    path: &'a Path,
    authorities: &'a Authorities,
}

impl Reload for CaFile<'_> {
    fn file(&self) -> &Path {
        self.path
    }

    async fn reload(&self, known: Digest) -> Result<Option<Digest>> {
        let pem = read(self.path).await?;
        let digest = sha256(&[&pem]);
        if digest == known {
            return Ok(None);
        }
        self.authorities.current.store(client_config_of(self.path, &pem)?);
        Ok(Some(digest))
    }
}

fn client_config_of(path: &Path, pem: &[u8]) -> Result<Arc<ClientConfig>> {
    let config = builder()?.with_root_certificates(roots(path, pem)?).with_no_client_auth();
    Ok(with_http2(config))
}

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>> {
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(Error::internal)
}

fn with_http2(mut config: ClientConfig) -> Arc<ClientConfig> {
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config)
}

fn roots(path: &Path, pem: &[u8]) -> Result<RootCertStore> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(path, pem)? {
        store
            .add(certificate)
            .map_err(|error| invalid(path, "has an unusable CA certificate").with_source(error))?;
    }
    Ok(store)
}
