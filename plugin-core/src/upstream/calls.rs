//! Calls of a plugin that has a client of its own, counted and traced as those of [`Http`](super::Http) are.

use std::sync::Arc;

use http::{HeaderMap, Method, StatusCode};
use prometheus_client::{metrics::gauge::Gauge, registry::Registry};
use server_core::{Kind, telemetry::TRACE_TARGET};
use tokio::time::Instant;
use tracing::{Span, field::Empty};

use super::{
    metrics::{Metrics, OwnMetrics},
    trace,
};
use crate::task::TaskType;

/// Counts and traces the calls of a plugin with a client of its own; passed to
/// [`RawPlugin::new`](crate::RawPlugin::new). Cloning is cheap.
#[derive(Clone)]
pub struct Calls {
    shared: Arc<Metrics>,
    own: Arc<OwnMetrics>,
    host: Arc<str>,
}

/// What a call is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Asks what there is.
    Discover,
    /// Submits a job.
    Create,
    /// Reads a job's status.
    Get,
    /// Stops a job.
    Delete,
    /// Runs a task within the call.
    Execute,
}

impl Operation {
    /// Its name in metrics.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Discover => "discover",
            Self::Create => "create",
            Self::Get => "get",
            Self::Delete => "delete",
            Self::Execute => "execute",
        }
    }
}

impl Calls {
    /// Registers the metrics of calls with other clients than ours; `shared` has those of all calls.
    pub(crate) fn register(registry: &mut Registry, shared: Arc<Metrics>) -> Self {
        let own = Arc::new(OwnMetrics::register(registry));
        Self { shared, own, host: "".into() }
    }

    /// The same for calls to `host`, which is a label: take it from a setting.
    #[must_use]
    pub fn to_host(self, host: &str) -> Self {
        Self { host: host.into(), ..self }
    }

    /// Begins a call of REST. `path` is one of few, because it names the span.
    pub fn http(&self, operation: Operation, method: &Method, path: &str) -> Call {
        self.call(operation, method, path, false)
    }

    /// Begins a call of gRPC's method at `path`, for example `/package.Service/Method`.
    pub fn grpc(&self, operation: Operation, path: &str) -> Call {
        self.call(operation, &Method::POST, path, true)
    }

    fn call(&self, operation: Operation, method: &Method, path: &str, is_grpc: bool) -> Call {
        Call {
            span: span(&self.host, method, path, is_grpc),
            _active: Counted::new(self.own.active(operation.name())),
            calls: self.clone(),
            operation,
            method: method.clone(),
            started: Instant::now(),
            status: 0,
            error_type: CANCELLED,
            outcome: CANCELLED,
        }
    }

    /// Notes that a call waits for others to end, until the result is dropped.
    pub fn waiting(&self, operation: Operation) -> WaitingCall {
        WaitingCall(Counted::new(self.own.waiting(operation.name())))
    }

    /// Notes that a create is sent to somebody who does not tell a repeat from another task by its key.
    pub fn create_without_key(&self, task_type: TaskType) -> UnkeyedCreate {
        let own = Arc::clone(&self.own);
        UnkeyedCreate { own, task_type: task_type.name, outcome: Some("unknown") }
    }
}

const CANCELLED: &str = "cancelled";

fn span(host: &str, method: &Method, path: &str, is_grpc: bool) -> Span {
    let rpc = is_grpc.then(|| path.trim_start_matches('/'));
    tracing::info_span!(
        target: TRACE_TARGET,
        "upstream",
        otel.name = rpc.map_or_else(|| format!("{method} {path}"), str::to_owned),
        otel.kind = "client",
        otel.status_code = Empty,
        http.request.method = %method,
        server.address = host,
        url.path = path,
        rpc.system.name = is_grpc.then_some("grpc"),
        rpc.method = rpc,
        http.response.status_code = Empty,
        error.type = Empty,
    )
}

/// A call under way; its outcome is recorded when it is dropped, even by cancellation.
#[must_use = "a call ends when it is dropped"]
pub struct Call {
    calls: Calls,
    operation: Operation,
    method: Method,
    started: Instant,
    span: Span,
    status: u16,
    error_type: &'static str,
    outcome: &'static str,
    _active: Counted,
}

impl Call {
    /// The headers, or gRPC's metadata, that continue the trace: `traceparent` and `tracestate`. Empty while tracing is
    /// off.
    #[must_use]
    pub fn headers(&self) -> HeaderMap {
        trace::headers(&self.span)
    }

    /// Records the HTTP status of the response.
    pub fn answered(&mut self, status: StatusCode) {
        self.status = status.as_u16();
        self.span.record("http.response.status_code", self.status);
    }

    /// Records a success.
    pub fn succeeded(&mut self) {
        (self.error_type, self.outcome) = ("", "success");
    }

    /// Records a failure: a refusal if `kind` is definitive.
    pub fn failed(&mut self, kind: Kind) {
        let outcome = if kind.is_transient() { "failure" } else { "refused" };
        (self.error_type, self.outcome) = (kind.name(), outcome);
    }

    /// Records an exception in the code that answers, which says nothing about the request.
    pub fn raised(&mut self, kind: Kind) {
        (self.error_type, self.outcome) = (kind.name(), "exception");
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.error_type.is_empty() {
            self.span.record("error.type", self.error_type);
            self.span.record("otel.status_code", "ERROR");
        }
        let (Calls { shared, own, host }, took) = (&self.calls, self.started.elapsed());
        shared.attempted(&self.method, host, self.status, self.error_type, took);
        own.called(self.operation.name(), self.outcome, took);
    }
}

/// A call that waits for others to end.
#[must_use = "it waits until it is dropped"]
pub struct WaitingCall(#[expect(dead_code, reason = "counts until it is dropped")] Counted);

/// A create whose repeat could start a second job. Unless its answer is noted, it counts as one whose outcome is
/// unknown.
#[must_use = "it counts when it is dropped"]
pub struct UnkeyedCreate {
    own: Arc<OwnMetrics>,
    task_type: &'static str,
    outcome: Option<&'static str>,
}

impl UnkeyedCreate {
    /// Notes that there was an answer: whether there is a job is known.
    pub fn answered(mut self) {
        self.outcome = Some("known");
    }

    /// Notes that nothing was sent.
    pub fn unsent(mut self) {
        self.outcome = None;
    }
}

impl Drop for UnkeyedCreate {
    fn drop(&mut self) {
        if let Some(outcome) = self.outcome {
            self.own.created_without_key(self.task_type, outcome);
        }
    }
}

/// One more, until it is dropped.
struct Counted(Gauge);

impl Counted {
    fn new(gauge: Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests;
