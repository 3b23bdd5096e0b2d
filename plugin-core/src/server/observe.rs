//! Observes every request: an id, a span, metrics and one log line.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use opentelemetry::{
    propagation::{Extractor, TextMapPropagator as _},
    trace::TraceContextExt as _,
};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use server_core::{
    Error, Kind,
    telemetry::{REQUEST_TARGET, TRACE_TARGET},
};
use tokio::time::Instant;
use tonic::{Code, Status};
use tracing::{Instrument as _, Level, Span, field::Empty};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::{
    metrics::{ActiveRequest, Metrics},
    respond::render,
    route::{Protocol, Route},
};
use crate::{
    context::{Caller, Verb},
    metrics::known_method,
    record::Record,
    task::Phase,
};

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Gives the request an id, the caller's own if it is valid, and returns it in the response.
pub(super) async fn request_id(mut request: Request, next: Next) -> Response {
    let callers = request.headers().get(&REQUEST_ID).filter(|id| is_valid(id)).cloned();
    let id =
        callers.or_else(|| HeaderValue::from_str(&format!("{:032x}", rand::random::<u128>())).ok());
    let Some(id) = id else {
        return next.run(request).await;
    };
    request.headers_mut().insert(&REQUEST_ID, id.clone());
    let mut response = next.run(request).await;
    response.headers_mut().insert(&REQUEST_ID, id);
    response
}

fn is_valid(id: &HeaderValue) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    !id.is_empty() && id.len() <= 128 && id.as_bytes().iter().all(allowed)
}

/// Serves the request in a span and with a [`Record`], and writes its log line.
pub(super) async fn trace(
    State(metrics): State<Arc<Metrics>>,
    Extension(route): Extension<Route>,
    mut request: Request,
    next: Next,
) -> Response {
    let observed = Observed::start(metrics, route, &request);
    request.extensions_mut().insert(observed.record.clone());
    let span = observed.span.clone();
    let response = next.run(request).instrument(span).await;
    observed.finish(&response);
    response
}

/// A request under observation. If it is dropped unfinished, its caller cancelled it.
struct Observed {
    metrics: Arc<Metrics>,
    record: Record,
    span: Span,
    started: Instant,
    method: Method,
    route: Route,
    request_id: HeaderValue,
    outcome: Option<(StatusCode, Code)>,
    _active: ActiveRequest,
}

impl Observed {
    fn start(metrics: Arc<Metrics>, route: Route, request: &Request) -> Self {
        let request_id = request.headers().get(&REQUEST_ID).cloned();
        let span = server_span(request, &route, metrics.url_scheme);
        Self {
            _active: metrics.active_request(),
            metrics,
            record: Record::default(),
            span,
            started: Instant::now(),
            method: request.method().clone(),
            route,
            request_id: request_id.unwrap_or(HeaderValue::from_static("")),
            outcome: None,
        }
    }

    fn finish(mut self, response: &Response) {
        self.outcome = Some((response.status(), grpc_code(response)));
    }

    fn count(&self) {
        let took = self.started.elapsed();
        // nginx's 499 and gRPC's CANCELLED stand for a caller that disconnected.
        let cancelled = (499, Code::Cancelled);
        let outcome = self.outcome.map(|(status, code)| (status.as_u16(), code));
        let (status, code) = outcome.unwrap_or(cancelled);
        match self.route.protocol {
            Protocol::Rest => {
                self.metrics.http_served(&self.method, self.route.pattern(), status, took);
            }
            Protocol::Grpc => {
                self.metrics.rpc_served(self.route.rpc_method, code_name(code), took);
            }
        }
    }

    fn status(&self) -> String {
        match (self.outcome, self.route.protocol) {
            (None, _) => "cancelled".to_owned(),
            (Some((status, _)), Protocol::Rest) => status.as_u16().to_string(),
            (Some((_, code)), Protocol::Grpc) => code_name(code).to_owned(),
        }
    }

    /// Whether the request failed because of the service, not because of its caller.
    fn is_server_error(&self) -> bool {
        match (self.outcome, self.route.protocol) {
            (None, _) => false,
            (Some((status, _)), Protocol::Rest) => status.is_server_error(),
            (Some((_, code)), Protocol::Grpc) => is_server_code(code),
        }
    }

