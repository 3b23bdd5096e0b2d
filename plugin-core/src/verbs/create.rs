//! Submitting a job.

use std::sync::Arc;

use server_core::{Error, Kind, Result, text::cut};
use tokio::time::{Instant, timeout_at};

use super::{Created, Incoming, ServedAsync, Verbs};
use crate::{
    context::{Context, Deadline, MAX_META_BYTES, Verb},
    handle::{Handle, Job, Owner},
    wire::{AnyTask, Submission, Submitted},
};

impl Verbs {
    /// Submits the job that `submitted` describes.
    ///
    /// # Errors
    /// Nothing is known to have been created; retry. A permanent refusal is not an error but a handle
    /// that leads to it.
    pub(crate) async fn create(
        self: &Arc<Self>,
        incoming: &Incoming,
        submitted: Submitted,
        header: Option<&str>,
    ) -> Result<Created> {
        let started = Instant::now();
        incoming.caller.check_verb(Verb::Create)?;
        let (task_type, version) = Submission::addressee(&submitted.request)?;
        let served = self.find(task_type, Some(version))?.asynchronous()?;
        let result = self.submit(incoming, &served, submitted, header).await;
        self.count(served.task_type, Verb::Create, started, &result);
        if let Ok(Created { refused: Some(error), .. }) = &result {
            incoming.record.fields().error = Some(error.clone());
        }
        result
    }

    async fn submit(
        self: &Arc<Self>,
        incoming: &Incoming,
        served: &ServedAsync,
        submitted: Submitted,
        header: Option<&str>,
    ) -> Result<Created> {
        let work = self.read_work(incoming, served, submitted, header).await?;
        let repeatable = work.key.repeatable;
        let deadline = Deadline::after(served.create_time(self.shared.request_timeout));
        let (this, plugin) = (Arc::clone(self), served.clone());
        let run = |cx, task| async move { this.run_create(&plugin, &cx, task).await };
        let outcome = self.detached(&served.memory.creates, incoming, work, deadline, run);

        let answer_by = incoming.deadline.leaving_time_to_answer();
        let created = timeout_at(answer_by.instant(), outcome.wait()).await.map_err(|_| {
            let message = "the job is still being submitted; repeat the request to get its handle";
            Error::new(Kind::DeadlineExceeded, message)
        })??;
        Ok(Created { repeatable, ..created })
    }

    async fn run_create(
        &self,
        served: &ServedAsync,
        cx: &Context,
        task: Result<AnyTask>,
    ) -> Result<Created> {
        let work = async { Arc::clone(&served.plugin).create(cx.clone(), task?).await };
        let result = timeout_at(cx.deadline().instant(), self.guarded(work)).await;
        let result = result.unwrap_or_else(|_| {
            let message = "timed out submitting the job; repeat the request";
            Err(Error::new(Kind::DeadlineExceeded, message))
        });
        let (job, refused) = match result {
            Ok(meta) => (Job::Created(meta), None),
            Err(error) => {
                let refused = self.refusal(served.task_type, cx, error)?;
                (Handle::refusal(&refused), Some(refused))
            }
        };
        let handle = Handle {
            task_type: served.task_type.name.to_owned(),
            owner: Owner::of(cx.caller()),
            created_at: cx.created_at(),
            key: cx.idempotency_key(),
            execution: Arc::clone(&cx.0.execution),
            job,
        };
        let created_at = handle.created_at;
        match (handle.seal(&self.shared.keys, served.handle_limit), &handle.job) {
            (Err(error), Job::Created(meta)) => {
                let stopping = self.stop_unreachable(served, cx, meta.clone(), error);
                let refused = Box::pin(stopping).await;
                let handle = Handle { job: Handle::refusal(&refused), ..handle };
                let handle = handle.seal(&self.shared.keys, served.handle_limit)?;
                let refused = Some(refused);
                Ok(Created { handle, meta: None, created_at, refused, repeatable: true })
            }
            (sealed, job) => {
                let meta = match job {
                    Job::Created(meta) => Some(meta.clone()),
                    Job::Refused { .. } => None,
                };
                Ok(Created { handle: sealed?, meta, created_at, refused, repeatable: true })
            }
        }
    }

    /// Stops a job to which no handle can lead, because of `error`; returns what its author should know. A
    /// repeat of the task would end in the same way.
    async fn stop_unreachable(
        &self,
        served: &ServedAsync,
        cx: &Context,
        meta: Vec<u8>,
        error: Error,
    ) -> Error {
        // What a connector keeps in its handles may be secret.
        let ids = if served.wants_raw { "".into() } else { String::from_utf8_lossy(&meta) };
        tracing::error!(
            task_type = served.task_type.name,
            job = cx.idempotency_key().short(),
            ids = &*cut(ids.into_owned(), MAX_META_BYTES),
            cause = error.chain(),
            "a job is stopped because its handle would be too large"
        );
        let cx = cx.with_waiting(None).with_deadline(Deadline::after(self.shared.request_timeout));
        let stop = self.guarded(Arc::clone(&served.plugin).delete(cx.clone(), meta));
        let stopped = timeout_at(cx.deadline().instant(), stop).await;
        let outcome = match stopped {
            Ok(Ok(())) => "was stopped".to_owned(),
            Ok(Err(error)) => format!("may still run, because it could not be stopped ({error})"),
            Err(_) => "may still run, because it could not be stopped in time".to_owned(),
        };
        let message = format!("the job {outcome}: what identifies it does not fit into a handle");
        Error::new(Kind::FailedPrecondition, message)
            .with_code("HANDLE_TOO_LARGE")
            .with_source(error)
    }
}

#[cfg(test)]
mod tests;
