//! The keys of an issuer: from a file, or published and refreshed.

use std::sync::Arc;

use jsonwebtoken::Algorithm;
use server_core::Result;
use tokio::time::Instant;

use super::{
    config::{IssuerFile, KeyFile},
    jwk::Key,
    key_set::{KeySet, pem, secret, set_file},
    metrics::Metrics,
    published::{Published, Unavailable},
};

/// The keys of an issuer.
pub(super) enum Keys {
    Fixed(Arc<KeySet>),
    Published(Box<Published>),
}

impl Keys {
    pub(super) fn new(issuer: &IssuerFile, metrics: &Arc<Metrics>) -> Result<Self> {
        if let Some(jwks) = &issuer.jwks {
            let published = Published::new(&issuer.name, jwks, Arc::clone(metrics))?;
            return Ok(Self::Published(Box::new(published)));
        }
        let about = |key: &str| format!("issuers.{}.key.{key}", issuer.name);
        let keys = match &issuer.key {
            Some(KeyFile::Hs256(path)) => {
                vec![secret(path).map_err(|error| error.about(&about("hs256_secret_file")))?]
            }
            Some(KeyFile::Pem(path)) => {
                let key = pem(path, &issuer.allowed_algorithms());
                vec![key.map_err(|error| error.about(&about("pem_file")))?]
            }
            Some(KeyFile::Jwks(path)) => {
                set_file(path).map_err(|error| error.about(&about("jwks_file")))?
            }
            None => Vec::new(),
        };
        Ok(Self::Fixed(Arc::new(KeySet {
            keys,
            generation: 0,
            digest: [0; 32],
            loaded_at: Instant::now(),
        })))
    }

    /// Whether any key is available.
    pub(super) fn is_ready(&self) -> bool {
        match self {
            Self::Fixed(_) => true,
            Self::Published(published) => published.usable().is_some(),
        }
    }

    /// The current version of the keys. A token verified with another must be verified again.
    pub(super) fn generation(&self) -> Option<u64> {
        match self {
            Self::Fixed(set) => Some(set.generation),
            Self::Published(published) => published.usable().map(|set| set.generation),
        }
    }

    /// The keys that may have signed a token: the one it names, or all that fit its algorithm. With their
    /// version: the current one may be another by the time that the token is verified.
    pub(super) async fn candidates(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<(Vec<Key>, u64), Unavailable> {
        match self {
            Self::Fixed(set) => Ok((set.candidates(kid, algorithm), set.generation)),
            Self::Published(published) => published.candidates(kid, algorithm).await,
        }
    }

    /// Keeps published keys fresh until cancelled.
    pub(super) async fn keep_fresh(&self) {
        match self {
            Self::Fixed(_) => {}
            Self::Published(published) => published.keep_fresh().await,
        }
    }
}

#[cfg(test)]
mod tests;
