//! The errors of AWS, in each form in which it reports them.

mod codes;
mod xml;

use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value as Json};
use server_core::{Error, Kind};

use crate::upstream::Failure;

/// The header with the error's code (Smithy, awsJson 1.1 and restJson1: "Operation error serialization").
const ERROR_TYPE: &str = "x-amzn-errortype";
/// The members of an error with its code, and with its message, in the order in which they are looked for after the header.
/// Protocols differ: those are what botocore's parsers read (`botocore/parsers.py`, `_do_error_parse` of JSON and
/// `_inject_error_code` of REST-JSON), and `errorMessage`.
const CODES: [&str; 3] = ["__type", "code", "Code"];
const MESSAGES: [&str; 3] = ["message", "Message", "errorMessage"];
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

/// Reads an error of AWS in JSON or XML; `None` if the response is not AWS's.
///
/// `own` knows the service's own errors, and `full` those that say that it takes no further job. [`Aws`](super::Aws) does
/// that by itself.
pub fn read_failure(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    own: impl Fn(&Refusal<'_>) -> Option<Kind>,
    full: impl Fn(&Refusal<'_>) -> bool,
) -> Option<Failure> {
    let (in_body, message) = in_json(body).or_else(|| xml::error(body)).unwrap_or_default();
    let in_header = headers.get(ERROR_TYPE).and_then(|value| value.to_str().ok());
    let code = in_header.and_then(bare).or(in_body.as_deref().and_then(bare))?;
    let refusal = Refusal { status, code, message: &message, body };
    let kind = own(&refusal).unwrap_or_else(|| codes::kind(status, code));
    let is_full = kind.is_transient() && full(&refusal);
    let text =
        if message.is_empty() { format!("AWS gave no reason but {code}") } else { message.clone() };
    let failure = Failure::new(kind, text).code(code.to_owned());
    Some(if is_full { failure.full() } else { failure })
}

/// Code and message of an error in JSON.
fn in_json(body: &[u8]) -> Option<(Option<String>, String)> {
    let error = serde_json::from_slice::<Map<String, Json>>(body).ok()?;
    let text = |name: &&str| error.get(*name).and_then(Json::as_str);
    let code = CODES.iter().filter_map(text).find(|code| bare(code).is_some());
    let message = MESSAGES.iter().filter_map(text).find(|message| !message.is_empty());
    Some((code.map(str::to_owned), message.unwrap_or_default().to_owned()))
}

/// The code without its namespace and the URL that may follow: `com.amazon#Code:http://…`. `None` if nothing is left, or
/// too much.
fn bare(code: &str) -> Option<&str> {
    let code = code.split([':', ',']).next().unwrap_or_default();
    let code = code.rsplit('#').next().unwrap_or_default().trim();
    (!code.is_empty() && code.len() <= LONGEST_CODE).then_some(code)
}

#[cfg(test)]
mod tests;
