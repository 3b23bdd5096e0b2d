//! What the metrics of all layers share; each layer has its own beside it.
//!
//! Names are OpenTelemetry's semantic conventions (1.42) in Prometheus' spelling, flytekit's four
//! `flyte_connector_*` names so that its dashboards keep working, and `plugin_*` for the rest. Label
//! values come from closed sets: no caller can create new series.

use http::Method;
use prometheus_client::{
    metrics::{counter::Counter, info::Info},
    registry::Registry,
};
use server_core::ServiceInfo;

/// The buckets that the conventions advise for durations in seconds.
pub(crate) const SECONDS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// The registry of a service, with its name and version.
pub(crate) fn registry(info: ServiceInfo) -> Registry {
    let mut registry = Registry::default();
    let target = Info::new([("service_name", info.name), ("service_version", info.version)]);
    registry.register("target", "The service", target);
    registry
}

/// The counter of panics, which several layers share.
pub(crate) fn panics(registry: &mut Registry) -> Counter {
    let panics = Counter::default();
    registry.register("plugin_panics", "Panics of handlers and plugins", panics.clone());
    panics
}

/// The label of `method`: methods that a caller makes up must not create series.
pub(crate) fn known_method(method: &Method) -> &'static str {
    const KNOWN: [&str; 5] = ["GET", "PUT", "DELETE", "POST", "HEAD"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("_OTHER")
}
