//! The service's Prometheus metrics.
//!
//! Names are OpenTelemetry's semantic conventions (1.42) in Prometheus' spelling, flytekit's four
//! `flyte_connector_*` names so that its dashboards go on working, and `plugin_*` for the rest. Label
//! values come from closed sets: no caller can make new series.

mod labels;

use std::time::Duration;

use http::{Method, StatusCode};
use prometheus_client::{
    encoding::text,
    metrics::{
        counter::Counter,
        family::{Family, MetricConstructor},
        gauge::Gauge,
        histogram::Histogram,
        info::Info,
    },
    registry::{Registry, Unit},
};
use server_core::{Error, ServiceInfo};

use self::labels::{
    FailureLabels, HttpClientLabels, HttpServerLabels, IssuerLabels, OperationLabels, ReasonLabels,
    RpcServerLabels, TaskTypeLabels,
};
use crate::context::Verb;

/// What the conventions advise for durations in seconds.
const SECONDS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
const BYTES: [f64; 7] = [256.0, 1024.0, 4096.0, 16384.0, 65536.0, 1048576.0, 16777216.0];

#[derive(Clone)]
struct Buckets(&'static [f64]);

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(self.0.iter().copied())
    }
}

type Histograms<Labels> = Family<Labels, Histogram, Buckets>;

fn histograms<Labels: Clone + std::hash::Hash + Eq>(buckets: &'static [f64]) -> Histograms<Labels> {
    Family::new_with_constructor(Buckets(buckets))
}

/// Every metric of one service.
pub(crate) struct Metrics {
    registry: Registry,
    http_server: Histograms<HttpServerLabels>,
    rpc_server: Histograms<RpcServerLabels>,
    http_client: Histograms<HttpClientLabels>,
    successes: Family<OperationLabels, Counter>,
    failures: Family<FailureLabels, Counter>,
    latency: Histograms<OperationLabels>,
    input_bytes: Histograms<TaskTypeLabels>,
    active_requests: Gauge,
    connections: Counter,
    upstream_retries: Counter,
    upstream_throttled: Counter,
    batched_polls: Counter,
    stale_answers: Family<TaskTypeLabels, Counter>,
    unknown_states: Family<TaskTypeLabels, Counter>,
    unreadable_handles: Family<OperationLabels, Counter>,
    joined_creates: Counter,
    abandoned_creates: Counter,
    auth_failures: Family<ReasonLabels, Counter>,
    jwks_fetches: Family<IssuerLabels, Counter>,
    shed: Counter,
    panics: Counter,
}

impl Metrics {
    pub(crate) fn new(info: ServiceInfo) -> Self {
        let mut metrics = Self {
            registry: Registry::default(),
            http_server: histograms(&SECONDS),
            rpc_server: histograms(&SECONDS),
            http_client: histograms(&SECONDS),
            successes: Family::default(),
            failures: Family::default(),
            latency: histograms(&SECONDS),
            input_bytes: histograms(&BYTES),
            active_requests: Gauge::default(),
            connections: Counter::default(),
            upstream_retries: Counter::default(),
            upstream_throttled: Counter::default(),
            batched_polls: Counter::default(),
            stale_answers: Family::default(),
            unknown_states: Family::default(),
            unreadable_handles: Family::default(),
            joined_creates: Counter::default(),
            abandoned_creates: Counter::default(),
            auth_failures: Family::default(),
            jwks_fetches: Family::default(),
            shed: Counter::default(),
            panics: Counter::default(),
        };
        metrics.register_conventional(info);
        metrics.register_flytekits();
        metrics.register_ours();
        metrics
    }

    fn register_conventional(&mut self, info: ServiceInfo) {
        let r = &mut self.registry;
        let target = Info::new([("service_name", info.name), ("service_version", info.version)]);
        r.register("target", "The service", target);
        r.register_with_unit(
            "http_server_request_duration",
            "Duration of REST requests",
            Unit::Seconds,
            self.http_server.clone(),
        );
        r.register_with_unit(
            "rpc_server_call_duration",
            "Duration of gRPC calls",
            Unit::Seconds,
            self.rpc_server.clone(),
        );
        r.register_with_unit(
            "http_client_request_duration",
            "Duration of tries of calls to the vendor",
            Unit::Seconds,
            self.http_client.clone(),
        );
        r.register(
            "http_server_active_requests",
            "Requests being served, gRPC included",
            self.active_requests.clone(),
        );
    }

    fn register_flytekits(&mut self) {
        let r = &mut self.registry;
        r.register(
            "flyte_connector_requests_success",
            "Total number of successful requests",
            self.successes.clone(),
        );
        r.register(
            "flyte_connector_requests_failure",
            "Total number of failed requests",
            self.failures.clone(),
        );
        r.register_with_unit(
            "flyte_connector_request_latency",
            "Time spent processing connector request",
            Unit::Seconds,
            self.latency.clone(),
        );
        r.register_with_unit(
            "flyte_connector_input_literal",
            "Size of input literal",
            Unit::Bytes,
            self.input_bytes.clone(),
        );
    }

