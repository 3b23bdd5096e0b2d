//! `outrigger token mint`: a token of an issuer whose key is in a file.

use std::{path::PathBuf, time::Duration};

use anyhow::Result;
use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser, TypedValueParser};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, Header};
use serde_json::{Map, Value as Json, json};
use server_core::duration::parse_timeout;
use xtask::exit::{Exit, usage};

use super::key::SigningKey;
use crate::output::Output;

/// Makes a token, signed with a key in a file.
///
/// For development and for issuers of your own: a company's identity provider or `kubectl create token` make tokens of
/// theirs. Which issuer, audience and subject a service accepts is in its authentication file; `outrigger token show
/// --auth FILE` tells whether a token is accepted. Prints the token alone, for $(outrigger token mint ...).
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// File with the key: a private key in PEM (RSA, ECDSA in PKCS#8 or Ed25519), or a shared secret of at least 32
    /// bytes, with which tokens are signed by HS256.
    #[arg(long, value_name = "FILE")]
    key_file: PathBuf,

    /// The issuer, `iss`: exactly as in the service's authentication file.
    #[arg(long, value_name = "ISS", value_parser = NonEmptyStringValueParser::new())]
    issuer: String,

    /// An audience, `aud`, one of those that the service expects; may be repeated.
    #[arg(long, value_name = "AUD", required = true, value_parser = NonEmptyStringValueParser::new())]
    audience: Vec<String>,

    /// Who the token is for, `sub`.
    #[arg(long, value_name = "SUB", value_parser = NonEmptyStringValueParser::new())]
    subject: String,

    /// Scopes, separated by spaces.
    #[arg(long)]
    scope: Option<String>,

    /// How long the token is valid.
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = parse_timeout)]
    expires_in: Duration,

    /// Another claim; VALUE is JSON, or else a string. May be repeated.
    #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = claim)]
    claims: Vec<(String, Json)>,

    /// The id of the key, `kid`, for issuers with several.
    #[arg(long, value_name = "KID")]
    key_id: Option<String>,

    /// Signature algorithm, one of those that fit the key [default: RS256, ES256 or ES384, EdDSA, or HS256].
    #[arg(long, value_name = "ALG", value_parser = algorithm())]
    algorithm: Option<Algorithm>,

    /// The token's type, `typ`.
    #[arg(long = "type", value_name = "TYP", default_value = "JWT")]
    typ: String,

    /// Form of the output: the token alone, or JSON with its claims.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// The algorithms that some key has.
fn algorithm() -> impl TypedValueParser<Value = Algorithm> {
    let names = SigningKey::every_algorithm().map(|algorithm| format!("{algorithm:?}"));
    PossibleValuesParser::new(names).try_map(|name| name.parse::<Algorithm>())
}

/// Claims that flags of their own set.
const RESERVED: [&str; 6] = ["iss", "aud", "sub", "iat", "exp", "scope"];

fn claim(text: &str) -> Result<(String, Json), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    if name.is_empty() || RESERVED.contains(&name) {
        return Err(format!("{name:?} is set by a flag of its own, or empty"));
    }
    let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
    Ok((name.to_owned(), value))
}

/// Prints the token.
pub(crate) fn run(args: &Args) -> Result<Exit> {
    let key = SigningKey::read(&args.key_file)?;
    let now = Timestamp::now();
    let lifetime = i64::try_from(args.expires_in.as_secs()).unwrap_or(i64::MAX);
    let expiry = now.as_second().checked_add(lifetime);
    let expiry = expiry.and_then(|expiry| Timestamp::from_second(expiry).ok());
    let expiry = expiry.ok_or_else(|| usage("--expires-in is too long"))?;
    let claims = claims(args, now, expiry);
    let header =
        Header { typ: Some(args.typ.clone()), kid: args.key_id.clone(), ..Header::default() };
    let (token, algorithm) = key.sign(&header, args.algorithm, &claims)?;
    let json = json!({
        "token": token,
        "algorithm": format!("{algorithm:?}"),
        "claims": claims,
        "expires_at": expiry.to_string(),
    });
    args.output.print(&format!("{token}\n"), &json)?;
    Ok(Exit::Ok)
}

fn claims(args: &Args, now: Timestamp, expiry: Timestamp) -> Map<String, Json> {
    let audience = match &args.audience[..] {
        [one] => json!(one),
        several => json!(several),
    };
    let own = [
        ("iss", json!(args.issuer)),
        ("aud", audience),
        ("sub", json!(args.subject)),
        ("iat", json!(now.as_second())),
        ("exp", json!(expiry.as_second())),
    ];
    let scope = args.scope.iter().map(|scope| ("scope", json!(scope)));
    let own = own.into_iter().chain(scope).map(|(name, value)| (name.to_owned(), value));
    own.chain(args.claims.iter().cloned()).collect()
}
