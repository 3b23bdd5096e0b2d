//! What an error of a plugin that speaks plain JSON says about a task.

use std::{error::Error as StdError, fmt, io};

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
        false => (Kind::Unavailable, unread(&error)),
    };
    Error::new(kind, message).with_source(error.without_url()).upstream()
}

/// What there is in place of an answer.
fn unread(error: &reqwest::Error) -> &'static str {
    match protocol_error(error) {
        Some(cause) if cause.is_parse_too_large() => "the plugin's answer has too many headers",
        Some(cause) if cause.is_parse() => "the plugin's answer is not HTTP/1.1",
        _ if error.is_body() || error.is_decode() => "the plugin's answer breaks off",
        _ => "the plugin does not answer",
    }
}

fn protocol_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a hyper::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
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
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[expect(clippy::disallowed_methods, reason = "a server of this test is called")]
    async fn message_of(answer: &str) -> String {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("plugin.sock");
        let listener = tokio::net::UnixListener::bind(&socket).unwrap();
        let answering = async {
            let (mut connection, _) = listener.accept().await.unwrap();
            assert!(connection.read(&mut [0; 1024]).await.unwrap() > 0);
            connection.write_all(answer.as_bytes()).await.unwrap();
        };
        let client = reqwest::Client::builder().unix_socket(socket.as_path()).tls_certs_only([]);
        let request = client.build().unwrap().get("http://localhost/").send();
        let asking = async { request.await?.bytes().await };
        let ((), answered) = tokio::join!(answering, asking);
        unanswered(answered.unwrap_err()).message().to_owned()
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_not_called_silence() {
        let headers = (0..200).map(|number| format!("h{number}: x\r\n")).collect::<String>();
        for (answer, message) in [
            ("", "the plugin does not answer"),
            ("HTTP/1.1 200 O", "the plugin does not answer"),
            ("no HTTP\r\n\r\n", "the plugin's answer is not HTTP/1.1"),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
                "the plugin's answer is not HTTP/1.1",
            ),
            (
                &format!("HTTP/1.1 200 OK\r\n{headers}\r\n"),
                "the plugin's answer has too many headers",
            ),
            ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{", "the plugin's answer breaks off"),
        ] {
            assert_eq!(message_of(answer).await, message, "{answer:.80}");
        }
    }

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
