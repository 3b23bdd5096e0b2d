//! Bounds every call by the caller's deadline or the service's own, whichever is earlier.

use std::time::Duration;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use http::HeaderMap;
use server_core::{Error, Kind, duration::parse_duration};
use tokio::time::timeout_at;

use crate::context::Deadline;

/// Sets the call's [`Deadline`] and enforces it.
pub(super) async fn bound(
    State(ours): State<Duration>,
    mut request: Request,
    next: Next,
) -> Response {
    let time = match callers_timeout(request.headers()) {
        Ok(theirs) => theirs.map_or(ours, |theirs| theirs.min(ours)),
        Err(error) => return error.into_response(),
    };
    let deadline = Deadline::after(time);
    request.extensions_mut().insert(deadline);
    timeout_at(deadline.instant(), next.run(request)).await.unwrap_or_else(|_| {
        Error::new(Kind::DeadlineExceeded, "deadline exceeded; the outcome is unknown")
            .into_response()
    })
}

/// How long the caller waits: `grpc-timeout`, or REST's `X-Request-Timeout`, for example `8s`.
fn callers_timeout(headers: &HeaderMap) -> Result<Option<Duration>, Error> {
    if let Some(value) = headers.get("grpc-timeout") {
        // gRPC servers ignore an invalid one.
        return Ok(value.to_str().ok().and_then(grpc_timeout));
    }
    let Some(value) = headers.get("x-request-timeout") else {
        return Ok(None);
    };
    let invalid = |why: String| Error::invalid(format!("header X-Request-Timeout: {why}"));
    let timeout = value.to_str().map_err(|_| invalid("must be ASCII".to_owned()))?;
    parse_duration(timeout).map(Some).map_err(invalid)
}

/// Parses at most eight digits and a unit, by gRPC's HTTP/2 mapping.
fn grpc_timeout(value: &str) -> Option<Duration> {
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_timeouts_are_parsed_by_the_specification() {
        for (value, expected) in [
            ("10S", Some(Duration::from_secs(10))),
            ("9999967m", Some(Duration::from_millis(9_999_967))),
            ("1H", Some(Duration::from_secs(3600))),
            ("5u", Some(Duration::from_micros(5))),
            ("123456789S", None),
            ("S", None),
            ("", None),
            ("-1S", None),
            ("1s", None),
            ("1ä", None),
        ] {
            assert_eq!(grpc_timeout(value), expected, "{value:?}");
        }
    }
}
