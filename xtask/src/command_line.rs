//! Reads command lines, and refuses them without showing what may be a secret.

use clap::{
    Parser,
    error::{ContextKind, ContextValue},
};

/// What errors show in place of a value that may be a secret.
const HIDDEN: &str = "…";

/// The program's arguments. If they are invalid, prints why and ends the program.
#[must_use]
pub fn parse<A: Parser>() -> A {
    A::try_parse().unwrap_or_else(|error| without_secrets(error).exit())
}

/// `error` without its value, if that may contain a password: where a registry or a URL belongs, people paste one with
/// the password in it, and clap prints what it refuses.
#[must_use]
pub fn without_secrets(mut error: clap::Error) -> clap::Error {
    for kind in [ContextKind::InvalidValue, ContextKind::InvalidArg] {
        if may_be_secret(error.get(kind)) {
            error.insert(kind, ContextValue::String(HIDDEN.to_owned()));
        }
    }
    error
}

/// Whether a value has what comes before a host, or a query.
fn may_be_secret(value: Option<&ContextValue>) -> bool {
    matches!(value, Some(ContextValue::String(text)) if text.contains(['@', '?']))
}