    fn register_ours(&mut self) {
        let r = &mut self.registry;
        r.register(
            "plugin_connections",
            "Connections accepted on the API port",
            self.connections.clone(),
        );
        r.register(
            "plugin_upstream_retries",
            "Calls to the vendor that were made again",
            self.upstream_retries.clone(),
        );
        r.register(
            "plugin_upstream_throttled",
            "Calls that the vendor answered with too many requests",
            self.upstream_throttled.clone(),
        );
        r.register(
            "plugin_batched_polls",
            "Polls that were answered together with others",
            self.batched_polls.clone(),
        );
        r.register(
            "plugin_stale_answers",
            "Polls answered with the last known phase because the vendor could not be asked",
            self.stale_answers.clone(),
        );
        r.register(
            "plugin_unknown_states",
            "Polls that found a job in a state this version does not know",
            self.unknown_states.clone(),
        );
        r.register(
            "plugin_unreadable_handles",
            "Calls with a handle that no configured key opens",
            self.unreadable_handles.clone(),
        );
        r.register(
            "plugin_joined_creates",
            "Creates and executions that joined one under way with the same key",
            self.joined_creates.clone(),
        );
        r.register(
            "plugin_abandoned_creates",
            "Creates and executions that finished after their caller had gone",
            self.abandoned_creates.clone(),
        );
        r.register(
            "plugin_auth_failures",
            "Requests refused by authentication or authorisation",
            self.auth_failures.clone(),
        );
        r.register("plugin_jwks_fetches", "Fetches of key sets", self.jwks_fetches.clone());
        r.register("plugin_shed_requests", "Requests refused for overload", self.shed.clone());
        r.register("plugin_panics", "Handlers that panicked", self.panics.clone());
    }

    /// Everything, as OpenMetrics text.
    pub(crate) fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }

    pub(crate) fn http_served(
        &self,
        method: &Method,
        route: &str,
        status: StatusCode,
        took: Duration,
    ) {
        let labels = HttpServerLabels {
            http_request_method: known_method(method),
            http_route: route.to_owned(),
            http_response_status_code: status.as_u16().into(),
            url_scheme: "http",
        };
        self.http_server.get_or_create(&labels).observe(took.as_secs_f64());
    }

    pub(crate) fn rpc_served(&self, method: &'static str, status: &'static str, took: Duration) {
        let labels = RpcServerLabels {
            rpc_system_name: "grpc",
            rpc_method: method,
            rpc_response_status_code: status,
        };
        self.rpc_server.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// Counts one create, get, delete or execution under flytekit's names.
    pub(crate) fn operation(
        &self,
        task_type: &'static str,
        verb: Verb,
        took: Duration,
        failure: Option<&Error>,
    ) {
        let labels = OperationLabels { task_type, operation: verb.name() };
        self.latency.get_or_create(&labels).observe(took.as_secs_f64());
        match failure {
            None => self.successes.get_or_create(&labels).inc(),
            Some(error) => {
                let error_code = error.kind().http().as_u16().into();
                let labels = FailureLabels { task_type, operation: verb.name(), error_code };
                self.failures.get_or_create(&labels).inc()
            }
        };
    }

    pub(crate) fn input_bytes(&self, task_type: &'static str, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.input_bytes.get_or_create(&TaskTypeLabels { task_type }).observe(bytes.into());
    }

    /// Counts the request as active until the guard is dropped.
    pub(crate) fn active_request(&self) -> ActiveRequest {
        self.active_requests.inc();
        ActiveRequest(self.active_requests.clone())
    }

    /// Counts one try of a call to the vendor; `status` is 0 when no answer came.
    pub(crate) fn upstream_called(
        &self,
        method: &Method,
        host: &str,
        status: u16,
        error_type: &'static str,
        took: Duration,
    ) {
        let labels = HttpClientLabels {
            http_request_method: known_method(method),
            server_address: host.to_owned(),
            http_response_status_code: status.into(),
            error_type,
        };
        self.http_client.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// What counts connections.
    pub(crate) fn connections(&self) -> Counter {
        self.connections.clone()
    }

    pub(crate) fn batched_poll(&self) {
        self.batched_polls.inc();
    }

    pub(crate) fn upstream_throttled(&self) {
        self.upstream_throttled.inc();
    }

    pub(crate) fn upstream_retry(&self) {
        self.upstream_retries.inc();
    }

    pub(crate) fn stale_answer(&self, task_type: &'static str) {
        self.stale_answers.get_or_create(&TaskTypeLabels { task_type }).inc();
    }

    pub(crate) fn unknown_state(&self, task_type: &'static str) {
        self.unknown_states.get_or_create(&TaskTypeLabels { task_type }).inc();
    }

    pub(crate) fn unreadable_handle(&self, verb: Verb) {
        // Whose it was meant to be cannot be told.
        let labels = OperationLabels { task_type: "", operation: verb.name() };
        self.unreadable_handles.get_or_create(&labels).inc();
    }

    pub(crate) fn joined_create(&self) {
        self.joined_creates.inc();
    }

    pub(crate) fn abandoned_create(&self) {
        self.abandoned_creates.inc();
    }

    pub(crate) fn auth_failure(&self, reason: &'static str) {
        self.auth_failures.get_or_create(&ReasonLabels { reason }).inc();
    }

    pub(crate) fn jwks_fetch(&self, issuer: &str, ok: bool) {
        let result = if ok { "ok" } else { "error" };
        self.jwks_fetches.get_or_create(&IssuerLabels { issuer: issuer.to_owned(), result }).inc();
    }

    pub(crate) fn shed(&self) {
        self.shed.inc();
    }

    pub(crate) fn panic(&self) {
        self.panics.inc();
    }
}

/// A method any caller could invent must not make a series.
fn known_method(method: &Method) -> String {
    let known = [Method::GET, Method::PUT, Method::DELETE, Method::POST, Method::HEAD];
    if known.contains(method) { method.to_string() } else { "_OTHER".to_owned() }
}

/// A request being served.
pub(crate) struct ActiveRequest(Gauge);

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        self.0.dec();
    }
}
