//! Metrics of what callers ask of plugins.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::{Registry, Unit},
};
use server_core::{
    Error,
    metrics::{Histograms, histograms},
};

use crate::{context::Verb, metrics::SECONDS};

/// Seconds; views answer for two by default.
const AGES: [f64; 6] = [0.1, 0.5, 1.0, 2.0, 5.0, 10.0];
const BYTES: [f64; 7] = [256.0, 1024.0, 4096.0, 16384.0, 65536.0, 1048576.0, 16777216.0];

/// Metrics of the verbs.
pub(crate) struct Metrics {
    successes: Family<OperationLabels, Counter>,
    failures: Family<FailureLabels, Counter>,
    latency: Histograms<OperationLabels>,
    input_bytes: Histograms<TaskTypeLabels>,
    stale_answers: Family<TaskTypeLabels, Counter>,
    unknown_states: Family<TaskTypeLabels, Counter>,
    refused_links: Family<TaskTypeLabels, Counter>,
    unreadable_handles: Family<OperationLabels, Counter>,
    refused_credentials: Family<TaskTypeLabels, Counter>,
    /// Jobs forgotten because more were polled than are remembered.
    pub(super) evicted_jobs: Counter,
    /// Refused polls of jobs for which there was no entry of their own.
    pub(super) refused_jobs_overflow: Counter,
    /// Creates and executions that joined one with the same key.
    pub(super) joined: Counter,
    /// Creates and executions that finished without a caller.
    pub(super) abandoned: Counter,
    /// The ages of the views that answered polls.
    pub(super) view_age: Histogram,
    refreshes: Family<RefreshLabels, Counter>,
    /// Panics of plugins; shared with the server, which counts those of handlers.
    pub(super) panics: Counter,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationLabels {
    task_type: &'static str,
    operation: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FailureLabels {
    task_type: &'static str,
    operation: &'static str,
    error_code: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TaskTypeLabels {
    task_type: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefreshLabels {
    task_type: &'static str,
    outcome: &'static str,
}

impl Metrics {
    /// `panics` is registered already, by [`panics`](crate::metrics::panics).
    pub(crate) fn register(registry: &mut Registry, panics: Counter) -> Self {
        let metrics = Self {
            successes: Family::default(),
            failures: Family::default(),
            latency: histograms(&SECONDS),
            input_bytes: histograms(&BYTES),
            stale_answers: Family::default(),
            unknown_states: Family::default(),
            refused_links: Family::default(),
            unreadable_handles: Family::default(),
            refused_credentials: Family::default(),
            evicted_jobs: Counter::default(),
            refused_jobs_overflow: Counter::default(),
            joined: Counter::default(),
            abandoned: Counter::default(),
            view_age: Histogram::new(AGES),
            refreshes: Family::default(),
            panics,
        };
        metrics.register_flytekits(registry);
        metrics.register_ours(registry);
        metrics
    }

    fn register_flytekits(&self, registry: &mut Registry) {
        registry.register(
            "flyte_connector_requests_success",
            "Total number of successful requests",
            self.successes.clone(),
        );
        registry.register(
            "flyte_connector_requests_failure",
            "Total number of failed requests",
            self.failures.clone(),
        );
        registry.register_with_unit(
            "flyte_connector_request_latency",
            "Time spent processing connector request",
            Unit::Seconds,
            self.latency.clone(),
        );
        registry.register_with_unit(
            "flyte_connector_input_literal",
            "Size of input literal",
            Unit::Bytes,
            self.input_bytes.clone(),
        );
    }

    fn register_ours(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "plugin_view_age",
            "Ages of the views that answered polls",
            Unit::Seconds,
            self.view_age.clone(),
        );
        registry.register(
            "plugin_view_refreshes",
            "Joint polls, each of which refreshed a view",
            self.refreshes.clone(),
        );
        registry.register(
            "plugin_stale_answers",
            "Polls answered with the last known phase because polling the upstream failed",
            self.stale_answers.clone(),
        );
        registry.register(
            "plugin_unknown_states",
            "Jobs found in a state unknown to this version",
            self.unknown_states.clone(),
        );
        registry.register(
            "plugin_refused_links",
            "Links of jobs left out because their scheme is neither http nor https",
            self.refused_links.clone(),
        );
        registry.register(
            "plugin_unreadable_handles",
            "Calls with a handle that no configured key opens",
            self.unreadable_handles.clone(),
        );
        registry.register(
            "plugin_refused_credentials",
            "Calls that failed because the vendor refused the service's own credentials, or there were none",
            self.refused_credentials.clone(),
        );
        registry.register(
            "plugin_evicted_jobs",
            "Jobs whose last known status was forgotten because more than --remembered-jobs were polled",
            self.evicted_jobs.clone(),
        );
        registry.register(
            "plugin_refused_jobs_overflow",
            "Refused polls of jobs beyond --refused-jobs, which share the clock of their identity",
            self.refused_jobs_overflow.clone(),
        );
        registry.register(
            "plugin_joined_creates",
            "Creates and executions that joined one in progress with the same key",
            self.joined.clone(),
        );
        registry.register(
            "plugin_abandoned_creates",
            "Creates and executions that finished after their caller had disconnected",
            self.abandoned.clone(),
        );
    }

    /// Counts one create, get, delete or execution under flytekit's names.
    pub(super) fn operation(
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

    pub(super) fn input_bytes(&self, task_type: &'static str, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.input_bytes.get_or_create(&TaskTypeLabels { task_type }).observe(bytes.into());
    }

    pub(super) fn refreshed(&self, task_type: &'static str, failure: Option<&Error>) {
        let outcome = match failure {
            None => "success",
            Some(error) if error.kind().is_transient() => "failure",
            Some(_) => "refused",
        };
        self.refreshes.get_or_create(&RefreshLabels { task_type, outcome }).inc();
    }

    pub(super) fn stale_answer(&self, task_type: &'static str) {
        self.stale_answers.get_or_create(&TaskTypeLabels { task_type }).inc();
    }

    pub(super) fn unknown_state(&self, task_type: &'static str) {
        self.unknown_states.get_or_create(&TaskTypeLabels { task_type }).inc();
    }

    pub(super) fn refused_links(&self, task_type: &'static str, links: u32) {
        self.refused_links.get_or_create(&TaskTypeLabels { task_type }).inc_by(links.into());
    }

    pub(super) fn refused_credentials(&self, task_type: &'static str) {
        self.refused_credentials.get_or_create(&TaskTypeLabels { task_type }).inc();
    }

    pub(super) fn unreadable_handle(&self, verb: Verb) {
        // The task type is in the handle, which cannot be read.
        let labels = OperationLabels { task_type: "", operation: verb.name() };
        self.unreadable_handles.get_or_create(&labels).inc();
    }
}
