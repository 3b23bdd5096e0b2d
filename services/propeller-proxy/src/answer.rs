//! Responses to callers: a streamed response of a replica, or the proxy's own.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{Either, Empty, Full};
use hyper::body::Incoming;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::Status;

use crate::{
    metrics::TargetMetrics,
    replica::Pending,
    unread::{Broken, Source, Unread},
};

/// The body of a response.
pub(crate) type Answer = Either<Forwarded, Full<Bytes>>;

/// The streamed body of a replica's response.
pub(crate) struct Forwarded {
    source: Arc<Source>,
    /// Completes when it is to end; for a response that would go on for ever.
    stop: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
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

/// Forwards a replica's response, as long as its caller reads it, and until `stop` if there is one.
pub(crate) fn forwarded(
    response: Response<Incoming>,
    unread: &Unread,
    stop: Option<CancellationToken>,
    mut call: Call,
) -> Response<Answer> {
    // A response without a body has its status in the headers.
    call.record_status(response.headers());
    if response.body().is_end_stream() {
        call.end();
    }
    let stop = stop.map(|stop| Box::pin(stop.cancelled_owned()));
    response.map(|body| {
        Either::Left(Forwarded { source: unread.watch(body), stop, broken: false, call })
    })
}

/// A gRPC response from the proxy itself.
pub(crate) fn failed(status: &Status, mut call: Call) -> Response<Answer> {
    let response = status.clone().into_http::<Empty<Bytes>>();
    call.record_status(response.headers());
    response.map(|_| Either::Right(Full::default()))
}

/// The response to a request that is not gRPC.
pub(crate) fn not_grpc() -> Response<Answer> {
    let message = "propeller-proxy forwards only gRPC over HTTP/2; for REST, call the service directly with \
                   your own token\n";
    plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, message)
}

/// The response to a request with a method other than POST.
pub(crate) fn not_post() -> Response<Answer> {
    let message = "propeller-proxy forwards only gRPC, whose method is POST\n";
    let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, message);
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
    response
}

fn plain(status: StatusCode, message: &'static str) -> Response<Answer> {
    let mut response = Response::new(Either::Right(Full::from(message)));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

impl Forwarded {
    /// Records the status in a frame and passes it on.
    fn pass(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        if let Some(trailers) = frame.trailers_ref() {
            self.call.record_status(trailers);
        }
        if self.source.is_end_stream() {
            self.call.end();
        }
        frame
    }

    /// Ends the response with a gRPC status. If it simply broke off like the replica's, HTTP/2 would report
    /// an error of this proxy.
    fn break_off(&mut self, broken: &Broken) -> Frame<Bytes> {
        let target = self.call.metrics.target();
        tracing::warn!(service = target, error = %broken, "a response ended early");
        let mut trailers = HeaderMap::new();
        // Can fail only for a status with metadata, and this one has none.
        let _ = Status::unavailable(broken.message(target)).add_header(&mut trailers);
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
        if self.stop.as_mut().is_some_and(|stop| stop.as_mut().poll(cx).is_ready()) {
            return Poll::Ready(Some(Ok(self.break_off(&Broken::Stopping))));
        }
        let frame = match ready!(self.source.poll_frame(cx)) {
            Some(Ok(frame)) => self.pass(frame),
            Some(Err(broken)) => self.break_off(&broken),
            None => {
                self.call.end();
                return Poll::Ready(None);
            }
        };
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.broken || self.source.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.source.size_hint()
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
