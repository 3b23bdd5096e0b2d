//! Limits the number of concurrent calls.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension,
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use server_core::{Error, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

use super::{metrics::Metrics, route::Route};
use crate::{context::Verb, verbs::Permit};

/// The limit on concurrent calls.
#[derive(Clone)]
pub(super) struct ConcurrencyLimit {
    permits: Arc<Semaphore>,
    metrics: Arc<Metrics>,
}

impl ConcurrencyLimit {
    pub(super) fn new(max_requests: usize, metrics: Arc<Metrics>) -> Self {
        let permits = Semaphore::new(max_requests.min(Semaphore::MAX_PERMITS));
        Self { permits: Arc::new(permits), metrics }
    }

    /// A permit for a call. Beyond the limit polls and deletes wait, because propeller counts their
    /// failures against the task; others are refused at once, and are retried.
    async fn acquire(&self, verb: Verb) -> Result<Permit> {
        let permit = match verb {
            Verb::Get | Verb::Delete => Arc::clone(&self.permits).acquire_owned().await.ok(),
            Verb::Create | Verb::Execute | Verb::List => self.try_acquire()?,
        };
        let closed = || Error::internal("the limit is closed");
        permit.map(Permit::new).ok_or_else(closed)
    }

    fn try_acquire(&self) -> Result<Option<OwnedSemaphorePermit>> {
        match Arc::clone(&self.permits).try_acquire_owned() {
            Ok(permit) => Ok(Some(permit)),
            Err(TryAcquireError::Closed) => Ok(None),
            Err(TryAcquireError::NoPermits) => {
                self.metrics.shed.inc();
                let overloaded = Error::unavailable("the service is overloaded; retry later");
                Err(overloaded.with_retry_after(Duration::from_secs(1)))
            }
        }
    }
}

/// Gives a call its permit, which is held until the call and the work it started have ended.
pub(super) async fn limit(
    State(limit): State<ConcurrencyLimit>,
    Extension(route): Extension<Route>,
    mut request: Request,
    next: Next,
) -> Response {
    // A probe: an overloaded service is still healthy.
    let Some(verb) = route.verb else {
        return next.run(request).await;
    };
    let permit = match limit.acquire(verb).await {
        Ok(permit) => permit,
        Err(error) => return error.into_response(),
    };
    request.extensions_mut().insert(permit.clone());
    let response = next.run(request).await;
    drop(permit);
    response
}
