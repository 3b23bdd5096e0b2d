//! The outcome of one attempt of a call: a response or a failure.

use std::{borrow::Cow, error::Error as StdError, iter::successors, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, StatusCode, response::Parts};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::client::legacy;
use serde::de::DeserializeOwned;
use server_core::{Error, Kind, Result};
use tokio::time::Instant;

use super::{
    Failure,
    bodies::{Bodies, Held, SMALL},
    credentials::Signature,
};

/// The largest response body that is read, in bytes.
const MAX_BODY: usize = 16 << 20;
/// The code of the error for a larger one.
pub const RESPONSE_TOO_LARGE: &str = "RESPONSE_TOO_LARGE";
/// The largest body of a refusal that is read, in bytes: it is parsed on the thread of calls.
const MAX_REFUSAL: usize = 4 << 20;
/// Bodies from this size on are deserialised on a thread of their own, in bytes.
const LARGE: usize = 256 << 10;
/// When a caller may submit again to a vendor that takes no further job, unless the vendor says it.
const FULL_PAUSE: Duration = Duration::from_secs(10);

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
    /// Until the response is dropped or deserialised.
    _held: Held,
}

impl Response {
    /// Deserialises the body from JSON.
    ///
    /// # Errors
    /// `Unavailable` when it is not the expected JSON, but for example a proxy's page.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        // Of a slice, the parser would check each string again. What is no UTF-8 may be in a member that nobody reads.
        let text = str::from_utf8(&self.body)
            .map_or_else(|_| String::from_utf8_lossy(&self.body), Cow::Borrowed);
        serde_json::from_str(&text).map_err(|error| {
            Error::unavailable("the upstream's response is not the expected JSON")
                .with_source(error)
        })
    }

    /// [`json`](Self::json); a large body does not keep other calls waiting.
    pub(super) async fn into_json<T: DeserializeOwned + Send + 'static>(self) -> Result<T> {
        if self.body.len() < LARGE {
            return self.json();
        }
        let read = tokio::task::spawn_blocking(move || self.json());
        read.await.map_err(Error::internal)?
    }
}

/// An attempt without a 2xx response.
pub(super) struct FailedAttempt {
    pub(super) error: Error,
    /// The vendor did not receive the request, so that a repeat is always safe.
    pub(super) unsent: bool,
    /// The pace, the permits or the breaker did not let it start; it does not count as an attempt.
    pub(super) throttled: bool,
    /// A repeat would have the same outcome, whatever the error's kind.
    pub(super) is_final: bool,
    /// What signed it, if the vendor refused that.
    pub(super) refused_signature: Option<Box<Signature>>,
    pub(super) retry_after: Option<Duration>,
    /// The vendor takes no further job for now.
    pub(super) is_full: bool,
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
        Self {
            error,
            unsent: true,
            throttled: false,
            is_final: false,
            refused_signature: None,
            retry_after,
            is_full: false,
        }
    }

    /// The vendor's refusal of an earlier attempt that would be repeated with the same signature.
    pub(super) fn repeated(error: Error) -> Self {
        Self { unsent: false, is_final: true, ..Self::unsent(error) }
    }

    /// The vendor responded with `failure`.
    pub(super) fn refused(failure: Failure, retry_after: Option<Duration>) -> Self {
        let mut error = Error::new(failure.kind, failure.message).upstream();
        if matches!(failure.kind, Kind::Unauthenticated | Kind::PermissionDenied) {
            error = error.about_credentials();
        }
        if let Some(code) = failure.code {
            error = error.with_code(code);
        }
        // A queue that is full is so for longer than a call may last: its caller has to come back.
        let is_full = failure.is_full;
        if let Some(wait) = retry_after.or(is_full.then_some(FULL_PAUSE)) {
            error = error.with_retry_after(wait);
        }
        Self { unsent: false, is_final: is_full, is_full, ..Self::unsent(error) }
    }

    /// Whether the upstream does not work: it cannot be reached, does not answer or answers 5xx.
    pub(super) fn is_unanswered(&self) -> bool {
        let is_down = matches!(self.error.kind(), Kind::Unavailable | Kind::DeadlineExceeded);
        is_down && !self.is_final && self.retry_after.is_none()
    }

    /// Whether the vendor asks for fewer calls.
    pub(super) fn is_rate_limit(&self) -> bool {
        !self.unsent
            && !self.is_full
            && (self.error.kind() == Kind::ResourceExhausted || self.retry_after.is_some())
    }

    pub(super) fn throttled(error: Error) -> Self {
        Self { throttled: true, ..Self::unsent(error) }
    }

    pub(super) fn timed_out() -> Self {
        let error = Error::new(Kind::DeadlineExceeded, "the upstream did not answer in time");
        Self { unsent: false, ..Self::unsent(error.upstream()) }
    }

    /// There is no response.
    pub(super) fn unanswered(error: legacy::Error) -> Self {
        if error.is_connect() {
            let message = "cannot connect to the upstream";
            return Self::unsent(Error::unavailable(message).with_source(error).upstream());
        }
        Self { unsent: is_unprocessed(&error), ..Self::lost(error) }
    }

    fn lost(error: impl StdError + Send + Sync + 'static) -> Self {
        const MESSAGE: &str =
            "the connection to the upstream was lost before its response was complete";
        let error = Error::unavailable(MESSAGE).with_source(error).upstream();
        Self { unsent: false, ..Self::unsent(error) }
    }

    /// Other responses take the memory. No attempt more: the vendor would send it all again.
    fn no_memory() -> Self {
        let error = Error::unavailable("too many large responses of the upstream are being read");
        Self { unsent: false, is_final: true, ..Self::unsent(error) }
    }

    /// The response of a call with a method that is safe, or not, exceeds the bound. It would again.
    fn too_large(is_safe: bool) -> Self {
        // The call may have taken effect.
        let kind = if is_safe { Kind::FailedPrecondition } else { Kind::Unavailable };
        let error = Error::new(kind, "the upstream's response is larger than 16 MiB");
        let error = error.with_code(RESPONSE_TOO_LARGE).upstream();
        Self { unsent: false, is_final: true, ..Self::unsent(error) }
    }
}

