//! Access tokens, and their issue by OAuth token endpoints.

use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Deserializer, de::Error as _};
use server_core::{Error, Kind, Result, token_file::flaw};

use super::Request;
use crate::context::Context;

/// An access token.
#[derive(Debug)]
#[non_exhaustive]
#[must_use]
pub struct Token {
    /// The token itself.
    pub value: SecretString,
    /// How long it is valid, from now.
    pub lifetime: Duration,
}

impl Token {
    /// The token `value`, valid for `lifetime` from now.
    pub fn new(value: impl Into<SecretString>, lifetime: Duration) -> Self {
        Self { value: value.into(), lifetime }
    }

    /// The token that an OAuth token endpoint issues for `request` (RFC 6749 §5.1); valid for an hour if the
    /// response does not say how long.
    ///
    /// # Errors
    /// A definitive refusal is `FailedPrecondition`: it is about the identity, never about the job that the
    /// token was for. `Unavailable` when what the endpoint returns is no token that a header can carry. Others
    /// are those of [`Request::send_json`].
    ///
    /// ```no_run
    /// use plugin_core::{Context, Http, Result, upstream::Token};
    ///
    /// async fn fetch(http: &Http, cx: &Context, secret: &str) -> Result<Token> {
    ///     let form = [("grant_type", "client_credentials"), ("client_secret", secret)];
    ///     Token::issued(http.post(&["oauth", "token"]).idempotent().form(&form), cx).await
    /// }
    /// ```
    pub async fn issued(request: Request<'_>, cx: &Context) -> Result<Self> {
        let issued: Issued = request.for_token().send_json(cx).await.map_err(about_the_identity)?;
        if let Some(flaw) = flaw(&issued.access_token) {
            let message = format!("no access token was issued: what the endpoint returned {flaw}");
            return Err(Error::unavailable(message).upstream());
        }
        Ok(Self::new(issued.access_token, Duration::from_secs(issued.expires_in)))
    }
}

/// The response of an OAuth token endpoint.
#[derive(Deserialize)]
struct Issued {
    access_token: String,
    #[serde(default = "one_hour", deserialize_with = "seconds")]
    expires_in: u64,
}

/// A number, as RFC 6749 §5.1 has it, or its text, as Microsoft's endpoint v1.0 sends it.
fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Seconds {
        Number(u64),
        Text(String),
    }
    match Seconds::deserialize(deserializer)? {
        Seconds::Number(seconds) => Ok(seconds),
        Seconds::Text(text) => text.trim().parse().map_err(D::Error::custom),
    }
}

fn one_hour() -> u64 {
    3600
}

fn about_the_identity(error: Error) -> Error {
    if error.kind().is_transient() {
        return error;
    }
    let code = error.code().map(str::to_owned);
    let message = format!("no access token was issued: {error}");
    let refused = Error::new(Kind::FailedPrecondition, message).upstream();
    code.into_iter().fold(refused, Error::with_code)
}
