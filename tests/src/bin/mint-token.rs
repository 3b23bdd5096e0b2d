//! Mints tokens for services whose issuer shares a secret: what `cargo xtask token` runs.

use std::{
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result};
use clap::Parser;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::json;

/// Mints an HS256 token.
///
/// By default it is one that the service of `cargo xtask demo --keep` takes. For another service name
/// the secret file, issuer and audience of its authentication file.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask token", bin_name = "cargo xtask token")]
struct Args {
    /// Who the token is for. The demo knows `propeller` and, as users, everybody else.
    #[arg(long, default_value = "propeller")]
    subject: String,

    /// Scopes, separated by blanks.
    #[arg(long, default_value = "")]
    scope: String,

    /// How many seconds it lasts.
    #[arg(long, default_value_t = 3600)]
    ttl: u64,

    /// The issuer's secret.
    #[arg(long, value_name = "FILE", default_value_os_t = demo_secret())]
    secret_file: PathBuf,

    /// The token's `iss`.
    #[arg(long, default_value = "https://demo.example.com")]
    issuer: String,

    /// The token's `aud`.
    #[arg(long, default_value = "connectors")]
    audience: String,
}

/// Where the demo keeps its issuer's secret.
fn demo_secret() -> PathBuf {
    tests::repository().join("target/demo/issuer.secret")
}

fn main() -> Result<()> {
    println!("{}", mint(&Args::parse())?);
    Ok(())
}

fn mint(args: &Args) -> Result<String> {
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
    let key = EncodingKey::from_secret(secret.trim_ascii_end());
    Ok(jsonwebtoken::encode(&Header::default(), &claims, &key)?)
}
