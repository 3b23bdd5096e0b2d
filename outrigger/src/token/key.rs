//! The key that signs a token, from a file.

use std::path::Path;

use anyhow::{Result, anyhow};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::{ExposeSecret as _, SecretSlice};
use serde_json::{Map, Value as Json};
use xtask::exit::usage;

use crate::bounded::read_at_most;

/// How every PEM file begins.
const PEM: &[u8] = b"-----BEGIN ";

/// The longest key, in bytes: more than any has.
const MAX_BYTES: u64 = 64 << 10;

/// A key that signs, with the algorithms that it can be used with: the default comes first.
pub(crate) struct SigningKey {
    key: EncodingKey,
    algorithms: &'static [Algorithm],
}

const SHARED: &[Algorithm] = &[Algorithm::HS256];
const RSA: &[Algorithm] = &[
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];
const ECDSA: &[Algorithm] = &[Algorithm::ES256, Algorithm::ES384];
const EDDSA: &[Algorithm] = &[Algorithm::EdDSA];

impl SigningKey {
    /// Every algorithm that some kind of key can be used with.
    pub(crate) fn every_algorithm() -> impl Iterator<Item = Algorithm> {
        [RSA, ECDSA, EDDSA, SHARED].into_iter().flatten().copied()
    }

    /// Reads a key: a private key in PEM, or a shared secret, which is the file's bytes.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let about = |why: &str| usage(format!("--key-file {}: {why}", path.display()));
        let bytes = std::fs::File::open(path)
            .and_then(|file| read_at_most(file, MAX_BYTES))
            .map_err(|error| about(&format!("cannot be read: {error}")))?;
        let bytes = bytes.ok_or_else(|| about("is too large for a key"))?;
        let bytes = SecretSlice::from(bytes);
        if !bytes.expose_secret().trim_ascii_start().starts_with(PEM) {
            // The service reads the same secret by the same rules.
            let secret =
                plugin_core::shared_secret(path).map_err(|error| usage(error.to_string()))?;
            let key = EncodingKey::from_secret(secret.expose_secret());
            return Ok(Self { key, algorithms: SHARED });
        }
        private(bytes.expose_secret()).ok_or_else(|| about(why_not(bytes.expose_secret())))
    }

    /// Signs a token with `algorithm`, by default the key's own.
    pub(crate) fn sign(
        &self,
        header: &Header,
        algorithm: Option<Algorithm>,
        claims: &Map<String, Json>,
    ) -> Result<(String, Algorithm)> {
        if let Some(wrong) = algorithm.filter(|wanted| !self.algorithms.contains(wanted)) {
            let fitting = self.algorithms.iter().map(|it| format!("{it:?}")).collect::<Vec<_>>();
            let fitting = fitting.join(", ");
            return Err(usage(format!("--algorithm {wrong:?} does not fit this key: {fitting}")));
        }
        // Which curve a key of ECDSA is on shows when it signs.
        for alg in self.algorithms.iter().copied() {
            if algorithm.is_some_and(|wanted| wanted != alg) {
                continue;
            }
            let header = Header { alg, ..header.clone() };
            if let Ok(token) = jsonwebtoken::encode(&header, claims, &self.key) {
                return Ok((token, alg));
            }
        }
        Err(anyhow!("the key cannot sign with {}", named(algorithm, self.algorithms)))
    }
}

fn named(wanted: Option<Algorithm>, algorithms: &[Algorithm]) -> String {
    let algorithms = wanted.map_or_else(|| algorithms.to_vec(), |wanted| vec![wanted]);
    algorithms.iter().map(|it| format!("{it:?}")).collect::<Vec<_>>().join(" or ")
}

/// A private key in PEM.
fn private(pem: &[u8]) -> Option<SigningKey> {
    let found = |key, algorithms| Some(SigningKey { key, algorithms });
    if let Ok(key) = EncodingKey::from_rsa_pem(pem) {
        return found(key, RSA);
    }
    if let Ok(key) = EncodingKey::from_ec_pem(pem) {
        return found(key, ECDSA);
    }
    found(EncodingKey::from_ed_pem(pem).ok()?, EDDSA)
}

/// Why a PEM file has no key that signs.
fn why_not(pem: &[u8]) -> &'static str {
    let has = |label: &str| {
        let label = format!("-----BEGIN {label}-----");
        pem.windows(label.len()).any(|window| window == label.as_bytes())
    };
    if has("PUBLIC KEY") || has("RSA PUBLIC KEY") || has("CERTIFICATE") {
        "is public; a token is signed with the private key"
    } else if has("ENCRYPTED PRIVATE KEY") {
        "is encrypted; decrypt it with openssl pkey -in FILE -out PLAIN"
    } else if has("EC PRIVATE KEY") {
        "is not in PKCS#8; convert it with openssl pkcs8 -topk8 -nocrypt -in FILE -out PKCS8"
    } else {
        "is not a private key of RSA, ECDSA (P-256 or P-384) or Ed25519 in PEM"
    }
}
