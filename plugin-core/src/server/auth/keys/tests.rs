//! Keys in files: what is refused at start, and what verifies nothing.

use std::{fs, path::PathBuf};

use prometheus_client::registry::Registry;
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use super::super::{Auth, signer::Signer};
use crate::testing::rsa_private_key;

/// A public key of 1024 bits.
const WEAK: &str = "-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDuRYsdU799/fqQRnCsLYh99IY1
57LPdx6emjgQlNdxgqObt+bnQzWB7JGGm5LvHFMA+UE3V40by25EF68Blf42UyX8
lYX23R3aA+lFYqm2cYQNHn50QSFbw9A5qcfXT8w47PyXd5xMMf28XUuExr5d/Iv3
4RVh7C/ELniSqnq3zQIDAQAB
-----END PUBLIC KEY-----
";

struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join("key");
        fs::write(&path, contents).unwrap();
        path
    }

    /// Authentication with `contents` in the key file that `setting` names.
    fn auth(
        &self,
        setting: &str,
        algorithm: &str,
        contents: impl AsRef<[u8]>,
    ) -> Result<Auth, String> {
        let (path, key) = (self.0.path().join("auth.yaml"), self.write(contents));
        let text = format!(
            "issuers:\n  - {{name: idp, issuer: 'https://idp', algorithms: [{algorithm}], audiences: [connectors], \
             key: {{{setting}: {}}}}}\nrules:\n  - {{issuer: idp, role: user}}\n",
            key.display()
        );
        fs::write(&path, text).unwrap();
        let auth = Auth::from_file(&path, &mut Registry::default());
        auth.map_err(|error| error.to_string())
    }

    /// Why the file is refused, after its name.
    fn refused(&self, setting: &str, algorithm: &str, contents: impl AsRef<[u8]>) -> String {
        let error = self.auth(setting, algorithm, contents).map(drop).unwrap_err();
        let file = self.0.path().join("key");
        let named = format!("issuers.idp.key.{setting}: {}: ", file.display());
        error.strip_prefix(&named).unwrap_or_else(|| panic!("{error}")).to_owned()
    }
}

async fn accepts(auth: &Auth, token: &str) -> bool {
    let request = http::Request::get("/").header("authorization", format!("Bearer {token}"));
    auth.caller(&request.body(()).unwrap().into_parts().0).await.is_ok()
}

fn with(key: &Signer, members: &Json) -> Json {
    let mut jwk = key.jwk();
    // The library writes its own.
    jwk.as_object_mut().unwrap().remove("alg");
    jwk.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    jwk
}

#[tokio::test]
async fn keys_verify_only_what_their_metadata_allows() {
    let (files, key, decoy) = (Files::new(), Signer::new("k"), Signer::new("decoy"));
    for (members, accepted) in [
        (json!({}), true),
        (json!({"use": "sig"}), true),
        (json!({"key_ops": ["verify"]}), true),
        (json!({"key_ops": ["encrypt", "verify"]}), true),
        (json!({"alg": "ES256"}), true),
        (json!({"use": "sig", "key_ops": ["verify"], "alg": "ES256"}), true),
        (json!({"use": null, "key_ops": null, "alg": null, "d": null}), true),
        (json!({"use": "enc"}), false),
        (json!({"use": "tls"}), false),
        (json!({"use": ""}), false),
        (json!({"use": ["sig"]}), false),
        (json!({"key_ops": ["encrypt"]}), false),
        (json!({"key_ops": ["sign"]}), false),
        (json!({"key_ops": []}), false),
        (json!({"key_ops": "verify"}), false),
        (json!({"alg": "ES384"}), false),
        (json!({"alg": "RS256"}), false),
        (json!({"alg": "ECDH-ES"}), false),
        (json!({"alg": "none"}), false),
        (json!({"alg": 256}), false),
        (json!({"use": "sig", "key_ops": ["encrypt"]}), false),
        (json!({"use": "enc", "key_ops": ["verify"]}), false),
    ] {
        let set = json!({"keys": [with(&key, &members), with(&decoy, &json!({}))]});
        let auth = files.auth("jwks_file", "ES256", set.to_string()).unwrap();
        assert_eq!(accepts(&auth, &key.token()).await, accepted, "{members}");
        assert!(accepts(&auth, &decoy.token()).await, "{members}");
    }
}

