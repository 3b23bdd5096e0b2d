//! Readiness, for HTTP and gRPC probes alike.

use std::{sync::Arc, time::Duration};

use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::auth::Auth;
use crate::verbs::Verbs;

/// Whether the service is ready for calls.
#[derive(Clone)]
pub(super) struct Readiness {
    pub(super) auth: Auth,
    pub(super) verbs: Arc<Verbs>,
    pub(super) draining: CancellationToken,
    /// The open connections of the API port, and the most that it takes.
    pub(super) connections: Gauge,
    pub(super) max_connections: usize,
}

impl Readiness {
    /// Whether the service is ready for calls.
    ///
    /// # Errors
    /// Why it is not.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        if self.draining.is_cancelled() {
            return Err("shutting down");
        }
        if usize::try_from(self.connections.get()).is_ok_and(|open| open >= self.max_connections) {
            return Err("every connection is taken (--max-connections)");
        }
        self.verbs.ready()?;
        self.auth.ready()
    }

    /// Keeps the gRPC health status up to date until the service drains.
    pub(super) async fn report(self, serving: watch::Sender<bool>) {
        const EVERY: Duration = Duration::from_millis(500);
        loop {
            let ready = self.check().is_ok();
            serving.send_if_modified(|serving| std::mem::replace(serving, ready) != ready);
            if self.draining.is_cancelled() {
                return;
            }
            self.draining.run_until_cancelled(tokio::time::sleep(EVERY)).await;
        }
    }
}
