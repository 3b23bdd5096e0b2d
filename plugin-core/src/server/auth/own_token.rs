//! The service's own token, from which the issuer of its cluster is known.
//!
//! The kubelet projects it into the pod, so its claims are trusted as much as any other file of the pod. It says which
//! `iss` the cluster's tokens have, and never where the keys are that verify them: those come from the authentication
//! file alone. A forged file can therefore make the service refuse tokens, and accept none.

use std::path::Path;

use jsonwebtoken::Algorithm;
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    config::is_hmac,
    token::{MAX_TOKEN_BYTES, Unverified},
};

/// The issuer of the token in the file at `path`, and the algorithm that it signs with.
///
/// # Errors
/// What is wrong with it, as the end of a sentence about the setting; without any of its contents.
pub(super) fn read(path: &Path) -> Result<(String, Algorithm), String> {
    let about = |why: &str| format!("{} {why}", path.display());
    let text = std::fs::read_to_string(path)
        .map_err(|error| about(&format!("cannot be read: {error}")))?;
    let text = SecretString::from(text);
    let token = text.expose_secret().trim();
    if token.len() > MAX_TOKEN_BYTES {
        return Err(about("is not a token: it is longer than 16 KiB"));
    }
    let token = Unverified::read(token).map_err(|_| about("has no token that is a JWT"))?;
    let algorithm = token.algorithm();
    if is_hmac(algorithm) {
        return Err(about(
            "has a token that a shared secret signed, so no published key verifies it",
        ));
    }
    match token.iss {
        Some(iss) if !iss.is_empty() => Ok((iss, algorithm)),
        _ => Err(about("has a token without an issuer (iss)")),
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
    use serde_json::{Value as Json, json};

    use super::*;

    fn read(header: &Json, claims: &Json) -> Result<(String, Algorithm), String> {
        let part = |json: &Json| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        std::fs::write(&path, format!("{}.{}.c2lnbmVk\n", part(header), part(claims))).unwrap();
        super::read(&path)
    }

    #[test]
    fn a_token_names_its_issuer_and_algorithm() {
        let claims =
            json!({"iss": "https://oidc.example.com/id/1", "sub": "system:serviceaccount:a:b"});
        let read = read(&json!({"alg": "ES256", "kid": "k"}), &claims).unwrap();
        let iss = "https://oidc.example.com/id/1".to_owned();
        assert_eq!(read, (iss, Algorithm::ES256));
    }

    #[test]
    fn a_useless_token_is_refused_without_showing_it() {
        let table = [
            (json!({"alg": "RS256"}), json!({"sub": "canary"}), "without an issuer"),
            (json!({"alg": "RS256"}), json!({"iss": "", "sub": "canary"}), "without an issuer"),
            (json!({"alg": "HS256"}), json!({"iss": "a", "sub": "canary"}), "shared secret"),
            (json!({"alg": "none"}), json!({"iss": "a", "sub": "canary"}), "JWT"),
        ];
        for (header, claims, wanted) in table {
            let error = read(&header, &claims).unwrap_err();
            assert!(error.contains(wanted) && !error.contains("canary"), "{error}");
        }
        assert!(super::read(Path::new("/nowhere/token")).unwrap_err().contains("cannot be read"));
    }
}
