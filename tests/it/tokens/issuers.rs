//! Three issuers with keys of each kind, and tokens that they or somebody else signed.

use std::fs;

use aws_lc_rs::{
    encoding::{AsDer as _, PublicKeyX509Der},
    rand::SystemRandom,
    rsa::KeyPair,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use base64::{Engine as _, prelude::BASE64_STANDARD, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, jwk::Jwk};
use plugin_core::testing::rsa_private_key;
use serde_json::{Value as Json, json};
use tempfile::TempDir;

pub(super) const SECRET: &str = "a shared secret of more than 32 bytes";

/// The keys of the issuers `hs` (a shared secret), `rs` (RSA, in PEM) and `es` (P-256, in a key set), and the
/// authentication file that trusts them.
pub(super) struct Issuers {
    pub(super) rsa: EncodingKey,
    pub(super) ec: EncodingKey,
    /// The public RSA key: PEM, DER, and as a key set.
    pub(super) rsa_public: (String, Vec<u8>, String),
    dir: TempDir,
}

impl Issuers {
    pub(super) fn new() -> Self {
        let rsa = EncodingKey::from_rsa_pem(rsa_private_key().as_bytes()).unwrap();
        let ec =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
        let ec = EncodingKey::from_ec_der(ec.unwrap().as_ref());
        let set = |key: &EncodingKey, algorithm, kid: &str| {
            let mut jwk = Jwk::from_encoding_key(key, algorithm).unwrap();
            jwk.common.key_id = Some(kid.to_owned());
            json!({"keys": [jwk]}).to_string()
        };
        let der = rsa_public_der();
        let lines = BASE64_STANDARD.encode(&der);
        let lines = lines.as_bytes().chunks(64).map(String::from_utf8_lossy).collect::<Vec<_>>();
        let pem =
            format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"));
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("hs"), SECRET).unwrap();
        fs::write(dir.path().join("rs"), &pem).unwrap();
        fs::write(dir.path().join("es"), set(&ec, Algorithm::ES256, "es")).unwrap();
        let rsa_public = (pem, der, set(&rsa, Algorithm::RS256, "rs"));
        let issuers = Self { rsa, ec, rsa_public, dir };
        fs::write(issuers.dir.path().join("auth.yaml"), issuers.file()).unwrap();
        issuers
    }

    /// The argument that makes a service trust them.
    pub(super) fn argument(&self) -> String {
        format!("--auth={}", self.dir.path().join("auth.yaml").display())
    }

    fn file(&self) -> String {
        let issuer = |name: &str, key: &str, algorithm: &str| {
            let path = self.dir.path().join(name);
            format!(
                "  - name: {name}\n    issuer: https://{name}.example.com\n    audiences: [connectors]\n    \
                 key: {{{key}: {}}}\n    algorithms: [{algorithm}]\n    max_lifetime: 2h\n    \
                 reject: {{scope_prefix: 'f.', claims_present: [form]}}\n",
                path.display()
            )
        };
        let all = [
            issuer("hs", "hs256_secret_file", "HS256"),
            issuer("rs", "pem_file", "RS256"),
            issuer("es", "jwks_file", "ES256"),
        ];
        let rule = |name| format!("  - {{issuer: {name}, sub: ann, role: user}}\n");
        format!("issuers:\n{}rules:\n{}", all.concat(), ["hs", "rs", "es"].map(rule).concat())
    }
}

fn rsa_public_der() -> Vec<u8> {
    let base64 =
        rsa_private_key().lines().filter(|line| !line.starts_with('-')).collect::<String>();
    let key = KeyPair::from_pkcs8(&BASE64_STANDARD.decode(base64).unwrap()).unwrap();
    let der: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
    der.as_ref().to_vec()
}

/// Seconds since 1970.
pub(super) fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.unwrap().as_secs()).unwrap()
}

/// Valid claims of the issuer `name`, changed by `over`; null removes a claim.
pub(super) fn claims(name: &str, over: &Json) -> Json {
    let mut claims = json!({
        "iss": format!("https://{name}.example.com"), "sub": "ann", "aud": "connectors",
        "iat": now(), "exp": now() + 600,
    });
    for (name, value) in over.as_object().unwrap() {
        match value {
            Json::Null => claims.as_object_mut().unwrap().remove(name),
            value => claims.as_object_mut().unwrap().insert(name.clone(), value.clone()),
        };
    }
    claims
}

pub(super) fn part(text: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(text)
}

/// A token of this header and payload, signed with `key` by `algorithm`, whatever its header says.
pub(super) fn sign(header: &str, payload: &str, key: &EncodingKey, algorithm: Algorithm) -> String {
    let message = format!("{}.{}", part(header), part(payload));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key, algorithm).unwrap();
    format!("{message}.{signature}")
}
