//! Why a caller was turned away.

use std::time::Duration;

use server_core::{Error, Kind};

/// Why a caller was turned away.
pub(super) enum AuthFailure {
    /// No token.
    Missing,
    /// More than one token, or one where none can be read.
    Ambiguous,
    /// A token that does not count, and why, as a metric's label has it.
    Invalid(&'static str),
    /// A good token that no rule matches.
    NoRule,
    /// The issuer's keys were never loaded.
    KeysUnavailable,
}

impl AuthFailure {
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Ambiguous => "ambiguous",
            Self::Invalid(reason) => reason,
            Self::NoRule => "no_rule",
            Self::KeysUnavailable => "keys_unavailable",
        }
    }
}

impl From<AuthFailure> for Error {
    fn from(failure: AuthFailure) -> Self {
        let reason = failure.reason();
        let error = match failure {
            AuthFailure::Missing => Self::new(Kind::Unauthenticated, "a bearer token is required"),
            AuthFailure::Ambiguous => {
                Self::invalid("send exactly one bearer token").with_code("invalid_request")
            }
            AuthFailure::Invalid(reason) => Self::new(
                Kind::Unauthenticated,
                format!("the token is not accepted: {}", words(reason)),
            )
            .with_code("invalid_token"),
            AuthFailure::NoRule => Self::new(Kind::PermissionDenied, "no rule admits your token")
                .with_code("insufficient_scope"),
            AuthFailure::KeysUnavailable => {
                Self::unavailable("tokens cannot be verified yet; try again")
                    .with_retry_after(Duration::from_secs(5))
            }
        };
        // Operators find in the log what metrics count.
        error.with_source(format!("token: {reason}"))
    }
}

/// What is wrong with a token, for who sent it. What was expected of it is not told; audience and dates
/// are looked at only once the signature holds, so a stranger learns nothing by trying.
fn words(reason: &str) -> &'static str {
    match reason {
        "expired" => "it has expired",
        "not_yet_valid" | "issued_in_future" => "it is not valid yet",
        "audience" => "it is for another audience",
        "issuer" | "unknown_issuer" => "its issuer is none of those that are trusted here",
        "unknown_key" | "signature" => "it is not signed with a key of its issuer",
        "lifetime" => "it lives too long",
        "missing_claim" | "subject" => "a claim that it needs is missing",
        "malformed" => "it is no signed JWT",
        _ => "it is not a kind of token that is trusted here",
    }
}
