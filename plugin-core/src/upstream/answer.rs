//! The outcome of one attempt of a call: a response or a failure.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use server_core::{Error, Kind, Result};

use super::Failure;

/// The largest response body that is read, in bytes.
const MAX_BODY: usize = 16 << 20;

/// A 2xx response of the vendor.
#[derive(Debug)]
#[non_exhaustive]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, perhaps truncated.
    pub body: Bytes,
    /// Whether the body was truncated to the length set by
    /// [`Request::at_most`](super::Request::at_most).
    pub is_cut: bool,
}

impl Response {
    /// Deserialises the body from JSON.
    ///
    /// # Errors
    /// `Unavailable` when it is not the expected JSON, but for example a proxy's page.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body).map_err(|error| {
            Error::unavailable("the upstream's response is not the expected JSON")
                .with_source(error)
        })
    }
}

/// An attempt without a 2xx response.
pub(super) struct FailedAttempt {
    pub(super) error: Error,
    /// The vendor did not receive the request, so that a repeat is always safe.
    pub(super) unsent: bool,
    /// The throttle did not give it a permit in time; it does not count as an attempt.
    pub(super) throttled: bool,
    /// The headers that signed it, if the vendor refused them.
    pub(super) refused_signature: Option<Box<HeaderMap>>,
    pub(super) retry_after: Option<Duration>,
}

impl FailedAttempt {
    /// Whether the call may have taken effect all the same.
    pub(super) fn is_ambiguous(&self) -> bool {
        !self.unsent && matches!(self.error.kind(), Kind::Unavailable | Kind::DeadlineExceeded)
    }

    /// Whether the failure is about the service's credentials or configuration rather than the request.
    pub(super) fn is_about_service(&self) -> bool {
        let refused = matches!(self.error.kind(), Kind::Unauthenticated | Kind::PermissionDenied);
        refused || (self.unsent && !self.error.kind().is_transient())
    }

    pub(super) fn unsent(error: Error) -> Self {
        let retry_after = error.retry_after();
        Self { error, unsent: true, throttled: false, refused_signature: None, retry_after }
    }

    pub(super) fn throttled(error: Error) -> Self {
        Self { throttled: true, ..Self::unsent(error) }
    }

    pub(super) fn timed_out() -> Self {
        let error = Error::new(Kind::DeadlineExceeded, "the upstream did not answer in time");
        Self { unsent: false, ..Self::unsent(error.upstream()) }
    }

    pub(super) fn transport(error: impl Into<Transport>) -> Self {
        let Transport { error, unsent } = error.into();
        Self { unsent, ..Self::unsent(error.upstream()) }
    }
}

/// A connection failure, before or after the request was sent.
pub(super) struct Transport {
    error: Error,
    unsent: bool,
}

impl From<reqwest::Error> for Transport {
    fn from(error: reqwest::Error) -> Self {
        let unsent = error.is_connect();
        let message = if unsent {
            "cannot connect to the upstream"
        } else {
            "the connection to the upstream was lost before its response was complete"
        };
        Self { error: Error::unavailable(message).with_source(error.without_url()), unsent }
    }
}

impl From<Error> for Transport {
    fn from(error: Error) -> Self {
        Self { error, unsent: false }
    }
}

pub(super) async fn read(
    mut response: reqwest::Response,
    at_most: Option<usize>,
) -> Result<Response, Transport> {
    let mut body = bytes::BytesMut::new();
    let mut is_cut = false;
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if at_most.is_some_and(|most| body.len() > most) {
            is_cut = true;
            body.truncate(at_most.unwrap_or_default());
            break;
        }
        if body.len() > MAX_BODY {
            return Err(Error::unavailable("the upstream's response is larger than 16 MiB").into());
        }
    }
    let headers = std::mem::take(response.headers_mut());
    Ok(Response { status: response.status(), headers, body: body.freeze(), is_cut })
}

/// The meaning of a response that is not the vendor's, but for example a proxy's page: whatever its status,
/// it says nothing about a job.
pub(super) fn foreign_response(status: StatusCode) -> Failure {
    match status.as_u16() {
        400 | 402..=412 | 414..=428 => {
            let message = format!("a server other than the vendor's API responded with {status}");
            Failure::new(Kind::Unavailable, message)
        }
        _ => by_status(status),
    }
}

impl Failure {
    /// The failure that `status` stands for by HTTP's own rules, with the vendor's `message`: for an API
    /// whose error bodies have no more exact code.
    ///
    /// ```
    /// use plugin_core::{Kind, http::StatusCode, upstream::Failure};
    ///
    /// let failure = Failure::of_status(StatusCode::CONFLICT, "the job exists");
    /// assert_eq!(failure.kind, Kind::AlreadyExists);
    /// ```
    pub fn of_status(status: StatusCode, message: impl Into<String>) -> Self {
        Self::new(kind_of(status), message)
    }
}

/// The meaning of a status without a readable body.
pub(super) fn by_status(status: StatusCode) -> Failure {
    Failure::of_status(status, format!("the upstream answered {status}"))
}

fn kind_of(status: StatusCode) -> Kind {
    match status.as_u16() {
        401 => Kind::Unauthenticated,
        403 => Kind::PermissionDenied,
        404 | 410 => Kind::NotFound,
        409 => Kind::AlreadyExists,
        422 => Kind::FailedPrecondition,
        429 => Kind::ResourceExhausted,
        // A redirect means a wrong endpoint, which a repeat does not fix.
        300..=399 => Kind::FailedPrecondition,
        408 => Kind::Unavailable,
        400..=499 => Kind::InvalidArgument,
        _ => Kind::Unavailable,
    }
}
