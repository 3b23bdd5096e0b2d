//! What an error of a plugin that speaks plain JSON says about a task.

use std::{fmt, io};

use plugin_core::{
    Error, Kind,
    http::StatusCode,
    serde_json::{self, Value as Json},
    upstream::{Operation, lenient},
};
use serde::{Deserialize, Deserializer};

use crate::{dialect::PLUGIN_ERROR, error::exception};

/// What is done about a job, or with a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    Task,
    Job,
}

impl From<Operation> for About {
    fn from(operation: Operation) -> Self {
        match operation {
            Operation::Discover | Operation::Create | Operation::Execute => Self::Task,
            Operation::Get | Operation::Delete => Self::Job,
        }
    }
}

/// The error of an answer that is none.
pub(crate) fn something_else(operation: Operation, why: &dyn fmt::Display) -> Error {
    // Whether a job was created is not known.
    let kind = if About::from(operation) == About::Task {
        Kind::Unavailable
    } else {
        Kind::FailedPrecondition
    };
    Error::new(kind, format!("the plugin answered with something else: {why}"))
        .with_code(PLUGIN_ERROR)
        .upstream()
}

/// The error of a call without an answer.
pub(crate) fn unanswered(error: reqwest::Error) -> Error {
    let (kind, message) = match error.is_timeout() {
        true => (Kind::DeadlineExceeded, "the plugin did not answer in time"),
        false => (Kind::Unavailable, "the plugin does not answer"),
    };
    Error::new(kind, message).with_source(error.without_url()).upstream()
}

/// The error of a call that was not made because of what lies on the way to the socket.
pub(crate) fn unsafe_way(error: io::Error) -> Error {
    Error::unavailable("the plugin does not answer").with_source(error).upstream()
}

/// A member of another form must not hide the other.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    #[serde(deserialize_with = "code")]
    error_code: Option<String>,
    #[serde(deserialize_with = "lenient")]
    message: Option<String>,
}

/// A vendor's error code, which may be a number; none for anything else.
pub(crate) fn code<'de, D: Deserializer<'de>>(json: D) -> Result<Option<String>, D::Error> {
    Ok(match Json::deserialize(json)? {
        Json::String(code) => Some(code),
        Json::Number(code) => Some(code.to_string()),
        _ => None,
    })
}

/// What an error says. An exception in the plugin (500) is no verdict, as it is none of connectors.
pub(crate) fn refused(status: StatusCode, operation: Operation, body: &[u8]) -> Error {
    let kind = match (status.as_u16(), operation.into()) {
        // The plugin's own word on the job.
        (422, About::Job) => Kind::InvalidArgument,
        (400 | 401 | 403 | 422, _) | (413, About::Task) => Kind::FailedPrecondition,
        (404, About::Job) => Kind::NotFound,
        (429, _) => Kind::ResourceExhausted,
        (500 | 501, About::Job) => Kind::FailedPrecondition,
        _ => Kind::Unavailable,
    };
    let Refusal { error_code, message } = serde_json::from_slice(body).unwrap_or_default();
    let message = match &*message.as_deref().map(exception).unwrap_or_default() {
        "" => format!("the plugin failed with HTTP status {}", status.as_u16()),
        line => line.to_owned(),
    };
    let error = Error::new(kind, message).upstream();
    match error_code.filter(|code| !code.is_empty()) {
        // An exception, whatever it calls itself.
        _ if matches!(status.as_u16(), 500 | 501) => error.with_code(PLUGIN_ERROR),
        Some(code) => error.with_code(code),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_word_is_definitive() {
        let kind = |status, operation| {
            refused(StatusCode::from_u16(status).unwrap(), operation, b"").kind()
        };
        for (status, task, job) in [
            (400, Kind::FailedPrecondition, Kind::FailedPrecondition),
            (401, Kind::FailedPrecondition, Kind::FailedPrecondition),
            (404, Kind::Unavailable, Kind::NotFound),
            (413, Kind::FailedPrecondition, Kind::Unavailable),
            (422, Kind::FailedPrecondition, Kind::InvalidArgument),
            (429, Kind::ResourceExhausted, Kind::ResourceExhausted),
            (500, Kind::Unavailable, Kind::FailedPrecondition),
            (502, Kind::Unavailable, Kind::Unavailable),
            (503, Kind::Unavailable, Kind::Unavailable),
        ] {
            assert_eq!(
                (kind(status, Operation::Create), kind(status, Operation::Get)),
                (task, job),
                "{status}"
            );
        }
    }

    #[test]
    fn a_refusal_has_the_plugins_words() {
        let body = br#"{"error_code": "NO_MODEL", "message": "no such model"}"#;
        let error = refused(StatusCode::UNPROCESSABLE_ENTITY, Operation::Create, body);
        assert_eq!((error.code(), error.message()), (Some("NO_MODEL"), "no such model"));
        for (body, code, message) in [
            (
                &br#"{"error_code": 1146, "message": "no such table"}"#[..],
                Some("1146"),
                "no such table",
            ),
            (br#"{"error_code": {}, "message": "no such table"}"#, None, "no such table"),
            (
                br#"{"error_code": "X", "message": 7}"#,
                Some("X"),
                "the plugin failed with HTTP status 422",
            ),
            (b"[]", None, "the plugin failed with HTTP status 422"),
        ] {
            let error = refused(StatusCode::UNPROCESSABLE_ENTITY, Operation::Create, body);
            assert_eq!((error.code(), error.message()), (code, message));
        }
        let error = refused(StatusCode::INTERNAL_SERVER_ERROR, Operation::Get, b"<html>");
        assert_eq!(error.message(), "the plugin failed with HTTP status 500");
        assert_eq!(error.code(), Some(PLUGIN_ERROR));
    }
}
