//! Readiness, for HTTP and gRPC probes alike.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tonic_health::{ServingStatus, server::HealthReporter};

use super::{auth::Auth, grpc::health_of_all};

/// Whether the service is ready for calls.
#[derive(Clone)]
pub(super) struct Readiness {
    auth: Auth,
    draining: CancellationToken,
}

impl Readiness {
    pub(super) fn new(auth: Auth, draining: CancellationToken) -> Self {
        Self { auth, draining }
    }

    /// Whether the service is ready for calls.
    ///
    /// # Errors
    /// Why it is not.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        if self.draining.is_cancelled() {
            return Err("shutting down");
        }
        self.auth.ready()
    }

    /// Keeps the gRPC health status up to date until the service drains.
    pub(super) async fn report(self, reporter: HealthReporter) {
        const EVERY: Duration = Duration::from_millis(500);
        let mut last = None;
        loop {
            let ready = self.check().is_ok();
            if last.replace(ready) != Some(ready) {
                let status = if ready { ServingStatus::Serving } else { ServingStatus::NotServing };
                health_of_all(&reporter, status).await;
            }
            if self.draining.is_cancelled() {
                return;
            }
            self.draining.run_until_cancelled(tokio::time::sleep(EVERY)).await;
        }
    }
}
