//! Stopping a job: detached from its caller, and a success for every job that is not running.

use std::sync::Arc;

use server_core::{Error, Kind, Result};
use tokio::time::{Instant, timeout_at};
use tracing::Instrument as _;

use super::{ConnectionSecrets, Incoming, Opened, ServedAsync, Verbs, get::is_settled};
use crate::{
    context::{Context, Deadline, Verb},
    handle::Job,
};

impl Verbs {
    /// Stops the job of `opened`.
    ///
    /// # Errors
    /// The job may still run; try again.
    pub(crate) async fn delete(
        self: &Arc<Self>,
        incoming: &Incoming,
        opened: &Opened,
        connection: ConnectionSecrets,
    ) -> Result<()> {
        let started = Instant::now();
        let result = match &opened.handle.job {
            Job::Refused { .. } => Ok(()),
            Job::Created(meta) => self.stop(incoming, opened, meta.clone(), connection).await,
        };
        self.count(opened.served.task_type, Verb::Delete, started, &result);
        result
    }

    async fn stop(
        self: &Arc<Self>,
        incoming: &Incoming,
        opened: &Opened,
        meta: Vec<u8>,
        connection: ConnectionSecrets,
    ) -> Result<()> {
        let deadline = Deadline::after(self.shared.request_timeout);
        let cx = self.context_of(incoming, deadline, opened, connection);
        let (this, served) = (Arc::clone(self), opened.served.clone());
        let permit = incoming.permit.clone();
        let work = async move {
            let _place = permit;
            this.run_delete(&served, cx, meta).await
        };
        let running = self.shared.tasks.spawn(work.in_current_span());
        let late = |_| Error::new(Kind::DeadlineExceeded, "the job is still being stopped");
        let answer_by = incoming.deadline.leaving_time_to_answer();
        let finished = timeout_at(answer_by.instant(), running).await.map_err(late)?;
        finished.map_err(Error::internal)?
    }

    async fn run_delete(&self, served: &ServedAsync, cx: Context, meta: Vec<u8>) -> Result<()> {
        let deadline = cx.deadline();
        let late = |_| Err(Error::new(Kind::DeadlineExceeded, "the job was not stopped in time"));
        let plugin = || Arc::clone(&served.plugin);
        let delete = self.guarded(plugin().delete(cx.clone(), meta.clone()));
        match timeout_at(deadline.instant(), delete).await.unwrap_or_else(late) {
            Err(error) if error.kind() == Kind::NotFound => gone(&cx),
            // A vendor that will not stop a job may mean that it has ended. Flyte 2 repeats a failed
            // delete for ever, so this is found out.
            Err(error) if error.is_upstream() && !error.kind().is_transient() => {
                let get = self.guarded(plugin().get(cx.clone(), meta));
                match timeout_at(deadline.instant(), get).await {
                    Ok(Ok(status)) if status.phase.is_terminal() => Ok(()),
                    Ok(Err(error)) if error.kind() == Kind::NotFound => gone(&cx),
                    _ => Err(as_ours(error)),
                }
            }
            result => result,
        }
    }
}

/// A job that the vendor does not know needs no stopping, unless it may only be late to list it.
fn gone(cx: &Context) -> Result<()> {
    if is_settled(cx.created_at()) {
        return Ok(());
    }
    Err(Error::unavailable("the vendor does not list the job yet; repeat the request"))
}

/// The vendor's verdict on the service is not one on the caller.
fn as_ours(error: Error) -> Error {
    Error::unavailable(format!("the job could not be stopped: {error}")).with_source(error)
}
