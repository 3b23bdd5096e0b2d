//! Encodes every error in the caller's protocol.

use std::{borrow::Cow, time::Duration};

use axum::{body::Body, response::Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;
use server_core::{Error, Kind};
use tonic::{Code, Status};

use super::route::Protocol;
use crate::record::Record;

/// The `Retry-After` of errors without one of their own.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(1);

/// The code of a request that is larger than the limit.
const TOO_LARGE: &str = "PAYLOAD_TOO_LARGE";

/// The error of a request with more than `limit` bytes.
pub(super) fn too_large(limit: usize) -> Error {
    let message =
        format!("body: has more than {limit} bytes, which is the limit (--max-body-bytes)");
    Error::invalid(message).with_code(TOO_LARGE)
}

/// `response`, with the error that it carries rendered and added to the request's record.
pub(super) fn rendered(response: Response, record: &Record, protocol: Protocol) -> Response {
    if let Some(error) = response.extensions().get::<Error>() {
        return with_error(error.clone(), record, protocol);
    }
    if let Some(error) = grpc_error(&response) {
        record.fields().error = Some(error.clone());
        return response;
    }
    if protocol == Protocol::Grpc
        && let Some(error) = undecodable(&response)
    {
        return with_error(error, record, protocol);
    }
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    match protocol {
        Protocol::Grpc => bare_grpc(status),
        Protocol::Rest => bare_rest(status),
    }
}

/// The response to a request that failed with `error`, which is added to its record.
pub(super) fn with_error(error: Error, record: &Record, protocol: Protocol) -> Response {
    let response = render(&error, protocol);
    record.fields().error = Some(error);
    response
}

fn grpc_error(response: &Response) -> Option<&Error> {
    let status = response.extensions().get::<Status>()?;
    std::error::Error::source(status)?.downcast_ref()
}

/// The error of a message that could not be decoded. tonic answers it as an internal one, which would count as the
/// service's.
fn undecodable(response: &Response) -> Option<Error> {
    let status = response.extensions().get::<Status>()?;
    let message = status.message().strip_prefix("failed to decode Protobuf message")?;
    let is_tonics = status.code() == Code::Internal;
    is_tonics.then(|| Error::invalid(format!("body: could not be decoded{message}")))
}

/// `error` as a response in `protocol`.
fn render(error: &Error, protocol: Protocol) -> Response {
    match protocol {
        Protocol::Grpc => Status::from(error.clone()).into_http(),
        Protocol::Rest => {
            let code = error.code().unwrap_or(error.kind().name());
            let status = match code {
                TOO_LARGE => StatusCode::PAYLOAD_TOO_LARGE,
                _ => error.kind().http(),
            };
            let mut response = problem(status, &spelled(code), error.message());
            if let Some(challenge) = challenge(error) {
                response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
            }
            // RFC 9110 recommends Retry-After with 503.
            let default = (error.kind().http() == StatusCode::SERVICE_UNAVAILABLE)
                .then_some(DEFAULT_RETRY_AFTER);
            if let Some(wait) = error.retry_after().or(default) {
                let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            }
            response
        }
    }
}

/// An RFC 9457 problem, with the two members of Flyte's RFC.
fn problem(status: StatusCode, code: &str, message: &str) -> Response {
    let body = json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or("Error"),
        "status": status.as_u16(),
        "detail": message,
        "error_code": code,
        "message": message,
    });
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

/// The codes of RFC 6750 §3.1, which its challenge spells in lower case.
const OAUTH: [&str; 3] = ["invalid_request", "invalid_token", "insufficient_scope"];

/// A code as `error_code` spells it: the service's own in capitals, the vendor's as it came.
fn spelled(code: &str) -> Cow<'_, str> {
    if OAUTH.contains(&code) { code.to_ascii_uppercase().into() } else { code.into() }
}

/// The `WWW-Authenticate` challenge. RFC 6750 §3: no `error` without a token.
fn challenge(error: &Error) -> Option<HeaderValue> {
    match error.code().filter(|code| OAUTH.contains(code)) {
        Some(code) => {
            HeaderValue::from_str(&format!("Bearer realm=\"outrigger\", error=\"{code}\"")).ok()
        }
        None if error.kind() == Kind::Unauthenticated => {
            Some(HeaderValue::from_static("Bearer realm=\"outrigger\""))
        }
        None => None,
    }
}

/// A problem for a bare status of a layer or the router.
fn bare_rest(status: StatusCode) -> Response {
    let title = status.canonical_reason().unwrap_or("Error");
    let code = title.to_uppercase().replace(' ', "_");
    problem(status, &code, &title.to_lowercase())
}

fn bare_grpc(status: StatusCode) -> Response {
    let code = match status {
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Code::Unimplemented,
        StatusCode::PAYLOAD_TOO_LARGE => Code::ResourceExhausted,
        StatusCode::BAD_REQUEST => Code::InvalidArgument,
        _ => Code::Internal,
    };
    let message = status.canonical_reason().unwrap_or_default().to_lowercase();
    Status::new(code, message).into_http()
}
