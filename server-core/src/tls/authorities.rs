//! The authorities that calls trust.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio_rustls::rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};
use tokio_util::sync::CancellationToken;

use super::{Digest, FromFiles, certificates, keep_fresh, provider, read, wrong};
use crate::{Error, Result, digest::sha256};

/// What calls over HTTP/2 trust: the authorities in a file and no others, read again whenever it
/// changes, or the system's.
#[derive(Debug)]
pub struct Authorities {
    current: ArcSwap<ClientConfig>,
    /// The file, and the digest of what it held at first.
    file: Option<(PathBuf, Digest)>,
}

impl Authorities {
    /// Reads certificates in PEM from `ca_file` or, without it, takes the system's.
    ///
    /// # Errors
    /// `InvalidArgument` that names the file; `Internal` if the system has no authorities.
    pub async fn read(ca_file: Option<&Path>) -> Result<Self> {
        let Some(path) = ca_file else {
            let config = builder()?.with_platform_verifier().map_err(Error::internal)?;
            let current = ArcSwap::from(speaking_http2(config.with_no_client_auth()));
            return Ok(Self { current, file: None });
        };
        let pem = read(path).await?;
        let current = ArcSwap::from(trusting(path, &pem)?);
        Ok(Self { current, file: Some((path.to_owned(), sha256(&[&pem]))) })
    }

    /// What handshakes are made with now.
    pub fn config(&self) -> Arc<ClientConfig> {
        self.current.load_full()
    }

    /// Reads the file again when it changes, until `stop`. One that is wrong changes nothing and is
    /// logged. The system's are read once.
    pub async fn keep_fresh(self: Arc<Self>, stop: CancellationToken) {
        if let Some((path, digest)) = &self.file {
            keep_fresh(&CaFile { path, authorities: &self }, *digest, &stop).await;
        }
    }
}

/// What a program trusts that soon ends.
///
/// # Errors
/// As of [`Authorities::read`].
pub async fn client_config(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>> {
    Ok(Authorities::read(ca_file).await?.config())
}

/// The file that authorities are from.
struct CaFile<'a> {
    path: &'a Path,
    authorities: &'a Authorities,
}

impl FromFiles for CaFile<'_> {
    fn file(&self) -> &Path {
        self.path
    }

    async fn read_again(&self, known: Digest) -> Result<Option<Digest>> {
        let pem = read(self.path).await?;
        let digest = sha256(&[&pem]);
        if digest == known {
            return Ok(None);
        }
        self.authorities.current.store(trusting(self.path, &pem)?);
        Ok(Some(digest))
    }
}

fn trusting(path: &Path, pem: &[u8]) -> Result<Arc<ClientConfig>> {
    let config = builder()?.with_root_certificates(roots(path, pem)?).with_no_client_auth();
    Ok(speaking_http2(config))
}

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>> {
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(Error::internal)
}

fn speaking_http2(mut config: ClientConfig) -> Arc<ClientConfig> {
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config)
}

fn roots(path: &Path, pem: &[u8]) -> Result<RootCertStore> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(path, pem)? {
        store
            .add(certificate)
            .map_err(|error| wrong(path, "holds no authority's certificate").with_source(error))?;
    }
    Ok(store)
}
