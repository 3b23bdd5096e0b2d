//! Why a token was not accepted.

use std::{fmt, time::Duration};

use serde_json::Value as Json;
use server_core::{Error, Kind, text::cut};

use super::Refusal;

/// The most of a claim that is logged, in bytes: a stranger may have written it.
const MAX_CLAIM: usize = 128;
/// The most expected values that are logged.
const MOST_EXPECTED: usize = 5;

/// Why a token was not accepted.
pub(super) enum TokenFailure {
    /// The request has no token.
    Missing,
    /// The request has several tokens.
    Ambiguous,
    /// The token is not valid, and why: a metric's label.
    Invalid(&'static str),
    /// A claim or a header of the token is not what it must be: a metric's label, and for the log the claim, what it is
    /// and what is expected.
    Claim(&'static str, String),
    /// The token is valid, but no rule matches it; for the log, what each rule of its issuer expects instead.
    NoRule(String),
    /// The issuer's keys are not known, or not known to be current.
    KeysUnavailable,
}

impl TokenFailure {
    fn reason(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Ambiguous => "ambiguous",
            Self::Invalid(reason) | Self::Claim(reason, _) => reason,
            Self::NoRule(_) => "no_rule",
            Self::KeysUnavailable => "keys_unavailable",
        }
    }

    fn error(&self) -> Error {
        match self {
            Self::Missing => Error::new(Kind::Unauthenticated, "a bearer token is required"),
            Self::Ambiguous => {
                Error::invalid("send exactly one bearer token").with_code("invalid_request")
            }
            Self::Invalid(reason) | Self::Claim(reason, _) => Error::new(
                Kind::Unauthenticated,
                format!("the token is not accepted: {}", message(reason)),
            )
            .with_code("invalid_token"),
            Self::NoRule(_) => Error::new(Kind::PermissionDenied, "no rule matches your token")
                .with_code("insufficient_scope"),
            Self::KeysUnavailable => {
                Error::unavailable("tokens cannot be verified yet; retry later")
                    .with_retry_after(Duration::from_secs(5))
            }
        }
    }
}

impl From<TokenFailure> for Refusal {
    fn from(failure: TokenFailure) -> Self {
        let reason = failure.reason();
        // The log has the same reason as the metric, and what the sender must not learn.
        let cause = match &failure {
            TokenFailure::Claim(_, detail) | TokenFailure::NoRule(detail) => {
                format!("token: {reason}: {detail}")
            }
            _ => format!("token: {reason}"),
        };
        Self { reason, error: failure.error().with_source(cause) }
    }
}

/// A claim's value for the log: in quotes, on one line, and cut.
pub(super) fn shown(value: &Json) -> String {
    match value {
        Json::String(text) => quoted(text),
        Json::Array(items) => any_of(items.iter().map(shown)),
        other => cut(other.to_string(), MAX_CLAIM).into_owned(),
    }
}

pub(super) fn quoted(text: &str) -> String {
    format!("{:?}", cut(text, MAX_CLAIM))
}

/// Expected values, for the log.
pub(super) fn any_of(values: impl IntoIterator<Item = impl fmt::Display>) -> String {
    let mut values = values.into_iter();
    let listed = values.by_ref().take(MOST_EXPECTED).map(|value| value.to_string());
    let listed = listed.collect::<Vec<_>>().join(" or ");
    if values.next().is_some() { format!("{listed} or others") } else { listed }
}

/// What is wrong with a token, for its sender. Expected values are not disclosed. Audience and dates are
/// checked only once the signature holds, so a stranger learns nothing by guessing.
fn message(reason: &str) -> &'static str {
    match reason {
        "expired" => "it has expired",
        "not_yet_valid" | "issued_in_future" => "it is not valid yet",
        "audience" => "it is for another audience",
        "issuer" | "unknown_issuer" => "its issuer is not trusted here",
        "unknown_key" | "signature" => "it is not signed with a key of its issuer",
        "lifetime" => "its lifetime is too long",
        "missing_claim" | "subject" => "a required claim is missing",
        "malformed" => "it is not a signed JWT",
        _ => "this type of token is not trusted here",
    }
}
