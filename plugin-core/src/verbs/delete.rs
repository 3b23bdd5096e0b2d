//! Stopping a job: in a task of its own, and a success for every job that is not running.

use std::sync::Arc;

use jiff::Timestamp;
use server_core::{Error, Kind, Result};
use tokio::time::{Instant, timeout_at};
use tracing::Instrument as _;

use super::{ConnectionValues, Incoming, Opened, ServedAsync, Verbs, get::is_visible};
use crate::{
    context::{Context, Deadline, Verb},
    handle::Job,
};

impl Verbs {
    /// Stops the job of `opened`.
    ///
    /// # Errors
    /// The job may still be running; retry.
    pub(crate) async fn delete(
        self: &Arc<Self>,
        incoming: &Incoming,
        opened: &Opened,
        connection: ConnectionValues,
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
        connection: ConnectionValues,
    ) -> Result<()> {
        let deadline = Deadline::after(self.shared.request_timeout);
        let cx = self.context_of(incoming, deadline, opened, connection);
        let (this, served) = (Arc::clone(self), opened.served.clone());
        let permit = incoming.permit.clone();
        let job = opened.fingerprint;
        let work = async move {
            let _permit = permit;
            let has_stopped = served.memory.has_stopped(&job, cx.created_at());
            let stopped = this.run_delete(&served, cx, meta, has_stopped).await;
            if stopped.is_ok() {
                served.memory.stopped.insert(job, Timestamp::now());
            }
            stopped
        };
        let running = self.shared.tasks.spawn(work.in_current_span());
        let pending = |_| {
            Error::new(Kind::DeadlineExceeded, "the job is still being stopped; repeat the request")
        };
        let answer_by = incoming.deadline.leaving_time_to_answer();
        let finished = timeout_at(answer_by.instant(), running).await.map_err(pending)?;
        finished.map_err(Error::internal)?
    }

    /// `has_stopped` if an earlier delete has stopped the job.
    async fn run_delete(
        &self,
        served: &ServedAsync,
        cx: Context,
        meta: Vec<u8>,
        has_stopped: bool,
    ) -> Result<()> {
        let deadline = cx.deadline();
        let timed_out = |_| {
            Err(Error::new(
                Kind::DeadlineExceeded,
                "timed out stopping the job; repeat the request",
            ))
        };
        let plugin = || Arc::clone(&served.plugin);
        let delete = self.guarded(plugin().delete(cx.clone(), meta.clone()));
        match timeout_at(deadline.instant(), delete).await.unwrap_or_else(timed_out) {
            Err(error) if error.kind() == Kind::NotFound => missing(&cx, has_stopped),
            // A vendor may refuse to stop a job because it has ended. Flyte 2 retries a failed delete
            // forever, so this is checked.
            Err(error) if error.is_upstream() && !error.kind().is_transient() => {
                self.is_about_service(served.task_type, &cx, &error);
                let get = self.guarded(plugin().get(cx.clone(), meta));
                match timeout_at(deadline.instant(), get).await {
                    Ok(Ok(status)) if status.phase.is_terminal() => Ok(()),
                    // Its own error says more about a job that may only be too new.
                    Ok(Err(gone)) if gone.kind() == Kind::NotFound => {
                        missing(&cx, has_stopped).map_err(|_| as_unavailable(error))
                    }
                    _ => Err(as_unavailable(error)),
                }
            }
            result => result,
        }
    }
}

/// A job that the vendor does not list needs no stopping, unless it is too new to be listed. One that was listed when it was
/// stopped is gone.
fn missing(cx: &Context, has_stopped: bool) -> Result<()> {
    if has_stopped || is_visible(cx.created_at()) {
        return Ok(());
    }
    Err(Error::unavailable("the job is not listed yet; repeat the request"))
}

/// An error of the vendor is about the service's call, not about the caller's.
fn as_unavailable(error: Error) -> Error {
    Error::unavailable(format!("the job could not be stopped: {error}")).with_source(error)
}
