//! The tokens that the fake accepts.

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result};
use aws_lc_rs::{
    digest,
    encoding::AsDer as _,
    rsa,
    signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey},
};
use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use http::{HeaderMap, header};
use serde_json::Value;

use super::{OAUTH_TOKEN, OIDC_TOKEN, PAT};

/// Public keys by fingerprint.
#[derive(Default)]
pub(super) struct Keys(BTreeMap<String, Vec<u8>>);

impl Keys {
    pub(super) fn register(&mut self, pem: &str) -> Result<String> {
        let body = pem.lines().filter(|line| !line.starts_with("-----")).collect::<String>();
        let key = rsa::KeyPair::from_pkcs8(&BASE64_STANDARD.decode(body)?)?;
        let public = key.public_key().as_der().context("the key has no public part")?;
        let hash = digest::digest(&digest::SHA256, public.as_ref());
        let fingerprint = format!("SHA256:{}", BASE64_STANDARD.encode(hash));
        self.0.insert(fingerprint.clone(), public.as_ref().to_vec());
        Ok(fingerprint)
    }

    /// The issuer of the request's token.
    ///
    /// # Errors
    /// The reason why the token is not accepted.
    pub(super) fn issuer(&self, headers: &HeaderMap) -> Result<String, String> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let token = text(header::AUTHORIZATION.as_str())
            .and_then(|value| value.strip_prefix("Bearer "))
            .ok_or("no bearer token")?;
        match text("x-snowflake-authorization-token-type") {
            Some("KEYPAIR_JWT") => self.check(token),
            Some("OAUTH") if token == OAUTH_TOKEN => Ok(token.to_owned()),
            Some("PROGRAMMATIC_ACCESS_TOKEN") if token == PAT => Ok(token.to_owned()),
            Some("WORKLOAD_IDENTITY_FEDERATION") => match token.strip_prefix("WIF.OIDC.") {
                Some(OIDC_TOKEN) => Ok(OIDC_TOKEN.to_owned()),
                _ => Err("not a token of the trusted OIDC provider".to_owned()),
            },
            other => Err(format!("unknown token type {other:?}")),
        }
    }

    fn check(&self, token: &str) -> Result<String, String> {
        let [header, claims, signature] = token.split('.').collect::<Vec<_>>()[..] else {
            return Err("not a JWT".to_owned());
        };
        if json(header)?["alg"] != "RS256" {
            return Err("JWT: alg is not RS256".to_owned());
        }
        let claims = json(claims)?;
        let issuer = check_claims(&claims)?;
        let fingerprint = issuer.find("SHA256:").map_or("", |at| &issuer[at..]);
        let key = self.0.get(fingerprint).ok_or("JWT: the key is not registered")?;
        let signed = &token[..token.len() - signature.len() - 1];
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).map_err(|e| e.to_string())?;
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key)
            .verify(signed.as_bytes(), &signature)
            .map_err(|_| "JWT: invalid signature")?;
        Ok(issuer)
    }
}

/// The issuer, if all claims have the documented shape.
fn check_claims(claims: &Value) -> Result<String, String> {
    let text = |name: &str| claims[name].as_str().ok_or(format!("JWT: {name} is not a string"));
    let number = |name: &str| claims[name].as_u64().ok_or(format!("JWT: {name} is not a number"));
    let (issuer, subject) = (text("iss")?, text("sub")?);
    let (issued, expires) = (number("iat")?, number("exp")?);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    if issued > now || expires <= now || expires - issued > 3600 {
        return Err(format!("JWT: iat {issued}, exp {expires} at {now}"));
    }
    let is_upper = !subject.contains(|c: char| c.is_lowercase());
    let (account, _) = subject.split_once('.').ok_or("JWT: sub is not ACCOUNT.USER")?;
    if !is_upper || account.is_empty() || !issuer.starts_with(&format!("{subject}.SHA256:")) {
        return Err(format!("JWT: iss {issuer}, sub {subject}"));
    }
    Ok(issuer.to_owned())
}

fn json(part: &str) -> Result<Value, String> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|error| error.to_string())?;
    serde_json::from_slice(&bytes).map_err(|error| error.to_string())
}
