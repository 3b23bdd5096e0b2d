//! Stopping a job: detached from its caller, and a success for every job that is not running.

use std::sync::Arc;

use tokio::time::{Instant, timeout_at};
use tracing::Instrument as _;

use super::{ConnectionSecrets, Incoming, Opened, Verbs};
use crate::{
    caller::Verb,
    deadline::Deadline,
    error::{Error, Kind, Result, Tolerate as _},
    handle::Job,
};

impl Verbs {
    /// Stops the job of `opened`.
    ///
    /// # Errors
    /// The job may still run; try again.
    pub(crate) async fn delete(
        &self,
        incoming: &Incoming,
        opened: &Opened,
        connection: ConnectionSecrets,
    ) -> Result<()> {
        let started = Instant::now();
        let result = match &opened.handle.job {
            Job::Refused { .. } => Ok(()),
            Job::Created(meta) => self.stop(incoming, opened, meta.clone(), connection).await,
        };
        self.count(&opened.served, Verb::Delete, started, &result);
        result
    }

    async fn stop(
        &self,
        incoming: &Incoming,
        opened: &Opened,
        meta: Vec<u8>,
        connection: ConnectionSecrets,
    ) -> Result<()> {
        let deadline = Deadline::after(self.shared.request_timeout);
        let cx = self.context_of(incoming, deadline, &opened.handle, connection);
        let work = Arc::clone(&opened.served.plugin).delete(cx, meta);
        let work = timeout_at(deadline.instant(), work).in_current_span();
        let running = self.shared.tasks.spawn(work);
        let late = |_| Error::new(Kind::DeadlineExceeded, "the job is still being stopped");
        let answer_by = incoming.deadline.leaving_time_to_answer();
        let finished = timeout_at(answer_by.instant(), running).await.map_err(late)?;
        let result = finished.map_err(Error::internal)?.map_err(late)?;
        result.tolerate(Kind::NotFound).map(drop).map_err(as_ours)
    }
}

/// The vendor's verdict on the service's credentials is not one on the caller's.
fn as_ours(error: Error) -> Error {
    match error.kind() {
        Kind::Unauthenticated | Kind::PermissionDenied if error.is_upstream() => {
            Error::unavailable(format!("the job could not be stopped: {error}")).with_source(error)
        }
        _ => error,
    }
}
