//! TLS by files: the certificate that a port shows, and the authorities that calls trust.

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

pub use self::authorities::Authorities;
pub use self::authorities::client_config;
use crate::{Error, Result, digest::sha256};

/// How often the files are looked at. Kubernetes takes a minute to bring a changed one.
const LOOK_EVERY: Duration = Duration::from_secs(10);

type Digest = [u8; 32];

/// What is made of files that somebody renews.
trait FromFiles: Send + Sync {
    /// The file that log lines name.
    fn file(&self) -> &Path;

    /// Takes what the files hold now, unless that is what `known` is the digest of; its own digest.
    fn read_again(&self, known: Digest) -> impl Future<Output = Result<Option<Digest>>> + Send;
}

/// Reads the files again when they change, until `stop`. Files that are wrong, or do not belong
/// together, change nothing and are logged.
async fn keep_fresh(files: &impl FromFiles, mut digest: Digest, stop: &CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_some() {
        match files.read_again(digest).await {
            Ok(None) => {}
            Ok(Some(new)) => {
                digest = new;
                tracing::info!(file = %files.file().display(), "the certificate was renewed");
            }
            Err(error) => tracing::warn!(
                %error,
                cause = error.chain(),
                "the certificate could not be read again: the former one serves on"
            ),
        }
    }
}

/// A certificate and its key, read again whenever the files change.
#[derive(Debug)]
pub struct ServerCertificate {
    certificate: PathBuf,
    key: PathBuf,
    current: ArcSwap<ServerConfig>,
    /// Of both files, as they were at first.
    digest: Digest,
}

/// What both files held at one time.
struct Files {
    certificate: Vec<u8>,
    key: SecretSlice<u8>,
}

impl ServerCertificate {
    /// Reads a chain of certificates, the server's own first, and its private key, both in PEM.
    ///
    /// # Errors
    /// `InvalidArgument` that names the file.
    pub async fn read(certificate: PathBuf, key: PathBuf) -> Result<Self> {
        let files = Files::read(&certificate, &key).await?;
        let current = ArcSwap::from(files.config(&certificate, &key)?);
        Ok(Self { digest: files.digest(), certificate, key, current })
    }

    /// What handshakes are made with now.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.current.load_full()
    }

    /// Reads the files again when they change, until `stop`. Files that are wrong, or do not belong
    /// together, change nothing and are logged.
    pub async fn keep_fresh(self: Arc<Self>, stop: CancellationToken) {
        keep_fresh(&*self, self.digest, &stop).await;
    }
}

impl FromFiles for ServerCertificate {
    fn file(&self) -> &Path {
        &self.certificate
    }

    async fn read_again(&self, known: Digest) -> Result<Option<Digest>> {
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
        let private = PrivateKeyDer::from_pem_slice(self.key.expose_secret())
            .map_err(|error| wrong(key, "holds no private key in PEM").with_source(error))?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(Error::internal)?
            .with_no_client_auth()
            .with_single_cert(chain, private)
            .map_err(|error| {
                let pair = format!("and the key {} do not belong together", key.display());
                wrong(certificate, &pair).with_source(error)
            })?;
        // gRPC is HTTP/2 alone, REST either.
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    const NONE: &str = "holds no certificate in PEM";
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => Err(wrong(path, NONE)),
        Err(error) => Err(wrong(path, NONE).with_source(error)),
    }
}

async fn read(path: &Path) -> Result<Vec<u8>> {
    let read = tokio::fs::read(path).await;
    read.map_err(|error| wrong(path, "cannot be read").with_source(error))
}

fn wrong(path: &Path, what: &str) -> Error {
    Error::invalid(format!("{} {what}", path.display()))
}

#[cfg(test)]
mod tests;
