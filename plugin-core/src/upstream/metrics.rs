//! Metrics of calls to the upstream.

use std::time::Duration;

use http::Method;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};
use server_core::metrics::{Histograms, histograms};

use crate::metrics::{SECONDS, known_method};

/// Metrics of calls to the upstream, of all plugins of a service.
pub(crate) struct Metrics {
    durations: Histograms<AttemptLabels>,
    /// Calls that were sent again.
    pub(super) retries: Counter,
    /// Calls that the upstream answered with a rate limit.
    pub(super) throttled: Counter,
    /// Retries that were not made, because too many calls fail.
    pub(super) denied_retries: Counter,
    /// Attempts that were not made, because every call fails.
    pub(super) broken: Counter,
    #[cfg(feature = "aws")]
    key_fetches: Family<KeyFetchLabels, Counter>,
    #[cfg(feature = "aws")]
    key_expiry: Family<KeyLabels, Gauge>,
}

#[cfg(feature = "aws")]
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KeyFetchLabels {
    source: &'static str,
    outcome: &'static str,
}

#[cfg(feature = "aws")]
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KeyLabels {
    source: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AttemptLabels {
    http_request_method: &'static str,
    server_address: String,
    http_response_status_code: u32,
    error_type: &'static str,
}

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            durations: histograms(&SECONDS),
            retries: Counter::default(),
            throttled: Counter::default(),
            denied_retries: Counter::default(),
            broken: Counter::default(),
            #[cfg(feature = "aws")]
            key_fetches: Family::default(),
            #[cfg(feature = "aws")]
            key_expiry: Family::default(),
        };
        registry.register_with_unit(
            "http_client_request_duration",
            "Duration of attempts to call the upstream",
            Unit::Seconds,
            metrics.durations.clone(),
        );
        registry.register(
            "plugin_upstream_retries",
            "Retries of calls to the upstream",
            metrics.retries.clone(),
        );
        registry.register(
            "plugin_upstream_throttled",
            "Calls that the upstream rate-limited",
            metrics.throttled.clone(),
        );
        registry.register(
            "plugin_upstream_retries_denied",
            "Retries of calls to the upstream that exceeded the retry budget",
            metrics.denied_retries.clone(),
        );
        registry.register(
            "plugin_upstream_breaker_rejections",
            "Attempts to call the upstream that were not sent, because it fails every call",
            metrics.broken.clone(),
        );
        #[cfg(feature = "aws")]
        metrics.register_keys(registry);
        metrics
    }

    #[cfg(feature = "aws")]
    fn register_keys(&self, registry: &mut Registry) {
        registry.register(
            "plugin_aws_credential_fetches",
            "Fetches of AWS keys, by their source",
            self.key_fetches.clone(),
        );
        registry.register(
            "plugin_aws_credential_expiry_timestamp_seconds",
            "When the AWS keys that were fetched last from a source expire, in seconds since 1970",
            self.key_expiry.clone(),
        );
    }

    /// Counts a fetch of AWS keys from `source`, which expire at `expiry`, in seconds since 1970.
    #[cfg(feature = "aws")]
    pub(crate) fn fetched_keys(&self, source: &'static str, outcome: Result<Option<i64>, ()>) {
        let name = if outcome.is_ok() { "success" } else { "failure" };
        self.key_fetches.get_or_create(&KeyFetchLabels { source, outcome: name }).inc();
        if let Ok(Some(expiry)) = outcome {
            self.key_expiry.get_or_create(&KeyLabels { source }).set(expiry);
        }
    }

    /// Counts one attempt; `status` is 0 without a response.
    pub(super) fn attempted(
        &self,
        method: &Method,
        host: &str,
        status: u16,
        error_type: &'static str,
        took: Duration,
    ) {
        let labels = AttemptLabels {
            http_request_method: known_method(method),
            server_address: host.to_owned(),
            http_response_status_code: status.into(),
            error_type,
        };
        self.durations.get_or_create(&labels).observe(took.as_secs_f64());
    }
}

/// Metrics of the calls of a plugin with a client of its own, besides those of all calls.
pub(super) struct OwnMetrics {
    durations: Histograms<CallLabels>,
    active: Family<OperationLabels, Gauge>,
    waiting: Family<OperationLabels, Gauge>,
    creates_without_key: Family<CreateLabels, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    operation: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationLabels {
    operation: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CreateLabels {
    task_type: &'static str,
    outcome: &'static str,
}

impl OwnMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            durations: histograms(&SECONDS),
            active: Family::default(),
            waiting: Family::default(),
            creates_without_key: Family::default(),
        };
        registry.register_with_unit(
            "plugin_upstream_call_duration",
            "Duration of calls to the process behind the service",
            Unit::Seconds,
            metrics.durations.clone(),
        );
        registry.register(
            "plugin_upstream_active_calls",
            "Calls to the process behind the service that are under way",
            metrics.active.clone(),
        );
        registry.register(
            "plugin_upstream_waiting_calls",
            "Calls to the process behind the service that wait for others to end",
            metrics.waiting.clone(),
        );
        registry.register(
            "plugin_creates_without_idempotency",
            "Creates that were sent to code that looks for no idempotency key",
            metrics.creates_without_key.clone(),
        );
        metrics
    }

    /// The number of calls under way.
    pub(super) fn active(&self, operation: &'static str) -> Gauge {
        self.active.get_or_create(&OperationLabels { operation }).clone()
    }

    /// The number of calls that wait.
    pub(super) fn waiting(&self, operation: &'static str) -> Gauge {
        self.waiting.get_or_create(&OperationLabels { operation }).clone()
    }

    /// Counts a call.
    pub(super) fn called(&self, operation: &'static str, outcome: &'static str, took: Duration) {
        let labels = CallLabels { operation, outcome };
        self.durations.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// Counts a create whose repeat could start a second job.
    pub(super) fn created_without_key(&self, task_type: &'static str, outcome: &'static str) {
        self.creates_without_key.get_or_create(&CreateLabels { task_type, outcome }).inc();
    }
}
