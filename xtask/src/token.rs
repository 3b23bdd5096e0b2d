//! `cargo xtask token`: mints tokens for services whose issuer shares a secret.

use std::{
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::Sha256;

/// What the demo's authentication file expects.
pub(crate) const ISSUER: &str = "https://demo.example.com";
pub(crate) const AUDIENCE: &str = "connectors";

/// Mints an HS256 token.
///
/// By default it is one that the service of `cargo xtask demo --keep` takes. For another service name
/// the secret file, issuer and audience of its authentication file.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Who the token is for. The demo knows `propeller` and, as users, everybody else.
    #[arg(long, default_value = "propeller")]
    pub(crate) subject: String,

    /// Scopes, separated by blanks.
    #[arg(long, default_value = "")]
    pub(crate) scope: String,

    /// How many seconds it lasts.
    #[arg(long, default_value_t = 3600)]
    pub(crate) ttl: u64,

    /// The issuer's secret.
    #[arg(long, value_name = "FILE", default_value_os_t = secret_file())]
    pub(crate) secret_file: PathBuf,

    /// The token's `iss`.
    #[arg(long, default_value = ISSUER)]
    pub(crate) issuer: String,

    /// The token's `aud`.
    #[arg(long, default_value = AUDIENCE)]
    pub(crate) audience: String,
}

/// Where the demo keeps its issuer's secret.
pub(crate) fn secret_file() -> PathBuf {
    crate::target("demo/issuer.secret")
}

pub(crate) fn run(args: &Args) -> Result<()> {
    println!("{}", mint(args)?);
    Ok(())
}

pub(crate) fn mint(args: &Args) -> Result<String> {
    let file = args.secret_file.display();
    let secret = std::fs::read(&args.secret_file).with_context(|| {
        format!("cannot read {file}; cargo xtask demo makes it, or name one with --secret-file")
    })?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let claims = json!({
        "iss": args.issuer,
        "aud": args.audience,
        "sub": args.subject,
        "scope": args.scope,
        "iat": now,
        "exp": now + args.ttl,
    });
    sign(&claims.to_string(), secret.trim_ascii_end())
}

fn sign(claims: &str, secret: &[u8]) -> Result<String> {
    let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let header = encode(br#"{"alg":"HS256","typ":"JWT"}"#);
    let message = format!("{header}.{}", encode(claims.as_bytes()));
    let mut mac = Hmac::<Sha256>::new_from_slice(secret)?;
    mac.update(message.as_bytes());
    Ok(format!("{message}.{}", encode(&mac.finalize().into_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_signed_as_openssl_signs_it() {
        // printf %s HEADER.CLAIMS | openssl dgst -sha256 -hmac KEY -binary
        let token = sign(r#"{"iss":"joe"}"#, b"0123456789abcdef0123456789abcdef").unwrap();
        assert_eq!(
            token,
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJqb2UifQ.iCJ28NYjlaFePzGehwQan71DYdWwWx5TUIwPkRD7Zf8"
        );
    }
}
