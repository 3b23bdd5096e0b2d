//! Mints tokens for services whose issuer uses a shared secret; run by `cargo xtask token`.

use std::{
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result};
use clap::Parser;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::json;

/// Mints an HS256 token for a service.
///
/// By default, the service of `cargo xtask demo --keep` accepts it. For another service, pass the secret
/// file, issuer and audience of its authentication file.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask token", bin_name = "cargo xtask token")]
struct Args {
    /// The token's `sub`. The demo's rules give `propeller` the role propeller, all others the role user.
    #[arg(long, default_value = "propeller")]
    subject: String,

    /// Scopes, separated by spaces.
    #[arg(long, default_value = "")]
    scope: String,

    /// Lifetime in seconds.
    #[arg(long, default_value_t = 3600)]
    ttl: u64,

    /// File with the issuer's secret.
    #[arg(long, value_name = "FILE", default_value_os_t = demo_secret())]
    secret_file: PathBuf,

    /// The token's `iss`.
    #[arg(long, default_value = "https://demo.example.com")]
    issuer: String,

    /// The token's `aud`.
    #[arg(long, default_value = "connectors")]
    audience: String,
}

/// The file with the secret of the demo's issuer.
fn demo_secret() -> PathBuf {
    tests::target().join("demo/issuer.secret")
}

fn main() -> Result<()> {
    println!("{}", mint(&Args::parse())?);
    Ok(())
}

fn mint(args: &Args) -> Result<String> {
    let file = args.secret_file.display();
    let secret = std::fs::read(&args.secret_file).with_context(|| {
        format!("cannot read {file}; run cargo xtask demo to create it, or use --secret-file")
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
