//! The keys of an issuer: from a file, or published and refreshed.

use std::{path::Path, sync::Arc};

use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use server_core::{Error, Result};
use tokio::time::Instant;

use super::{
    config::{IssuerFile, KeyFile},
    metrics::Metrics,
    published::{Published, Unavailable},
};

const MAX_KEYS: usize = 64;

/// A key that verifies signatures.
#[derive(Clone)]
pub(super) struct Key {
    kid: Option<String>,
    pub(super) decoding: DecodingKey,
}

impl Key {
    fn fits(&self, algorithm: Algorithm) -> bool {
        self.decoding.family() == algorithm.family()
    }
}

/// A version of an issuer's keys.
pub(super) struct KeySet {
    pub(super) keys: Vec<Key>,
    pub(super) generation: u64,
    /// The digest of the issuer's response.
    pub(super) digest: [u8; 32],
    pub(super) loaded_at: Instant,
}

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
        let keys = match &issuer.key {
            Some(KeyFile::Hs256(path)) => vec![secret(path)?],
            Some(KeyFile::Pem(path)) => vec![pem(path, &issuer.allowed_algorithms())?],
            Some(KeyFile::Jwks(path)) => parse_set(&read(path)?)?,
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

    /// The keys that may have signed a token: the one it names, or all that fit its algorithm.
    pub(super) async fn candidates(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Vec<Key>, Unavailable> {
        match self {
            Self::Fixed(set) => Ok(set.candidates(kid, algorithm)),
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

impl KeySet {
    pub(super) fn candidates(&self, kid: Option<&str>, algorithm: Algorithm) -> Vec<Key> {
        /// Without a key id every key is tried. This limits the work that a caller can cause.
        const MAX_CANDIDATES: usize = 8;
        let fits = |key: &&Key| key.fits(algorithm);
        // A key without an id, from a PEM or secret file, matches any key id.
        let named = |key: &&Key| match (kid, &key.kid) {
            (Some(kid), Some(known)) => kid == known,
            (None, _) | (_, None) => true,
        };
        self.keys.iter().filter(fits).filter(named).take(MAX_CANDIDATES).cloned().collect()
    }

    pub(super) fn knows(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.kid.as_deref() == Some(kid))
    }
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path)
        .map_err(|error| Error::invalid(format!("{} cannot be read: {error}", path.display())))
}

fn secret(path: &Path) -> Result<Key> {
    /// RFC 7518 §3.2: at least as long as the hash.
    const MIN_BYTES: usize = 32;
    let bytes = read(path)?;
    // Editors add a trailing line break, which is not part of the secret.
    let secret = bytes.trim_ascii_end();
    if secret.len() < MIN_BYTES {
        let name = path.display();
        return Err(Error::invalid(format!("{name}: a secret needs at least {MIN_BYTES} bytes")));
    }
    Ok(Key { kid: None, decoding: DecodingKey::from_secret(secret) })
}

fn pem(path: &Path, algorithms: &[Algorithm]) -> Result<Key> {
    let pem = read(path)?;
    let decoding = algorithms.iter().find_map(|algorithm| match algorithm.family() {
        AlgorithmFamily::Rsa => DecodingKey::from_rsa_pem(&pem).ok(),
        AlgorithmFamily::Ec => DecodingKey::from_ec_pem(&pem).ok(),
        AlgorithmFamily::Ed => DecodingKey::from_ed_pem(&pem).ok(),
        AlgorithmFamily::Hmac => None,
    });
    let decoding = decoding.ok_or_else(|| {
        Error::invalid(format!("{}: no public key for {algorithms:?} in PEM", path.display()))
    })?;
    Ok(Key { kid: None, decoding })
}

/// Parses a key set. Unusable keys are skipped, so that one of them does not disable the others.
pub(super) fn parse_set(json: &[u8]) -> Result<Vec<Key>> {
    #[derive(serde::Deserialize)]
    struct Set {
        keys: Vec<serde_json::Value>,
    }
    let no_set =
        |error| Error::unavailable("the response is not a JSON Web Key Set").with_source(error);
    let set: Set = serde_json::from_slice(json).map_err(no_set)?;
    let usable = set.keys.into_iter().take(MAX_KEYS).filter_map(|key| {
        let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_value(key).ok()?;
        let decoding = DecodingKey::from_jwk(&jwk).ok()?;
        // A published shared secret would let anyone sign.
        (decoding.family() != AlgorithmFamily::Hmac)
            .then_some(Key { kid: jwk.common.key_id, decoding })
    });
    let keys = usable.collect::<Vec<_>>();
    if keys.is_empty() {
        return Err(Error::unavailable("the key set has no usable key"));
    }
    Ok(keys)
}
