//! Bounds every call by the caller's deadline or the service's own, whichever is earlier.

use std::time::Duration;

use http::HeaderMap;
use server_core::{Error, Result, duration::parse_timeout};

use super::route::Route;
use crate::context::Deadline;

/// How long a probe or a document may take: their callers wait for no vendor, and need no token.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a call may take.
pub(super) struct Timeout {
    pub(super) deadline: Deadline,
    is_invalid: bool,
}

/// The [`Timeout`] of a request, of which its caller may shorten `ours`.
pub(super) fn of(headers: &HeaderMap, route: &Route, ours: Duration) -> Timeout {
    let ours = if route.verb.is_none() { ours.min(PROBE_TIMEOUT) } else { ours };
    let theirs = callers_timeout(headers);
    let is_invalid = theirs.is_err();
    let theirs = theirs.unwrap_or_default();
    let deadline = Deadline::after(theirs.map_or(ours, |theirs| theirs.min(ours)));
    Timeout { deadline, is_invalid }
}

impl Timeout {
    /// Refuses a call with an invalid `X-Request-Timeout`. Apart, because only callers who are known learn of
    /// it.
    ///
    /// # Errors
    /// `InvalidArgument`.
    pub(super) fn check(&self) -> Result<()> {
        const MESSAGE: &str =
            "header X-Request-Timeout: must be a duration above zero, such as 8s, 1m30s or 500ms";
        if self.is_invalid { Err(Error::invalid(MESSAGE)) } else { Ok(()) }
    }
}

/// An invalid `X-Request-Timeout`.
struct InvalidTimeout;

/// How long the caller waits: `grpc-timeout`, or REST's `X-Request-Timeout`, for example `8s`.
fn callers_timeout(headers: &HeaderMap) -> Result<Option<Duration>, InvalidTimeout> {
    if let Some(value) = headers.get("grpc-timeout") {
        // gRPC servers ignore an invalid one.
        return Ok(value.to_str().ok().and_then(grpc_timeout));
    }
    let Some(value) = headers.get("x-request-timeout") else {
        return Ok(None);
    };
    let timeout = value.to_str().ok().and_then(|text| parse_timeout(text).ok());
    timeout.map(Some).ok_or(InvalidTimeout)
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
