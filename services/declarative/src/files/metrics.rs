//! Metrics of reloaded files.

use std::sync::atomic::AtomicU64;

use plugin_core::prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// Metrics of reloaded files. Plugins' names come from the files that were there at the start.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    reloads: Family<Vec<(&'static str, String)>, Counter>,
    outdated: Gauge<u64, AtomicU64>,
}

impl Metrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "declarative_reloads",
            "Changed files by plugin and outcome: served, or refused, where the one before is served on",
            self.reloads.clone(),
        );
        registry.register(
            "declarative_outdated_files",
            "Files whose newest contents are not served: they have a mistake, need a restart, or are gone",
            self.outdated.clone(),
        );
    }

    /// Counts a changed file of `plugin`.
    pub(super) fn reloaded(&self, plugin: &str, is_served: bool) {
        let outcome = if is_served { "served" } else { "refused" };
        let labels = vec![("plugin", plugin.to_owned()), ("outcome", outcome.to_owned())];
        self.reloads.get_or_create(&labels).inc();
    }

    /// Says how many files' newest contents are not served.
    pub(super) fn outdated(&self, files: usize) {
        self.outdated.set(files as u64);
    }
}
