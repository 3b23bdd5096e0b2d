//! Metrics of authentication and authorisation.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

/// Metrics of authentication and authorisation.
#[derive(Default)]
pub(super) struct Metrics {
    failures: Family<ReasonLabels, Counter>,
    jwks_fetches: Family<FetchLabels, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FetchLabels {
    issuer: String,
    result: &'static str,
}

impl Metrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "plugin_auth_failures",
            "Requests refused by authentication or authorisation",
            metrics.failures.clone(),
        );
        registry.register(
            "plugin_jwks_fetches",
            "Fetches of issuers' key sets",
            metrics.jwks_fetches.clone(),
        );
        metrics
    }

    pub(super) fn failure(&self, reason: &'static str) {
        self.failures.get_or_create(&ReasonLabels { reason }).inc();
    }

    pub(super) fn jwks_fetch(&self, issuer: &str, ok: bool) {
        let result = if ok { "ok" } else { "error" };
        self.jwks_fetches.get_or_create(&FetchLabels { issuer: issuer.to_owned(), result }).inc();
    }
}

#[cfg(test)]
mod tests {
    use server_core::metrics::encode;

    use super::*;

    #[test]
    fn failures_and_fetches_are_counted_by_reason_and_issuer() {
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        metrics.failure("expired");
        metrics.jwks_fetch("idp", true);
        metrics.jwks_fetch("idp", false);
        let text = encode(&registry).unwrap();
        for expected in [
            "plugin_auth_failures_total{reason=\"expired\"} 1",
            "plugin_jwks_fetches_total{issuer=\"idp\",result=\"ok\"} 1",
            "plugin_jwks_fetches_total{issuer=\"idp\",result=\"error\"} 1",
        ] {
            assert!(text.contains(expected), "{expected} in {text}");
        }
    }
}
