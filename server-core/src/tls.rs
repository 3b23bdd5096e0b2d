//! TLS from files: a server's certificate, and the certificate authorities that clients trust.

mod authorities;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use secrecy::{ExposeSecret as _, SecretSlice};
use tokio_rustls::rustls::{
    ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio_util::sync::CancellationToken;

pub use self::authorities::{
    Authorities, client_config, distrusting_client_config, system_client_config,
};
use crate::{Error, Result, digest::sha256};

/// How often files are checked for changes. Kubernetes takes about a minute to update a mounted file.
const CHECK_INTERVAL: Duration = Duration::from_secs(10);

type Digest = [u8; 32];

/// Configuration made from files that are renewed while the program runs.
trait Reload: Send + Sync {
    /// The file that log lines name.
    fn file(&self) -> &Path;

    /// Applies the files' current contents and returns their digest; `None` if it is still `known`.
    fn reload(&self, known: Digest) -> impl Future<Output = Result<Option<Digest>>> + Send;
}

/// Reloads files when they change, until `stop`. Invalid files are logged and change nothing.
async fn keep_fresh(files: &impl Reload, mut digest: Digest, stop: &CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(CHECK_INTERVAL)).await.is_some() {
        match files.reload(digest).await {
            Ok(None) => {}
            Ok(Some(new)) => {
                digest = new;
                tracing::info!(file = %files.file().display(), "certificate reloaded");
            }
            Err(error) => tracing::warn!(
                %error,
                cause = error.chain(),
                "cannot reload the certificate; still serving the previous one"
            ),
        }
    }
}

/// A certificate and its private key, reloaded when the files change.
#[derive(Debug)]
pub struct ServerCertificate {
    certificate: PathBuf,
    key: PathBuf,
    current: ArcSwap<ServerConfig>,
    /// The digest of both files as first read.
    digest: Digest,
}

/// The contents of both files.
struct Files {
    certificate: Vec<u8>,
    key: SecretSlice<u8>,
}

impl ServerCertificate {
    /// Reads a certificate chain, the server's own first, and its private key, both in PEM.
    ///
    /// # Errors
    /// `InvalidArgument` that names the file.
    pub async fn read(certificate: PathBuf, key: PathBuf) -> Result<Self> {
        let files = Files::read(&certificate, &key).await?;
        let current = ArcSwap::from(files.config(&certificate, &key)?);
        Ok(Self { digest: files.digest(), certificate, key, current })
    }

    /// The current configuration for handshakes.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.current.load_full()
    }

    /// Reloads the files when they change, until `stop`. Invalid files, and a key that does not match the
    /// certificate, are logged and change nothing.
    pub async fn keep_fresh(self: Arc<Self>, stop: CancellationToken) {
        keep_fresh(&*self, self.digest, &stop).await;
    }
}

impl Reload for ServerCertificate {
    fn file(&self) -> &Path {
        &self.certificate
    }

    async fn reload(&self, known: Digest) -> Result<Option<Digest>> {
        let files = Files::read(&self.certificate, &self.key).await?;
        let digest = files.digest();
        if digest == known {
            return Ok(None);
        }
        self.current.store(files.config(&self.certificate, &self.key)?);
        Ok(Some(digest))
    }
}

impl Files {
    async fn read(certificate: &Path, key: &Path) -> Result<Self> {
        Ok(Self { certificate: read(certificate).await?, key: read(key).await?.into() })
    }

    fn digest(&self) -> Digest {
        sha256(&[&sha256(&[&self.certificate]), &sha256(&[self.key.expose_secret()])])
    }

    fn config(&self, certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>> {
        let chain = certificates(certificate, &self.certificate)?;
        let private = PrivateKeyDer::from_pem_slice(self.key.expose_secret()).map_err(|error| {
            invalid(key, "does not contain a private key in PEM").with_source(error)
        })?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(Error::internal)?
            .with_no_client_auth()
            .with_single_cert(chain, private)
            .map_err(|error| {
                let mismatch = format!("does not match the private key {}", key.display());
                invalid(certificate, &mismatch).with_source(error)
            })?;
        // gRPC needs HTTP/2; REST works over both.
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    const NONE: &str = "does not contain a certificate in PEM";
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => Err(invalid(path, NONE)),
        Err(error) => Err(invalid(path, NONE).with_source(error)),
    }
}

async fn read(path: &Path) -> Result<Vec<u8>> {
    let read = tokio::fs::read(path).await;
    read.map_err(|error| invalid(path, "cannot be read").with_source(error))
}

fn invalid(path: &Path, problem: &str) -> Error {
    Error::invalid(format!("{} {problem}", path.display()))
}

#[cfg(test)]
mod tests;
