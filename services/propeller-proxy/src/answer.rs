//! Responses to callers: a streamed response of a replica, or the proxy's own.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{Either, Empty, Full};
use hyper::body::Incoming;
use tokio::time::Instant;
use tonic::Status;

use crate::{metrics::TargetMetrics, replica::Pending};

/// The body of a response.
pub(crate) type Answer = Either<Forwarded, Full<Bytes>>;

/// The streamed body of a replica's response.
pub(crate) struct Forwarded {
    body: Incoming,
    /// Whether it ended early and the stream is over.
    broken: bool,
    call: Call,
}

/// A call until the last byte of its response; its outcome is counted when this is dropped.
pub(crate) struct Call {
    pub(crate) started: Instant,
    pub(crate) metrics: TargetMetrics,
    pub(crate) pending: Option<Pending>,
    /// The outcome, once it is known.
    grpc_code: Option<&'static str>,
}

impl Call {
    pub(crate) fn new(metrics: TargetMetrics) -> Self {
        Self { started: Instant::now(), metrics, pending: None, grpc_code: None }
    }

    /// Sets the outcome of a call that was not processed, or whose outcome is lost.
    pub(crate) fn set_unavailable(&mut self) {
        self.grpc_code = Some("UNAVAILABLE");
    }

    /// Marks the response as ended, with or without a status.
    fn end(&mut self) {
        self.grpc_code.get_or_insert("UNKNOWN");
    }

    /// Reads the outcome from headers or trailers that contain a status.
    fn record_status(&mut self, headers: &HeaderMap) {
        if let Some(code) = headers.get("grpc-status") {
            self.grpc_code = Some(code_name(code.as_bytes()));
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        // If it is dropped before its end, the caller has cancelled it.
        self.metrics.ended(self.grpc_code.unwrap_or("CANCELLED"), self.started.elapsed());
    }
}

/// Forwards a replica's response.
pub(crate) fn forwarded(response: Response<Incoming>, mut call: Call) -> Response<Answer> {
    // A response without a body has its status in the headers.
    call.record_status(response.headers());
    if response.body().is_end_stream() {
        call.end();
    }
    response.map(|body| Either::Left(Forwarded { body, broken: false, call }))
}

/// A gRPC response from the proxy itself, with status `UNAVAILABLE`.
pub(crate) fn unavailable(message: String, mut call: Call) -> Response<Answer> {
    let response = Status::unavailable(message).into_http::<Empty<Bytes>>();
    call.record_status(response.headers());
    response.map(|_| Either::Right(Full::default()))
}

/// The response to a request that is not gRPC.
pub(crate) fn not_grpc() -> Response<Answer> {
    let message = "propeller-proxy forwards only gRPC over HTTP/2; for REST, call the service directly with \
                   your own token\n";
    let mut response = Response::new(Either::Right(Full::from(message)));
    *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    let plain = http::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

impl Forwarded {
    /// Records the status in a frame and passes it on.
    fn pass(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        if let Some(trailers) = frame.trailers_ref() {
            self.call.record_status(trailers);
        }
        if self.body.is_end_stream() {
            self.call.end();
        }
        frame
    }

    /// Ends the response with a gRPC status. If it simply broke off like the replica's, HTTP/2 would report
    /// an error of this proxy.
    fn break_off(&mut self, error: &hyper::Error) -> Frame<Bytes> {
        let target = self.call.metrics.target();
        tracing::warn!(service = target, %error, "a response ended early");
        let message = format!(
            "propeller-proxy: the connection to a replica of {target} broke before its response was complete"
        );
        let mut trailers = HeaderMap::new();
        // Can fail only for a status with metadata, and this one has none.
        let _ = Status::unavailable(message).add_header(&mut trailers);
        self.broken = true;
        self.call.set_unavailable();
        Frame::trailers(trailers)
    }
}

impl Body for Forwarded {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.broken {
            return Poll::Ready(None);
        }
        let polled = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let frame = match polled {
            Some(Ok(frame)) => self.pass(frame),
            Some(Err(error)) => self.break_off(&error),
            None => {
                self.call.end();
                return Poll::Ready(None);
            }
        };
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.broken || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The name of a status code, from <https://grpc.github.io/grpc/core/md_doc_statuscodes.html>: a closed set
/// of label values.
fn code_name(code: &[u8]) -> &'static str {
    const NAMES: [&str; 17] = [
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    ];
    let number = std::str::from_utf8(code).ok().and_then(|text| text.parse::<usize>().ok());
    number.and_then(|number| NAMES.get(number)).copied().unwrap_or("UNKNOWN")
}
