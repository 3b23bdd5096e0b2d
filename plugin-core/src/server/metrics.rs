//! Metrics of the API port.

use std::{borrow::Cow, time::Duration};

use http::Method;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, gauge::Gauge},
    registry::{Registry, Unit},
};
use server_core::{
    metrics::{Histograms, histograms},
    telemetry,
};

use crate::metrics::{SECONDS, known_method};

/// Metrics of the API port.
pub(super) struct Metrics {
    /// `https` on a port with a certificate, whatever requests say of themselves.
    pub(super) url_scheme: &'static str,
    http: Histograms<HttpLabels>,
    rpc: Histograms<RpcLabels>,
    active_requests: Gauge,
    /// Connections that were accepted.
    pub(super) connections: Counter,
    /// Connections that are open.
    pub(super) open_connections: Gauge,
    /// Requests refused as overload.
    pub(super) shed: Counter,
    /// Shared with the log's writer, which counts them.
    dropped_log_lines: Counter,
    /// Panics of handlers; shared with the verbs, which count those of plugins.
    pub(super) panics: Counter,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HttpLabels {
    http_request_method: &'static str,
    http_route: Cow<'static, str>,
    http_response_status_code: u32,
    url_scheme: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RpcLabels {
    rpc_system_name: &'static str,
    rpc_method: &'static str,
    rpc_response_status_code: &'static str,
}

impl Metrics {
    /// `panics` is registered already, by [`panics`](crate::metrics::panics).
    pub(super) fn register(registry: &mut Registry, has_tls: bool, panics: Counter) -> Self {
        let metrics = Self {
            url_scheme: if has_tls { "https" } else { "http" },
            http: histograms(&SECONDS),
            rpc: histograms(&SECONDS),
            active_requests: Gauge::default(),
            connections: Counter::default(),
            open_connections: Gauge::default(),
            shed: Counter::default(),
            dropped_log_lines: telemetry::dropped_lines(),
            panics,
        };
        metrics.register_conventional(registry);
        metrics.register_ours(registry);
        metrics
    }

    fn register_conventional(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "http_server_request_duration",
            "Duration of REST requests",
            Unit::Seconds,
            self.http.clone(),
        );
        registry.register_with_unit(
            "rpc_server_call_duration",
            "Duration of gRPC calls",
            Unit::Seconds,
            self.rpc.clone(),
        );
        registry.register(
            "http_server_active_requests",
            "Requests in progress, gRPC included",
            self.active_requests.clone(),
        );
    }

    fn register_ours(&self, registry: &mut Registry) {
        registry.register(
            "plugin_connections",
            "Connections accepted on the API port",
            self.connections.clone(),
        );
        registry.register(
            "plugin_open_connections",
            "Open connections of the API port",
            self.open_connections.clone(),
        );
        registry.register(
            "plugin_log_lines_dropped",
            "Log lines dropped because nobody read standard output fast enough",
            self.dropped_log_lines.clone(),
        );
        registry.register(
            "plugin_shed_requests",
            "Requests refused because the service was overloaded",
            self.shed.clone(),
        );
    }

    pub(super) fn http_served(
        &self,
        method: &Method,
        route: Cow<'static, str>,
        status: u16,
        took: Duration,
    ) {
        let labels = HttpLabels {
            http_request_method: known_method(method),
            http_route: route,
            http_response_status_code: status.into(),
            url_scheme: self.url_scheme,
        };
        self.http.get_or_create(&labels).observe(took.as_secs_f64());
    }

    pub(super) fn rpc_served(&self, method: &'static str, status: &'static str, took: Duration) {
        let labels = RpcLabels {
            rpc_system_name: "grpc",
            rpc_method: method,
            rpc_response_status_code: status,
        };
        self.rpc.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// Counts the request as active until the guard is dropped.
    pub(super) fn active_request(&self) -> ActiveRequest {
        self.active_requests.inc();
        ActiveRequest(self.active_requests.clone())
    }
}

/// A request in progress.
pub(super) struct ActiveRequest(Gauge);

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        self.0.dec();
    }
}
