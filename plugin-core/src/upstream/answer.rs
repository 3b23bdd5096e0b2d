//! What came of one try of a call: the vendor's answer, or why there is none.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use server_core::{Error, Kind, Result};

use super::Failure;

/// The largest answer that is read, in bytes.
const MAX_ANSWER: usize = 16 << 20;

/// A vendor's 2xx answer.
#[derive(Debug)]
#[non_exhaustive]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, or its beginning.
    pub body: Bytes,
    /// Whether there is more of the body than [`Request::at_most`](super::Request::at_most) wanted.
    pub is_cut: bool,
}

impl Response {
    /// The body, read as JSON.
    ///
    /// # Errors
    /// `Unavailable` when it is something else: a proxy's page, for example.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body).map_err(|error| {
            Error::unavailable("the upstream's answer could not be read").with_source(error)
        })
    }
}

/// A try that did not bring a 2xx answer.
pub(super) struct Failed {
    pub(super) error: Error,
    /// The vendor never saw the call, so that repeating it is safe whatever it does.
    pub(super) unsent: bool,
    /// It did not get a turn: no try, but a wait for one.
    pub(super) crowded: bool,
    /// The headers that signed it, if the vendor did not accept them.
    pub(super) refused_signature: Option<Box<HeaderMap>>,
    pub(super) retry_after: Option<Duration>,
}

impl Failed {
    /// Whether the vendor may have done what the call asked for.
    pub(super) fn is_ambiguous(&self) -> bool {
        !self.unsent && matches!(self.error.kind(), Kind::Unavailable | Kind::DeadlineExceeded)
    }

    /// Whether it is about the service and not about the call.
    pub(super) fn is_about_us(&self) -> bool {
        let refused = matches!(self.error.kind(), Kind::Unauthenticated | Kind::PermissionDenied);
        refused || (self.unsent && !self.error.kind().is_transient())
    }

    pub(super) fn unsent(error: Error) -> Self {
        let retry_after = error.retry_after();
        Self { error, unsent: true, crowded: false, refused_signature: None, retry_after }
    }

    pub(super) fn crowded(error: Error) -> Self {
        Self { crowded: true, ..Self::unsent(error) }
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

/// A connection that failed before, during or after the call.
pub(super) struct Transport {
    error: Error,
    unsent: bool,
}

impl From<reqwest::Error> for Transport {
    fn from(error: reqwest::Error) -> Self {
        let unsent = error.is_connect();
        let what = if unsent {
            "the upstream cannot be reached"
        } else {
            "the upstream's answer was lost"
        };
        Self { error: Error::unavailable(what).with_source(error.without_url()), unsent }
    }
}

impl From<Error> for Transport {
    fn from(error: Error) -> Self {
        Self { error, unsent: false }
    }
}

pub(super) async fn read(
    mut answer: reqwest::Response,
    at_most: Option<usize>,
) -> Result<Response, Transport> {
    let mut body = bytes::BytesMut::new();
    let mut is_cut = false;
    while let Some(chunk) = answer.chunk().await? {
        body.extend_from_slice(&chunk);
        if at_most.is_some_and(|most| body.len() > most) {
            is_cut = true;
            body.truncate(at_most.unwrap_or_default());
            break;
        }
        if body.len() > MAX_ANSWER {
            return Err(Error::unavailable("the upstream's answer is too large").into());
        }
    }
    let headers = std::mem::take(answer.headers_mut());
    Ok(Response { status: answer.status(), headers, body: body.freeze(), is_cut })
}

/// What an answer means that is not the API's: a proxy's page, for example. It says nothing of a job,
/// whatever its status.
pub(super) fn not_the_vendors(status: StatusCode) -> Failure {
    match status.as_u16() {
        400 | 402..=412 | 414..=428 => {
            let message = format!("something that is not the vendor's API answered {status}");
            Failure::new(Kind::Unavailable, message)
        }
        _ => by_status(status),
    }
}

/// What a status means when its body says nothing.
pub(super) fn by_status(status: StatusCode) -> Failure {
    let kind = match status.as_u16() {
        401 => Kind::Unauthenticated,
        403 => Kind::PermissionDenied,
        404 | 410 => Kind::NotFound,
        409 => Kind::AlreadyExists,
        422 => Kind::FailedPrecondition,
        429 => Kind::ResourceExhausted,
        // A redirect is a wrong endpoint: no repeat puts that right.
        300..=399 => Kind::FailedPrecondition,
        408 => Kind::Unavailable,
        400..=499 => Kind::InvalidArgument,
        _ => Kind::Unavailable,
    };
    Failure::new(kind, format!("the upstream answered {status}"))
}
