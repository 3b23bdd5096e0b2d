//! Submitting a job: detached from its caller, joined with its repeats.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value as Json;
use server_core::{Error, Kind, Result};
use tokio::time::{Instant, timeout_at};
use tracing::Instrument as _;

use super::{
    Incoming, Particulars, ServedAsync, Verbs,
    in_flight::Outcome,
    key::{Asked, Key},
};
use crate::{
    context::{Context, Deadline, Verb, Waiting},
    handle::{Handle, Job, Owner},
    task::Task,
    wire::{Submission, proto::flyteidl::admin::CreateTaskRequest},
};

/// A create's answer.
#[derive(Debug, Clone)]
pub(crate) struct Created {
    pub(crate) handle: Vec<u8>,
    /// Why the job was refused for good, if it was; the handle then leads to that failure.
    pub(crate) refused: Option<Error>,
    /// Whether the same request again finds the same job.
    pub(crate) repeatable: bool,
}

impl Verbs {
    /// Submits the job that `request` describes.
    ///
    /// # Errors
    /// Nothing is known to have been created; a refusal for good is no error but a handle that leads
    /// to it.
    pub(crate) async fn create(
        self: &Arc<Self>,
        incoming: &Incoming,
        request: CreateTaskRequest,
        header: Option<&str>,
    ) -> Result<Created> {
        let started = Instant::now();
        incoming.caller.check_verb(Verb::Create)?;
        let (task_type, version) = Submission::addressee(&request)?;
        let served = self.find(task_type, Some(version))?.asynchronous()?;
        let result = self.submit(incoming, &served, request, header).await;
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
        request: CreateTaskRequest,
        header: Option<&str>,
    ) -> Result<Created> {
        let asked = Asked::of(&request);
        let submission = Submission::read(request);
        self.shared.metrics.input_bytes(served.task_type.name, submission.input_bytes);
        let key = Key::of(&incoming.caller, served.task_type, &submission, asked, header);
        incoming.note(served.task_type.name, &submission.execution, key.key);
        incoming.caller.check_task_type(served.task_type.name)?;

        let outcome = self.detached(incoming, served, &key, submission);
        let answer_by = incoming.deadline.leaving_time_to_answer();
        let created = timeout_at(answer_by.instant(), outcome.wait()).await.map_err(|_| {
            let message = "the job is still being submitted; repeat the request to get its handle";
            Error::new(Kind::DeadlineExceeded, message)
        })??;
        Ok(Created { repeatable: key.repeatable, ..created })
    }

    /// Runs the submit in a task of its own: a caller that goes away neither undoes nor doubles it,
    /// and a repeat waits for the same one.
    fn detached(
        self: &Arc<Self>,
        incoming: &Incoming,
        served: &ServedAsync,
        key: &Key,
        submission: Submission,
    ) -> Outcome<Created> {
        let (caller, place) = (incoming.caller.clone(), incoming.place.clone());
        let (this, served, job) = (Arc::clone(self), served.clone(), key.key);
        let (slot, memory) = (key.slot(&caller), Arc::clone(&served.memory));
        let work = |waiting| async move {
            // Moved in as a whole: it is held until the job is submitted.
            let _place = place;
            let particulars = Particulars {
                key: job,
                said_by: caller.role(),
                execution: submission.execution,
                output_prefix: submission.output_prefix,
                created_at: Timestamp::now(),
                connection: submission.connection,
                waiting: Some(waiting),
            };
            let deadline = Deadline::after(this.shared.request_timeout);
            let cx = this.context(served.task_type, &caller, deadline, particulars);
            this.run_create(&served, &cx, submission.task).await
        };
        memory.creates.join_or_start(slot, job, |slot| {
            let waiting: Waiting = slot.waiting();
            self.shared.tasks.spawn(slot.run(work(waiting)).in_current_span());
        })
    }

    async fn run_create(
        &self,
        served: &ServedAsync,
        cx: &Context,
        task: Result<Task<Json>>,
    ) -> Result<Created> {
        let work = async { Arc::clone(&served.plugin).create(cx.clone(), task?).await };
        let result = timeout_at(cx.deadline().instant(), self.guarded(work)).await;
        let result = result.unwrap_or_else(|_| {
            let message = "the job could not be submitted in time; repeat the request";
            Err(Error::new(Kind::DeadlineExceeded, message))
        });
        let (job, refused) = match result {
            Ok(meta) => (Job::Created(meta), None),
            Err(error) if is_refusal(&error) => (Handle::refusal(&error), Some(error)),
            Err(error) => return Err(error),
        };
        let handle = Handle {
            task_type: served.task_type.name.to_owned(),
            owner: Owner::of(cx.caller()),
            created_at: cx.created_at(),
            key: cx.idempotency_key(),
            execution: Arc::clone(&cx.0.execution),
            job,
        };
        let handle = handle.seal(&self.shared.keys)?;
        Ok(Created { handle, refused, repeatable: true })
    }
}

/// Whether the task would be refused again however often it is sent.
pub(super) fn is_refusal(error: &Error) -> bool {
    match error.kind() {
        Kind::InvalidArgument | Kind::FailedPrecondition => true,
        // From the vendor these are about the job; from us they are about the caller.
        Kind::Unauthenticated | Kind::PermissionDenied | Kind::NotFound | Kind::AlreadyExists => {
            error.is_upstream()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
