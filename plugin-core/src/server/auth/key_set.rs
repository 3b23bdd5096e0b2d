//! Sets of keys that verify signatures, and the files and key sets they are read from.

use std::path::Path;

use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use server_core::{Error, Result};
use tokio::time::Instant;

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

pub(super) fn secret(path: &Path) -> Result<Key> {
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

pub(super) fn pem(path: &Path, algorithms: &[Algorithm]) -> Result<Key> {
    let pem = read(path)?;
    let decoding = algorithms.iter().find_map(|algorithm| match algorithm.family() {
        AlgorithmFamily::Rsa => DecodingKey::from_rsa_pem(&pem).ok(),
        AlgorithmFamily::Ec => DecodingKey::from_ec_pem(&pem).ok(),
        AlgorithmFamily::Ed => DecodingKey::from_ed_pem(&pem).ok(),
        AlgorithmFamily::Hmac => None,
    });
    let decoding = decoding.ok_or_else(|| {
        let names = algorithms.iter().map(|algorithm| format!("{algorithm:?}")).collect::<Vec<_>>();
        let (file, names) = (path.display(), names.join(" or "));
        Error::invalid(format!("{file}: no public key for {names} in PEM"))
    })?;
    Ok(Key { kid: None, decoding })
}

/// Parses a key set. Unusable keys are skipped, so that one of them does not disable the others.
pub(super) fn parse_set(json: &[u8]) -> Result<Vec<Key>> {
    #[derive(serde::Deserialize)]
    struct Set {
        keys: Vec<serde_json::Value>,
    }
    let no_set = |error| Error::unavailable("not a JSON Web Key Set").with_source(error);
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
