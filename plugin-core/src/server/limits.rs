//! Bounds how much is served at once.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use tokio::sync::Semaphore;

use crate::{caller::Caller, error::Error, telemetry::metrics::Metrics};

/// How many calls may run at once.
#[derive(Clone)]
pub(super) struct Gate {
    free: Arc<Semaphore>,
    metrics: Arc<Metrics>,
}

impl Gate {
    pub(super) fn new(max_requests: usize, metrics: Arc<Metrics>) -> Self {
        let free = Semaphore::new(max_requests.min(Semaphore::MAX_PERMITS));
        Self { free: Arc::new(free), metrics }
    }
}

/// Refuses what is beyond the limit at once: a queue would only make every answer late.
pub(super) async fn admit(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    // Probes have no caller, and an overloaded service is still a healthy one.
    if request.extensions().get::<Caller>().is_none() {
        return next.run(request).await;
    }
    let Ok(_slot) = gate.free.try_acquire() else {
        gate.metrics.shed();
        return Error::unavailable("the service is overloaded; try again")
            .with_retry_after(Duration::from_secs(1))
            .into_response();
    };
    next.run(request).await
}