    fn log(&self) {
        let fields = self.record.fields();
        let execution = &fields.execution;
        let caller = fields.caller.as_ref();
        let route = match self.route.protocol {
            Protocol::Rest => self.route.pattern(),
            Protocol::Grpc => self.route.rpc_method,
        };
        // A macro, because an event's level is static.
        macro_rules! line {
            ($level:expr) => {
                tracing::event!(
                    target: REQUEST_TARGET,
                    $level,
                    request_id = self.request_id.to_str().unwrap_or_default(),
                    trace_id = trace_id(&self.span),
                    method = known_method(&self.method),
                    route,
                    status = self.status(),
                    duration_ms = self.started.elapsed().as_secs_f64() * 1e3,
                    verb = self.route.verb.map(Verb::name),
                    task_type = fields.task_type,
                    flyte.project = non_empty(&execution.project),
                    flyte.domain = non_empty(&execution.domain),
                    flyte.execution = non_empty(&execution.name),
                    flyte.node = non_empty(&execution.node),
                    flyte.attempt = (!execution.name.is_empty()).then_some(execution.attempt),
                    flyte.task = non_empty(&execution.task),
                    job = fields.job.as_deref(),
                    phase = fields.phase.map(Phase::name),
                    issuer = caller.map(Caller::issuer),
                    subject = caller.map(Caller::subject_hash),
                    role = caller.map(|caller| caller.role().name()),
                    error = fields.error.as_ref().map(Error::message),
                    error_code = fields.error.as_ref().and_then(Error::code),
                    cause = fields.error.as_ref().and_then(Error::chain),
                    "request"
                )
            };
        }
        if fields.error.as_ref().is_some_and(|error| error.kind() == Kind::Internal) {
            line!(Level::ERROR);
        } else if self.is_server_error() {
            line!(Level::WARN);
        } else {
            line!(Level::INFO);
        }
    }

    /// Ends the span by OpenTelemetry's rules for servers: a client error does not fail the span.
    fn end_span(&self) {
        if let Some((status, code)) = self.outcome {
            match self.route.protocol {
                Protocol::Rest => self.span.record("http.response.status_code", status.as_u16()),
                Protocol::Grpc => self.span.record("rpc.response.status_code", code_name(code)),
            };
        }
        if self.is_server_error() {
            self.span.record("error.type", self.status());
            self.span.record("otel.status_code", "ERROR");
        }
    }
}

impl Drop for Observed {
    fn drop(&mut self) {
        self.count();
        self.log();
        self.end_span();
    }
}

/// <https://opentelemetry.io/docs/specs/semconv/rpc/grpc/#recording-errors>
fn is_server_code(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}

fn non_empty(name: &str) -> Option<&str> {
    (!name.is_empty()).then_some(name)
}

fn server_span(request: &Request, route: &Route, url_scheme: &'static str) -> Span {
    let method = known_method(request.method());
    // The conventions' name for a method outside of the closed set.
    let verb = if method == "_OTHER" { "HTTP" } else { &method };
    let name = match route.protocol {
        Protocol::Grpc => route.rpc_method.to_owned(),
        Protocol::Rest => format!("{verb} {}", route.pattern()),
    };
    let span = tracing::info_span!(
        target: TRACE_TARGET,
        "request",
        otel.name = name,
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method,
        http.route = route.pattern(),
        http.response.status_code = Empty,
        url.path = shortened(request.uri().path()),
        url.scheme = url_scheme,
        rpc.system.name = (route.protocol == Protocol::Grpc).then_some("grpc"),
        rpc.method = (route.protocol == Protocol::Grpc).then_some(route.rpc_method),
        rpc.response.status_code = Empty,
        error.type = Empty,
    );
    if !span.is_disabled() {
        let parent = TraceContextPropagator::new().extract(&Headers(request.headers()));
        // Fails only if tracing is off.
        let _ = span.set_parent(parent);
    }
    span
}

/// Spans wait for their export in memory, thousands at a time.
fn shortened(path: &str) -> &str {
    const MAX_BYTES: usize = 512;
    &path[..path.floor_char_boundary(MAX_BYTES)]
}

fn trace_id(span: &Span) -> Option<String> {
    if span.is_disabled() {
        return None;
    }
    let context = span.context();
    let span_context = context.span().span_context().clone();
    span_context.is_valid().then(|| span_context.trace_id().to_string())
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

/// The status of a unary call: in the head if it failed, in the trailers if it succeeded.
fn grpc_code(response: &Response) -> Code {
    Status::from_header_map(response.headers()).map_or(Code::Ok, |status| status.code())
}

/// The names that OpenTelemetry's `rpc.response.status_code` uses.
fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// Turns a panic into an error response, so that it fails one call and not the connection.
pub(super) async fn catch_panic(
    State(metrics): State<Arc<Metrics>>,
    Extension(route): Extension<Route>,
    request: Request,
    next: Next,
) -> Response {
    let record = request.extensions().get::<Record>().cloned();
    let served = std::panic::AssertUnwindSafe(next.run(request)).catch_unwind().await;
    served.unwrap_or_else(|panic| {
        metrics.panics.inc();
        let error = Error::panicked(&*panic);
        if let Some(record) = record {
            record.fields().error = Some(error.clone());
        }
        render(&error, route.protocol)
    })
}

#[cfg(test)]
mod tests;
