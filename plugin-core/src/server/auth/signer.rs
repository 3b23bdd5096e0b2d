//! An issuer's signing key, for tests.

use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use serde_json::json;

/// A signing key with its id and its public half.
pub(super) struct Signer {
    pub(super) kid: String,
    pub(super) key: EncodingKey,
}

impl Signer {
    pub(super) fn new(kid: &str) -> Self {
        use aws_lc_rs::{
            rand::SystemRandom,
            signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
        };
        let der =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
        Self { kid: kid.to_owned(), key: EncodingKey::from_ec_der(der.unwrap().as_ref()) }
    }

    pub(super) fn jwk(&self) -> serde_json::Value {
        let mut jwk = Jwk::from_encoding_key(&self.key, Algorithm::ES256).unwrap();
        jwk.common.key_id = Some(self.kid.clone());
        serde_json::to_value(jwk).unwrap()
    }

    pub(super) fn token(&self) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.kid.clone());
        let expires = Timestamp::now().as_second() + 600;
        let claims =
            json!({"iss": "https://idp", "aud": "connectors", "sub": "ann", "exp": expires});
        jsonwebtoken::encode(&header, &claims, &self.key).unwrap()
    }
}
