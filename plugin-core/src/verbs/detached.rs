//! What creates and executions share: they run in tasks of their own and are joined by repeats.

use std::sync::Arc;

use jiff::Timestamp;
use server_core::Result;
use tracing::Instrument as _;

use super::{
    CallDetails, Incoming, Served, Verbs,
    in_flight::{InFlight, Outcome},
    key::Key,
    task_identity::TaskIdentity,
    turn::Turn,
};
use crate::{
    context::{Context, Deadline},
    task::TaskType,
    wire::{AnyTask, Submission, Submitted},
};

/// What a request asks for, and the key by which its repeats are recognised.
pub(super) struct Work {
    task_type: TaskType,
    submission: Submission,
    pub(super) key: Key,
    identity: TaskIdentity,
    /// The encoded size of the request, in bytes.
    size: usize,
}

impl Verbs {
    /// Reads a request, if its caller may use the task type. `header` is REST's
    /// `Idempotency-Key`.
    ///
    /// # Errors
    /// `PermissionDenied`. What is wrong with the task is the work's own result.
    pub(super) async fn read_work<P>(
        &self,
        incoming: &Incoming,
        served: &Served<P>,
        submitted: Submitted,
        header: Option<&str>,
    ) -> Result<Work> {
        let (task_type, wants_raw) = (served.task_type, served.wants_raw);
        incoming.record.fields().task_type = Some(task_type.name);
        incoming.caller.check_task_type(task_type.name)?;
        let size = submitted.size();
        let bounds = self.shared.bounds.clone();
        let hash = self.shared.hash.clone();
        let permit = incoming.permit.clone();
        let read = move || {
            let _permit = permit;
            let identity = TaskIdentity::of(&submitted, &hash);
            (identity, Submission::read(submitted, wants_raw, &bounds))
        };
        let (identity, submission) = self.shared.heavy.run(size, read).await?;
        self.shared.metrics.input_bytes(task_type.name, submission.input_bytes);
        let key = Key::of(&incoming.caller, task_type, &submission, header);
        incoming.note(task_type.name, &submission.execution, key.key);
        Ok(Work { task_type, submission, key, identity, size })
    }

    /// Runs `work` in a task of its own, or joins the task of a repeat. A caller that disconnects
    /// neither cancels it nor causes it to run twice.
    pub(super) fn detached<T, F>(
        self: &Arc<Self>,
        in_flight: &InFlight<T>,
        incoming: &Incoming,
        work: Work,
        deadline: Deadline,
        run: impl FnOnce(Context, Result<AnyTask>) -> F + Send + 'static,
    ) -> Outcome<T>
    where
        T: Clone + Send + Sync + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let (caller, permit) = (incoming.caller.clone(), incoming.permit.clone());
        let join_key = work.key.join_key(&caller, &self.shared.hash);
        let (job, identity) = (work.key.key, work.identity.clone());
        let this = Arc::clone(self);
        let task = |waiting, turn: Option<Turn>| async move {
            // Both held until the work has ended.
            let _permit = permit;
            let _turn = match turn {
                Some(turn) => Some(turn.wait(deadline).await?),
                None => None,
            };
            let Work { task_type, submission, size, .. } = work;
            let call = CallDetails {
                key: job,
                creator: caller.role(),
                execution: submission.execution,
                output_prefix: submission.output_prefix,
                created_at: Timestamp::now(),
                connection: submission.connection,
                waiting: Some(waiting),
            };
            let cx = this.context(task_type, &caller, deadline, call);
            let heavy = this.shared.heavy.clone();
            // Boxed, because each function that a future passes through would hold it twice.
            heavy.poll(size, Box::pin(run(cx, submission.task))).await
        };
        in_flight.join_or_start(join_key, identity, job, |mut entry| {
            let task = task(entry.waiting(), entry.turn());
            self.shared.tasks.spawn(entry.run(task).in_current_span());
        })
    }
}
