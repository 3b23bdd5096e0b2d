//! Sets of keys that verify signatures, and the files and key sets they are read from.

use std::path::Path;

use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use secrecy::{ExposeSecret as _, SecretSlice};
use serde_json::Value as Json;
use server_core::{Error, Result};
use tokio::time::Instant;

use super::jwk::{Key, Unusable, check_strength};

const MAX_KEYS: usize = 64;
/// How every PEM file begins.
const PEM: &str = "-----BEGIN ";

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
        let named = |key: &&Key| kid.is_none_or(|kid| key.matches(kid));
        self.keys.iter().filter(fits).filter(named).take(MAX_CANDIDATES).cloned().collect()
    }

    pub(super) fn knows(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.matches(kid))
    }
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path)
        .map_err(|error| Error::invalid(format!("{} cannot be read: {error}", path.display())))
}

/// Reads a shared secret.
pub(super) fn secret(path: &Path) -> Result<Key> {
    Ok(Key::without_id(DecodingKey::from_secret(shared_secret(path)?.expose_secret())))
}

/// Reads the secret that a service shares with the issuer of HS256 tokens: the bytes of the file. Text may end in
/// one line break, which is not part of the secret.
///
/// # Errors
/// `InvalidArgument` if the file cannot be read, is shorter than 32 bytes, or is one that issuers publish.
pub fn shared_secret(path: &Path) -> Result<SecretSlice<u8>> {
    /// RFC 7518 §3.2: at least as long as the hash.
    const MIN_BYTES: usize = 32;
    let bytes = read(path)?;
    let secret = without_line_break(&bytes);
    let wrong = |why: String| Err(Error::invalid(format!("{}: {why}", path.display())));
    if is_published(secret) {
        return wrong("this is a public key or a certificate, which anybody may know; give it as pem_file or jwks_file".to_owned());
    }
    if secret.len() < MIN_BYTES {
        let length = secret.len();
        return wrong(format!(
            "a secret needs at least {MIN_BYTES} bytes and this has {length}; make one with outrigger token new-key FILE"
        ));
    }
    Ok(secret.to_vec().into())
}

/// `bytes` without the line break that editors add to text. Random bytes stay as they are: their last one
/// may look like a line break.
fn without_line_break(bytes: &[u8]) -> &[u8] {
    let line = bytes.strip_suffix(b"\n").map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let is_text =
        |line: &&[u8]| str::from_utf8(line).is_ok_and(|text| !text.contains(char::is_control));
    line.filter(is_text).unwrap_or(bytes)
}

/// Whether this is a file that issuers publish: as a secret, it would let anyone sign.
fn is_published(secret: &[u8]) -> bool {
    let json = serde_json::from_slice::<Json>(secret);
    secret.trim_ascii_start().starts_with(PEM.as_bytes()) || json.is_ok_and(|json| json.is_object())
}

/// Reads one public key, of a type that `algorithms` use.
pub(super) fn pem(path: &Path, algorithms: &[Algorithm]) -> Result<Key> {
    let pem = read(path)?;
    let file = path.display();
    if String::from_utf8_lossy(&pem).contains("PRIVATE KEY-----") {
        return Err(Error::invalid(format!(
            "{file}: this is a private key, with which anyone who reads it can sign; give the public one \
             (openssl pkey -pubout)"
        )));
    }
    let decoding = algorithms.iter().find_map(|algorithm| match algorithm.family() {
        AlgorithmFamily::Rsa => DecodingKey::from_rsa_pem(&pem).ok(),
        AlgorithmFamily::Ec => DecodingKey::from_ec_pem(&pem).ok(),
        AlgorithmFamily::Ed => DecodingKey::from_ed_pem(&pem).ok(),
        AlgorithmFamily::Hmac => None,
    });
    let decoding = decoding.ok_or_else(|| {
        let names = algorithms.iter().map(|algorithm| format!("{algorithm:?}")).collect::<Vec<_>>();
        let names = names.join(" or ");
        Error::invalid(format!("{file}: no public key for {names} in PEM"))
    })?;
    match check_strength(&decoding) {
        Ok(()) => Ok(Key::without_id(decoding)),
        Err(Unusable::Unsafe(why)) => Err(Error::invalid(format!("{file}: {why}"))),
        Err(Unusable::Other) => Err(Error::invalid(format!("{file}: the key cannot be read"))),
    }
}

/// Reads a key set of the operator's own: unsafe keys are refused, keys for other purposes skipped.
pub(super) fn set_file(path: &Path) -> Result<Vec<Key>> {
    let about = |error: Error| error.about(&path.display().to_string());
    let mut keys = Vec::new();
    for key in members(&read(path)?).map_err(about)? {
        match Key::read(&key) {
            Ok(key) => keys.push(key),
            Err(Unusable::Other) => {}
            Err(Unusable::Unsafe(why)) => {
                return Err(about(Error::invalid(format!("the key {}: {why}", name(&key)))));
            }
        }
    }
    if keys.is_empty() {
        return Err(about(Error::invalid("no key of the set may verify signatures")));
    }
    Ok(keys)
}

/// Reads a key set that `issuer` publishes. Unusable keys are skipped, so that one of them does not disable
/// the others; there may be no usable one.
///
/// # Errors
/// `Unavailable` if this is not a key set, or one without any key, which is a broken issuer's.
pub(super) fn published_set(json: &[u8], issuer: &str) -> Result<Vec<Key>> {
    let members = members(json)?;
    if members.is_empty() {
        return Err(Error::unavailable("the key set has no key"));
    }
    let usable = members.iter().filter_map(|key| match Key::read(key) {
        Ok(usable) => Some(usable),
        Err(Unusable::Other) => None,
        Err(Unusable::Unsafe(why)) => {
            tracing::warn!(issuer, key = name(key), why, "a published key is not used");
            None
        }
    });
    Ok(usable.collect())
}

fn members(json: &[u8]) -> Result<Vec<Json>> {
    #[derive(serde::Deserialize)]
    struct Set {
        keys: Vec<Json>,
    }
    let no_set = |error| Error::unavailable("not a JSON Web Key Set").with_source(error);
    let mut set: Set = serde_json::from_slice(json).map_err(no_set)?;
    set.keys.truncate(MAX_KEYS);
    Ok(set.keys)
}

/// The key's id, for messages.
fn name(key: &Json) -> String {
    const MAX_CHARS: usize = 60;
    let kid = key.get("kid").and_then(Json::as_str).unwrap_or("without kid");
    kid.chars().take(MAX_CHARS).filter(|c| !c.is_control()).collect()
}
