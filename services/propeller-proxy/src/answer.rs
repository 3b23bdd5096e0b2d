//! What callers get back: a replica's answer as it comes, or the proxy's own.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{Either, Empty, Full};
use hyper::body::Incoming;
use tokio::time::Instant;
use tonic::Status;

use crate::{metrics::TargetMetrics, replica::Pending};

/// The body of an answer.
pub(crate) type Answer = Either<Forwarded, Full<Bytes>>;

/// A replica's answer, passed on as it comes.
pub(crate) struct Forwarded {
    body: Incoming,
    call: Call,
}

/// A call until its last byte; what becomes of it is counted when it is dropped.
pub(crate) struct Call {
    pub(crate) started: Instant,
    pub(crate) metrics: TargetMetrics,
    pub(crate) pending: Option<Pending>,
    pub(crate) grpc_code: &'static str,
}

impl Call {
    pub(crate) fn new(metrics: TargetMetrics) -> Self {
        // Until something better is known: whoever drops it first has cancelled it.
        Self { started: Instant::now(), metrics, pending: None, grpc_code: "CANCELLED" }
    }

    /// Learns how the call ended, where headers or trailers tell.
    fn learn(&mut self, headers: &HeaderMap) {
        if let Some(code) = headers.get("grpc-status") {
            self.grpc_code = name_of(code.as_bytes());
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.metrics.answered(self.grpc_code, self.started.elapsed());
    }
}

/// A replica's answer.
pub(crate) fn forwarded(response: Response<Incoming>, mut call: Call) -> Response<Answer> {
    // An answer without a body has its status in the headers.
    call.learn(response.headers());
    response.map(|body| Either::Left(Forwarded { body, call }))
}

/// The proxy's own answer, in gRPC's form.
pub(crate) fn unavailable(message: String, mut call: Call) -> Response<Answer> {
    let response = Status::unavailable(message).into_http::<Empty<Bytes>>();
    call.learn(response.headers());
    response.map(|_| Either::Right(Full::default()))
}

/// What somebody gets who does not speak gRPC.
pub(crate) fn not_grpc() -> Response<Answer> {
    let text = "propeller-proxy forwards gRPC alone; call the service itself over REST, with a token of \
                your own\n";
    let mut response = Response::new(Either::Right(Full::from(text)));
    *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    let plain = http::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

impl Body for Forwarded {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(trailers) = frame.trailers_ref() {
                    self.call.learn(trailers);
                }
            }
            Poll::Ready(Some(Err(_))) => self.call.grpc_code = "UNAVAILABLE",
            Poll::Ready(None) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Names of <https://grpc.github.io/grpc/core/md_doc_statuscodes.html>, as a closed set of labels.
fn name_of(code: &[u8]) -> &'static str {
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
