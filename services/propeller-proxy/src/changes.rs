//! Changes of the connections to a target's replicas, and notifications about them.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{Notify, watch};

use crate::metrics::TargetMetrics;

/// Reports changes of connections to calls that wait for a replica and to the DNS lookup.
#[derive(Clone)]
pub(crate) struct Changes {
    waiters: watch::Sender<()>,
    /// Notified when the addresses from DNS may be outdated.
    outdated: Arc<Notify>,
    /// Why the last attempt to reach a replica failed.
    problem: Arc<Mutex<Option<String>>>,
    metrics: TargetMetrics,
}

impl Changes {
    pub(crate) fn new(metrics: TargetMetrics) -> Self {
        Self {
            waiters: watch::Sender::new(()),
            outdated: Arc::default(),
            problem: Arc::default(),
            metrics,
        }
    }

    /// Receives a notification for each change.
    pub(crate) fn subscribe(&self) -> watch::Receiver<()> {
        self.waiters.subscribe()
    }

    pub(crate) fn notify_waiters(&self) {
        self.waiters.send_replace(());
    }

    pub(crate) fn connected(&self) {
        self.metrics.replicas.inc();
        self.set_problem(None);
        self.notify_waiters();
    }

    pub(crate) fn disconnected(&self) {
        self.metrics.replicas.dec();
        self.notify_waiters();
        self.outdated.notify_one();
    }

    pub(crate) fn failed(&self, reason: &dyn fmt::Display) {
        self.set_problem(Some(reason.to_string()));
        self.outdated.notify_one();
    }

    /// Waits until a connection has failed or ended since the last call.
    pub(crate) async fn outdated(&self) {
        self.outdated.notified().await;
    }

    pub(crate) fn set_problem(&self, problem: Option<String>) {
        *self.problem.lock().unwrap_or_else(PoisonError::into_inner) = problem;
    }

    /// Why no replica is reachable.
    pub(crate) fn problem(&self) -> String {
        let problem = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        problem.clone().unwrap_or_else(|| "all connections ended".to_owned())
    }
}
