//! The errors of AWS, in each form in which it reports them.

mod codes;
mod xml;

use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::Value as Json;
use server_core::{Error, Kind};

use crate::upstream::Failure;

/// The header with the error's code (Smithy, awsJson 1.1 and restJson1: "Operation error serialization").
const ERROR_TYPE: &str = "x-amzn-errortype";
/// Larger bodies are no errors of AWS, in bytes.
const LARGEST: usize = 256 << 10;
/// The longest code, in bytes.
const LONGEST_CODE: usize = 128;

/// A refusal of AWS.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Refusal<'a> {
    /// The response's status.
    pub status: StatusCode,
    /// The error's code, without namespace: `InvalidRequestException`.
    pub code: &'a str,
    /// The error's message; may be empty.
    pub message: &'a str,
    body: &'a [u8],
}

impl Refusal<'_> {
    /// The text of another member of the error, for example `AthenaErrorCode`; `None` if the error has none, or
    /// is not JSON.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<String> {
        let body = serde_json::from_slice::<Json>(self.body).ok()?;
        match body.get(name)? {
            Json::String(text) => Some(text.clone()),
            Json::Null => None,
            other => Some(other.to_string()),
        }
    }
}

/// The members of an error in JSON. The names are not the same in all services.
#[derive(Default, Deserialize)]
struct JsonError {
    #[serde(rename = "__type")]
    kind: Option<String>,
    #[serde(alias = "Code")]
    code: Option<Json>,
    message: Option<Json>,
    #[serde(rename = "Message")]
    capital: Option<Json>,
    #[serde(rename = "errorMessage")]
    error_message: Option<Json>,
}

/// The error of a submit. What is not found there, such as a cluster or an application, is the author's or operator's
/// mistake, not a job that is gone.
#[must_use]
pub fn of_submit(error: Error) -> Error {
    if error.kind() != Kind::NotFound {
        return error;
    }
    let code = error.code().unwrap_or("ResourceNotFoundException").to_owned();
    Error::invalid(error.message().to_owned()).with_code(code).with_source(error).upstream()
}

/// Reads an error of AWS in JSON or XML; `None` if the response is not AWS's. `own` knows the service's own
/// errors. [`Aws`](super::Aws) does that by itself.
pub fn read_failure(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    own: impl Fn(&Refusal<'_>) -> Option<Kind>,
) -> Option<Failure> {
    let body = if body.len() > LARGEST { &[] } else { body };
    let (in_body, message) = in_json(body).or_else(|| xml::error(body)).unwrap_or_default();
    let in_header = headers.get(ERROR_TYPE).and_then(|value| value.to_str().ok());
    let code = in_header.or(in_body.as_deref()).map(bare)?;
    if code.is_empty() || code.len() > LONGEST_CODE {
        return None;
    }
    let refusal = Refusal { status, code, message: &message, body };
    let kind = own(&refusal).unwrap_or_else(|| codes::kind(status, code));
    let message =
        if message.is_empty() { format!("AWS gave no reason but {code}") } else { message.clone() };
    Some(Failure::new(kind, message).code(code.to_owned()))
}

/// Code and message of an error in JSON.
fn in_json(body: &[u8]) -> Option<(Option<String>, String)> {
    let error = serde_json::from_slice::<JsonError>(body).ok()?;
    let text = |value: Option<Json>| value.as_ref().and_then(Json::as_str).map(str::to_owned);
    let code = error.kind.or(text(error.code));
    let message = text(error.message).or(text(error.capital)).or(text(error.error_message));
    Some((code, message.unwrap_or_default()))
}

/// The code without its namespace and the URL that may follow: `com.amazon#Code:http://…`.
fn bare(code: &str) -> &str {
    let code = code.split([':', ',']).next().unwrap_or_default();
    code.rsplit('#').next().unwrap_or_default().trim()
}

#[cfg(test)]
mod tests;
