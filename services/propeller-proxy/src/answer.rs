//! What callers get back: a replica's answer as it comes, or the proxy's own.

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

/// The body of an answer.
pub(crate) type Answer = Either<Forwarded, Full<Bytes>>;

/// A replica's answer, passed on as it comes.
pub(crate) struct Forwarded {
    body: Incoming,
    /// It was cut short: no more of it is to come.
    broken: bool,
    call: Call,
}

/// A call until its last byte; what becomes of it is counted when it is dropped.
pub(crate) struct Call {
    pub(crate) started: Instant,
    pub(crate) metrics: TargetMetrics,
    pub(crate) pending: Option<Pending>,
    /// How it ended, once that is known.
    grpc_code: Option<&'static str>,
}

impl Call {
    pub(crate) fn new(metrics: TargetMetrics) -> Self {
        Self { started: Instant::now(), metrics, pending: None, grpc_code: None }
    }

    /// Nobody has processed it, or nobody tells.
    pub(crate) fn set_unavailable(&mut self) {
        self.grpc_code = Some("UNAVAILABLE");
    }

    /// Its answer has ended, with a code or without.
    fn end(&mut self) {
        self.grpc_code.get_or_insert("UNKNOWN");
    }

    /// Learns how the call ended, where headers or trailers tell.
    fn learn(&mut self, headers: &HeaderMap) {
        if let Some(code) = headers.get("grpc-status") {
            self.grpc_code = Some(name_of(code.as_bytes()));
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        // Whoever drops it before its end has cancelled it.
        self.metrics.ended(self.grpc_code.unwrap_or("CANCELLED"), self.started.elapsed());
    }
}

/// A replica's answer.
pub(crate) fn forwarded(response: Response<Incoming>, mut call: Call) -> Response<Answer> {
    // An answer without a body has its status in the headers.
    call.learn(response.headers());
    if response.body().is_end_stream() {
        call.end();
    }
    response.map(|body| Either::Left(Forwarded { body, broken: false, call }))
}

/// The proxy's own answer, in gRPC's form.
pub(crate) fn unavailable(message: String, mut call: Call) -> Response<Answer> {
    let response = Status::unavailable(message).into_http::<Empty<Bytes>>();
    call.learn(response.headers());
    response.map(|_| Either::Right(Full::default()))
}

/// What somebody gets who does not speak gRPC.
pub(crate) fn not_grpc() -> Response<Answer> {
    let text = "propeller-proxy forwards gRPC over HTTP/2 alone; call the service itself over REST, with a \
                token of your own\n";
    let mut response = Response::new(Either::Right(Full::from(text)));
    *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    let plain = http::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

impl Forwarded {
    /// Learns from a frame on its way.
    fn pass(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        if let Some(trailers) = frame.trailers_ref() {
            self.call.learn(trailers);
        }
        if self.body.is_end_stream() {
            self.call.end();
        }
        frame
    }

    /// Ends the answer in gRPC's words: cut short like the replica's, HTTP/2 would call it an error of ours.
    fn break_off(&mut self, error: &hyper::Error) -> Frame<Bytes> {
        let target = self.call.metrics.target();
        tracing::warn!(service = target, %error, "an answer was cut short");
        let message = format!(
            "propeller-proxy: the connection to a replica of {target} broke before its answer ended"
        );
        let mut trailers = HeaderMap::new();
        // Fails for metadata of its own alone, and it has none.
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
