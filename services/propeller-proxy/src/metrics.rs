//! The proxy's metrics. Labels are the configured targets and the gRPC status codes.

use std::{sync::atomic::AtomicU64, time::Duration};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::{Registry, Unit},
};
use server_core::{
    ServiceInfo,
    metrics::{Histograms, encode, histograms},
    telemetry,
};

const SECONDS: [f64; 12] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TargetLabels {
    target: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    target: String,
    grpc_code: &'static str,
}

/// Every metric of the proxy.
pub(crate) struct Metrics {
    registry: Registry,
    calls: Family<CallLabels, Counter>,
    durations: Histograms<TargetLabels>,
    retries: Family<TargetLabels, Counter>,
    replicas: Family<TargetLabels, Gauge<u64, AtomicU64>>,
    /// The number of responses that were ended because they were not read.
    pub(crate) unread_responses: Counter,
    /// The open connections of every listener.
    pub(crate) open_connections: Gauge,
}

/// The metrics of one target.
#[derive(Clone)]
pub(crate) struct TargetMetrics {
    target: String,
    calls: Family<CallLabels, Counter>,
    duration: Histogram,
    pub(crate) retries: Counter,
    /// The number of connected replicas.
    pub(crate) replicas: Gauge<u64, AtomicU64>,
}

impl Metrics {
    pub(crate) fn new(info: ServiceInfo) -> Self {
        let mut registry = Registry::with_prefix("propeller_proxy");
        let build = Info::new(vec![("version", info.version)]);
        registry.register("build", "The version of the proxy", build);
        let calls = Family::default();
        registry.register("calls", "Finished calls, by gRPC status code", calls.clone());
        let durations = histograms(&SECONDS);
        let help = "Duration of calls, to the last byte of the response";
        registry.register_with_unit("call_duration", help, Unit::Seconds, durations.clone());
        let retries = Family::default();
        let help = "Retries of calls that were not sent because the connection ended";
        registry.register("retries", help, retries.clone());
        let replicas = Family::default();
        registry.register("replicas", "Connected replicas", replicas.clone());
        let unread_responses = Counter::default();
        let help = "Responses ended because their callers did not read them";
        registry.register("unread_responses", help, unread_responses.clone());
        let open_connections = Gauge::default();
        let help = "Open connections of every listener";
        registry.register("open_connections", help, open_connections.clone());
        let help = "Log lines dropped because nobody read standard output fast enough";
        registry.register("log_lines_dropped", help, telemetry::dropped_lines());
        Self { registry, calls, durations, retries, replicas, unread_responses, open_connections }
    }

    pub(crate) fn of(&self, target: String) -> TargetMetrics {
        let labels = TargetLabels { target: target.clone() };
        TargetMetrics {
            calls: self.calls.clone(),
            duration: self.durations.get_or_create_owned(&labels),
            retries: self.retries.get_or_create_owned(&labels),
            replicas: self.replicas.get_or_create_owned(&labels),
            target,
        }
    }

    pub(crate) fn encode(&self) -> Result<String, std::fmt::Error> {
        encode(&self.registry)
    }
}

impl TargetMetrics {
    /// The target's name.
    pub(crate) fn target(&self) -> &str {
        &self.target
    }

    pub(crate) fn ended(&self, grpc_code: &'static str, took: Duration) {
        let labels = CallLabels { target: self.target.clone(), grpc_code };
        self.calls.get_or_create(&labels).inc();
        self.duration.observe(took.as_secs_f64());
    }
}
