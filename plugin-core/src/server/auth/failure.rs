//! Why a token was not accepted.

use std::time::Duration;

use server_core::{Error, Kind};

use super::Refusal;

/// Why a token was not accepted.
pub(super) enum TokenFailure {
    /// The request has no token.
    Missing,
    /// The request has several tokens.
    Ambiguous,
    /// The token is not valid, and why: a metric's label.
    Invalid(&'static str),
    /// The token is valid, but no rule matches it. A rule may have its client as `sub`.
    NoRule { has_client_as_sub: bool },
    /// The issuer's keys are not known, or not known to be current.
    KeysUnavailable,
}

impl TokenFailure {
    fn reason(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Ambiguous => "ambiguous",
            Self::Invalid(reason) => reason,
            Self::NoRule { .. } => "no_rule",
            Self::KeysUnavailable => "keys_unavailable",
        }
    }

    fn error(&self) -> Error {
        match self {
            Self::Missing => Error::new(Kind::Unauthenticated, "a bearer token is required"),
            Self::Ambiguous => {
                Error::invalid("send exactly one bearer token").with_code("invalid_request")
            }
            Self::Invalid(reason) => Error::new(
                Kind::Unauthenticated,
                format!("the token is not accepted: {}", message(reason)),
            )
            .with_code("invalid_token"),
            Self::NoRule { .. } => Error::new(Kind::PermissionDenied, "no rule matches your token")
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
        let advice = match failure {
            TokenFailure::NoRule { has_client_as_sub: true } => {
                "; a rule has the token's client as sub: write client"
            }
            _ => "",
        };
        // The log has the same reason as the metric.
        Self { reason, error: failure.error().with_source(format!("token: {reason}{advice}")) }
    }
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