#[test]
fn unsafe_keys_are_refused_at_start() {
    let (files, key) = (Files::new(), Signer::new("k"));
    let rsa = |bytes: usize, e: &str| json!({"kty": "RSA", "kid": "r", "n": "_".repeat(bytes * 4 / 3), "e": e});
    for (bad, expected) in [
        (with(&key, &json!({"d": "AAAA"})), "the key k: it is a private key"),
        (json!({"kty": "oct", "k": "AAAA"}), "the key without kid: it is a shared secret"),
        (json!({"kty": "oct"}), "the key without kid: it is a shared secret"),
        (with(&key, &json!({"k": "AAAA"})), "the key k: it is a shared secret"),
        (rsa(129, "AQAB"), "the key r: its RSA modulus does not have 2048 to 8192 bits"),
        (rsa(255, "AQAB"), "the key r: its RSA modulus"),
        (rsa(258, "AQ"), "the key r: its RSA exponent is 1 or even"),
        (rsa(258, "AQAC"), "the key r: its RSA exponent is 1 or even"),
    ] {
        let set = json!({"keys": [key.jwk(), bad]}).to_string();
        let refused = files.refused("jwks_file", "ES256", set);
        assert!(refused.starts_with(expected), "{refused}");
    }
    for exponent in ["AQAB", "Aw"] {
        let set = json!({"keys": [rsa(258, exponent)]}).to_string();
        assert!(files.auth("jwks_file", "RS256", set).is_ok(), "{exponent}");
    }
    let retired = json!({"keys": [with(&key, &json!({"use": "enc"}))]}).to_string();
    let refused = files.refused("jwks_file", "ES256", retired);
    assert_eq!(refused, "no key of the set may verify signatures");
}

#[test]
fn unsafe_pem_files_are_refused_at_start() {
    let files = Files::new();
    for (pem, expected) in [
        (rsa_private_key(), "this is a private key"),
        (WEAK, "its RSA modulus does not have 2048 to 8192 bits"),
        (
            "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n",
            "this is a private key",
        ),
        ("nothing", "no public key for RS256 in PEM"),
    ] {
        let refused = files.refused("pem_file", "RS256", pem);
        assert!(refused.starts_with(expected), "{refused}");
    }
    let both = format!("{WEAK}{}", rsa_private_key());
    assert!(files.refused("pem_file", "RS256", both).starts_with("this is a private key"));
}

#[test]
fn published_files_are_no_shared_secret() {
    let (files, key) = (Files::new(), Signer::new("k"));
    let set = json!({"keys": [key.jwk()]}).to_string();
    for public in [WEAK.to_owned(), format!("\n{WEAK}"), set, key.jwk().to_string()] {
        let refused = files.refused("hs256_secret_file", "HS256", public);
        assert!(refused.starts_with("this is a public key or a certificate"), "{refused}");
    }
    let refused = files.refused("hs256_secret_file", "HS256", "x".repeat(31));
    assert!(refused.starts_with("a secret needs at least 32 bytes and this has 31"), "{refused}");
}

/// A token that is signed with `secret`.
fn signed(secret: &[u8]) -> String {
    let expires = jiff::Timestamp::now().as_second() + 600;
    let claims = json!({"iss": "https://idp", "aud": "connectors", "sub": "ann", "exp": expires});
    let key = jsonwebtoken::EncodingKey::from_secret(secret);
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap()
}

#[tokio::test]
async fn secret_is_the_file_but_for_the_line_break_of_text() {
    let files = Files::new();
    let text = b"0123456789abcdef0123456789abcdef".to_vec();
    let random = [&[0x80, 0xff, 0x00][..], &[7; 29], b"\n"].concat();
    let joined = |end: &[u8]| [&text, end].concat();
    for (contents, secret) in [
        (text.clone(), text.clone()),
        (joined(b"\n"), text.clone()),
        (joined(b"\r\n"), text.clone()),
        (joined(b" \n"), joined(b" ")),
        (joined(b" "), joined(b" ")),
        (joined(b"\n\n"), joined(b"\n\n")),
        (random.clone(), random),
    ] {
        let auth = files.auth("hs256_secret_file", "HS256", &contents).unwrap();
        assert!(accepts(&auth, &signed(&secret)).await, "{contents:?}");
        let trimmed = secret.trim_ascii_end();
        assert!(trimmed == secret || !accepts(&auth, &signed(trimmed)).await, "{contents:?}");
    }
}
