//! Bounds every call by the caller's deadline and ours, whichever comes first.

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

/// Sets the call's [`Deadline`] and ends it there.
pub(super) async fn bound(
    State(ours): State<Duration>,
    mut request: Request,
    next: Next,
) -> Response {
    let time = match callers(request.headers()) {
        Ok(theirs) => theirs.map_or(ours, |theirs| theirs.min(ours)),
        Err(error) => return error.into_response(),
    };
    let deadline = Deadline::after(time);
    request.extensions_mut().insert(deadline);
    timeout_at(deadline.instant(), next.run(request)).await.unwrap_or_else(|_| {
        Error::new(Kind::DeadlineExceeded, "the deadline passed before the outcome was known")
            .into_response()
    })
}

/// How long the caller waits: `grpc-timeout`, or REST's `X-Request-Timeout` as `8s`.
fn callers(headers: &HeaderMap) -> Result<Option<Duration>, Error> {
    if let Some(value) = headers.get("grpc-timeout") {
        // gRPC's servers ignore one they cannot read.
        return Ok(value.to_str().ok().and_then(grpc_timeout));
    }
    let Some(value) = headers.get("x-request-timeout") else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default();
    let time = parse_duration(text)
        .map_err(|why| Error::invalid(format!("header X-Request-Timeout: {why}")))?;
    Ok(Some(time))
}

/// At most eight digits and a unit, by gRPC's HTTP/2 mapping.
fn grpc_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
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
    fn grpc_timeouts_are_read_by_the_specification() {
        for (text, expected) in [
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
            assert_eq!(grpc_timeout(text), expected, "{text:?}");
        }
    }
}