/// Whether an HTTP/2 server says that it did not process the request (RFC 9113 §8.7).
fn is_unprocessed(error: &(dyn StdError + 'static)) -> bool {
    let mut causes = successors(Some(error as &(dyn StdError + 'static)), |&cause| cause.source());
    let Some(error) = causes.find_map(|cause| cause.downcast_ref::<h2::Error>()) else {
        return false;
    };
    let is_refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
    let has_gone = error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR);
    error.is_remote() && (is_refused || has_gone)
}

/// Which bodies are read, and until when.
pub(super) struct Reading<'a> {
    pub(super) bodies: &'a Bodies,
    pub(super) until: Instant,
    /// Where the longer body of a success is truncated, in bytes.
    pub(super) at_most: Option<usize>,
    /// Whether the request's method is safe.
    pub(super) is_safe: bool,
}

impl Reading<'_> {
    /// Reads the body. A refusal whose body is larger than the bound counts by its status alone.
    pub(super) async fn read(
        self,
        response: http::Response<Incoming>,
    ) -> Result<Response, FailedAttempt> {
        let (head, mut rest) = response.into_parts();
        let is_success = head.status.is_success();
        let most = if is_success { self.at_most.unwrap_or(MAX_BODY) } else { MAX_REFUSAL };
        let declared = rest.size_hint().exact().unwrap_or_default();
        let mut held = self.acquire(usize::try_from(declared).unwrap_or(most).min(most)).await?;
        let mut body = bytes::BytesMut::new();
        let mut is_cut = false;
        while let Some(frame) = rest.frame().await {
            // Trailers say nothing here.
            let Ok(chunk) = frame.map_err(FailedAttempt::lost)?.into_data() else { continue };
            if held.is_small() && body.len() + chunk.len() > SMALL {
                held = self.acquire(most).await?;
            }
            body.extend_from_slice(&chunk);
            if body.len() > most {
                is_cut = true;
                body.truncate(most);
                break;
            }
        }
        let Parts { status, headers, .. } = head;
        if is_cut && !is_success {
            body.clear();
        } else if is_cut && self.at_most.is_none() {
            return Err(FailedAttempt::too_large(self.is_safe));
        }
        held.shrink(body.len());
        Ok(Response { status, headers, body: body.freeze(), is_cut, _held: held })
    }

    async fn acquire(&self, bytes: usize) -> Result<Held, FailedAttempt> {
        let held = self.bodies.acquire(bytes, self.until).await;
        held.ok_or_else(FailedAttempt::no_memory)
    }
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
        // No verdict about the request: redirects, and what a proxy or a connection is about.
        300..=399 | 407 | 408 | 421 | 425 => Kind::Unavailable,
        400..=499 => Kind::InvalidArgument,
        _ => Kind::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::Empty;
    use hyper_util::rt::TokioExecutor;
    use tokio::net::TcpListener;

    use super::*;

    /// The error of a request that an HTTP/2 server resets with `reason`.
    async fn error_of(reason: h2::Reason) -> legacy::Error {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}", listener.local_addr().unwrap());
        let serve = async {
            let (stream, _) = listener.accept().await.unwrap();
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((_, mut respond))) = connection.accept().await {
                respond.send_reset(reason);
            }
        };
        let mut client = legacy::Client::builder(TokioExecutor::new());
        let client = client.http2_only(true).build_http::<Empty<Bytes>>();
        tokio::select! {
            answer = client.get(uri.parse().unwrap()) => answer.unwrap_err(),
            () = serve => unreachable!("the client holds the connection"),
        }
    }

    #[tokio::test]
    async fn a_call_that_the_server_did_not_process_counts_as_unsent() {
        let refused = FailedAttempt::unanswered(error_of(h2::Reason::REFUSED_STREAM).await);
        assert!(refused.unsent);
        let failed = FailedAttempt::unanswered(error_of(h2::Reason::INTERNAL_ERROR).await);
        assert!(!failed.unsent);
        assert_eq!(failed.error.kind(), Kind::Unavailable);
    }
}
