//! Observes every request: an id, a span, metrics and one log line.

use std::sync::Arc;

use axum::{extract::Request, response::Response};
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
use tracing::{Level, Span, field::Empty};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::{
    metrics::{ActiveRequest, Metrics},
    route::{Protocol, Route},
};
use crate::{
    context::{Caller, Verb},
    metrics::known_method,
    record::Record,
    task::Phase,
};

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request: the caller's own if it is valid, or a new one.
pub(super) fn take_id(request: &mut Request) -> HeaderValue {
    let callers = request.headers_mut().remove(&REQUEST_ID).filter(is_valid);
    callers.unwrap_or_else(|| {
        let id = HeaderValue::from_str(&format!("{:032x}", rand::random::<u128>()));
        id.unwrap_or(HeaderValue::from_static(""))
    })
}

/// Returns the id of a request in its response.
pub(super) fn return_id(response: &mut Response, id: HeaderValue) {
    response.headers_mut().insert(&REQUEST_ID, id);
}

fn is_valid(id: &HeaderValue) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    !id.is_empty() && id.len() <= 128 && id.as_bytes().iter().all(allowed)
}

/// A request under observation. If it is dropped unfinished, its caller cancelled it.
pub(super) struct Observed {
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
    pub(super) fn start(
        metrics: Arc<Metrics>,
        route: Route,
        request: &Request,
        request_id: HeaderValue,
    ) -> Self {
        let span = server_span(request, &route, metrics.url_scheme);
        Self {
            _active: metrics.active_request(),
            metrics,
            record: Record::default(),
            span,
            started: Instant::now(),
            method: request.method().clone(),
            route,
            request_id,
            outcome: None,
        }
    }

    /// What becomes known of the request.
    pub(super) fn record(&self) -> Record {
        self.record.clone()
    }

    /// The span in which it is served.
    pub(super) fn span(&self) -> Span {
        self.span.clone()
    }

    /// Its route.
    pub(super) fn route(&self) -> &Route {
        &self.route
    }

    /// Ends the observation of a request that was not cancelled.
    pub(super) fn finish(mut self, response: &Response) {
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
                self.metrics.http_served(&self.method, self.route.label(), status, took);
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
    let span = tracing::info_span!(
        target: TRACE_TARGET,
        "request",
        otel.name = span_name(method, route),
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

fn span_name(method: &str, route: &Route) -> String {
    // The conventions' name for a method outside of the closed set.
    let verb = if method == "_OTHER" { "HTTP" } else { method };
    match route.protocol {
        Protocol::Grpc => route.rpc_method.to_owned(),
        Protocol::Rest => format!("{verb} {}", route.pattern()),
    }
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

#[cfg(test)]
mod tests;
