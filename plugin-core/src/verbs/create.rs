//! Submitting a job: detached from its caller, joined with its repeats.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value as Json;
use tokio::time::{Instant, timeout_at};
use tracing::Instrument as _;

use super::{Incoming, Particulars, Served, Verbs, in_flight::Outcome};
use crate::{
    caller::{Caller, Role, Verb},
    context::{Context, IdempotencyKey, Waiting},
    deadline::Deadline,
    error::{Error, Kind, Result},
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

/// A create's idempotency key, and whether the same request again has the same one.
struct Key {
    key: IdempotencyKey,
    repeatable: bool,
}

impl Key {
    /// `header` is REST's `Idempotency-Key`, which stands in for what Flyte calls the attempt.
    fn of(caller: &Caller, served: &Served, submission: &Submission, header: Option<&str>) -> Self {
        let theirs = |what, text| {
            let parts = [caller.issuer(), caller.subject(), what, served.task_type.name, text];
            Self { key: IdempotencyKey::of_parts(&parts), repeatable: true }
        };
        if let Some(header) = header {
            return theirs("Idempotency-Key", header);
        }
        let attempt = [&submission.output_prefix, &submission.attempt_id];
        let Some(attempt) = attempt.into_iter().find(|text| !text.is_empty()) else {
            return Self { key: IdempotencyKey::random(), repeatable: false };
        };
        match caller.role() {
            Role::Propeller | Role::Anonymous => {
                Self { key: IdempotencyKey::of_attempt(attempt), repeatable: true }
            }
            Role::User | Role::Admin => theirs("output_prefix", attempt),
        }
    }
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
        let served = self.find(task_type, Some(version))?.clone();
        let result = self.submit(incoming, &served, request, header).await;
        self.count(&served, Verb::Create, started, &result);
        if let Ok(Created { refused: Some(error), .. }) = &result {
            incoming.record.fields().error = Some(error.clone());
        }
        result
    }

    async fn submit(
        self: &Arc<Self>,
        incoming: &Incoming,
        served: &Served,
        request: CreateTaskRequest,
        header: Option<&str>,
    ) -> Result<Created> {
        let submission = Submission::read(request);
        self.shared.metrics.input_bytes(served.task_type.name, submission.input_bytes);
        let Key { key, repeatable } = Key::of(&incoming.caller, served, &submission, header);
        incoming.note(served.task_type.name, &submission.execution, key);
        incoming.caller.check_task_type(served.task_type.name)?;

        let outcome = self.detached(incoming, served, key, submission);
        let answer_by = incoming.deadline.leaving_time_to_answer();
        let created = timeout_at(answer_by.instant(), outcome.wait()).await.map_err(|_| {
            let message = "the job is still being submitted; repeat the request to get its handle";
            Error::new(Kind::DeadlineExceeded, message)
        })??;
        Ok(Created { repeatable, ..created })
    }

    /// Runs the submit in a task of its own: a caller that goes away neither undoes nor doubles it,
    /// and a repeat waits for the same one.
    fn detached(
        self: &Arc<Self>,
        incoming: &Incoming,
        served: &Served,
        key: IdempotencyKey,
        submission: Submission,
    ) -> Outcome<Created> {
        // Two callers never share a handle, whatever key they name.
        let caller = &incoming.caller;
        let shared_by = [&key.hex(), caller.issuer(), caller.subject()];
        let this = Arc::clone(self);
        let (served, caller, place) = (served.clone(), caller.clone(), incoming.place.clone());
        let work = |waiting| async move {
            // Moved in as a whole: it is held until the job is submitted.
            let _place = place;
            let particulars = Particulars {
                key,
                execution: submission.execution,
                output_prefix: submission.output_prefix,
                created_at: Timestamp::now(),
                connection: submission.connection,
                waiting: Some(waiting),
            };
            let deadline = Deadline::after(this.shared.request_timeout);
            let cx = this.context(&served, &caller, deadline, particulars);
            this.run_create(&served, &cx, submission.task).await
        };
        self.in_flight.join_or_start(IdempotencyKey::of_parts(&shared_by), key, |slot| {
            let waiting: Waiting = slot.waiting();
            self.shared.tasks.spawn(slot.run(work(waiting)).in_current_span());
        })
    }

    async fn run_create(
        &self,
        served: &Served,
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
fn is_refusal(error: &Error) -> bool {
    match error.kind() {
        Kind::InvalidArgument | Kind::FailedPrecondition => true,
        // From the vendor these are about the job; from us they are about the caller.
        Kind::Unauthenticated | Kind::PermissionDenied | Kind::NotFound | Kind::AlreadyExists => {
            error.is_upstream()
        }
        Kind::ResourceExhausted | Kind::DeadlineExceeded | Kind::Unavailable | Kind::Internal => {
            false
        }
    }
}
