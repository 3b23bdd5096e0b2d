//! Metrics and traces of one attempt of a call to the vendor.

use std::sync::Arc;

use http::{Method, StatusCode};
use server_core::{Error, telemetry::TRACE_TARGET};
use tokio::time::Instant;
use tracing::{Span, field::Empty};
use url::Url;

use super::metrics::Metrics;

/// An attempt under way; its outcome is recorded when it is dropped, even by cancellation.
pub(crate) struct UpstreamCall<'a> {
    metrics: Arc<Metrics>,
    method: &'a Method,
    host: &'a str,
    started: Instant,
    span: Span,
    status: u16,
    error_type: &'static str,
}

impl<'a> UpstreamCall<'a> {
    /// To `path` of the server of `base`.
    pub(crate) fn start(
        metrics: &Arc<Metrics>,
        method: &'a Method,
        base: &'a Url,
        path: &str,
        resend: u32,
    ) -> Self {
        let host = base.host_str().unwrap_or_default();
        let span = tracing::info_span!(
            target: TRACE_TARGET,
            "upstream",
            otel.name = %method,
            otel.kind = "client",
            otel.status_code = Empty,
            http.request.method = %method,
            http.request.resend_count = (resend > 0).then_some(resend),
            server.address = host,
            server.port = base.port_or_known_default(),
            url.path = path,
            http.response.status_code = Empty,
            error.type = Empty,
        );
        Self {
            metrics: Arc::clone(metrics),
            method,
            host,
            started: Instant::now(),
            span,
            status: 0,
            error_type: "cancelled",
        }
    }

    /// Records the response's status.
    pub(crate) fn answered(&mut self, status: StatusCode) {
        self.status = status.as_u16();
        self.span.record("http.response.status_code", self.status);
    }

    /// Records a 2xx response.
    pub(crate) fn succeeded(&mut self) {
        self.error_type = "";
    }

    /// Records a failure.
    pub(crate) fn failed(&mut self, error: &Error) {
        self.error_type = error.kind().name();
    }
}

impl Drop for UpstreamCall<'_> {
    fn drop(&mut self) {
        if !self.error_type.is_empty() {
            self.span.record("error.type", self.error_type);
            self.span.record("otel.status_code", "ERROR");
        }
        let took = self.started.elapsed();
        self.metrics.attempted(self.method, self.host, self.status, self.error_type, took);
    }
}
