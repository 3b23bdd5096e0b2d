//! Executing a synchronous task, within its caller's deadline.

use std::sync::Arc;

use server_core::{Error, Kind, Result};
use tokio::time::{Instant, timeout_at};

use super::{Executed, Incoming, ServedSync, Verbs};
use crate::{
    context::{Context, Verb},
    task::{Phase, Status},
    wire::{AnyTask, Submission, Submitted},
};

/// The error code of a plugin that returned a non-terminal phase.
const NOT_TERMINAL: &str = "NOT_TERMINAL";

impl Verbs {
    /// Executes the task of `submitted`.
    ///
    /// # Errors
    /// The outcome is unknown; retry. A permanent refusal is not an error but a failed task, because
    /// propeller retries on any error, and at once.
    pub(crate) async fn execute(
        self: &Arc<Self>,
        incoming: &Incoming,
        submitted: Submitted,
        header: Option<&str>,
    ) -> Result<Executed> {
        let started = Instant::now();
        incoming.caller.check_verb(Verb::Execute)?;
        let (task_type, version) = Submission::addressee(&submitted.request)?;
        let served = self.find(task_type, Some(version))?.synchronous()?;
        let result = self.run_to_end(incoming, &served, submitted, header).await;
        self.count(served.task_type, Verb::Execute, started, &result);
        if let Ok(executed) = &result {
            let mut fields = incoming.record.fields();
            fields.phase = Some(executed.status.phase);
            fields.error.clone_from(&executed.refused);
        }
        result
    }

    async fn run_to_end(
        self: &Arc<Self>,
        incoming: &Incoming,
        served: &ServedSync,
        submitted: Submitted,
        header: Option<&str>,
    ) -> Result<Executed> {
        let work = self.read_work(incoming, served, submitted, header).await?;
        let deadline = incoming.deadline.leaving_time_to_answer();
        let (this, plugin) = (Arc::clone(self), served.clone());
        let run = |cx, task| async move { this.run_execute(&plugin, &cx, task).await };
        let outcome = self.detached(&served.memory.executions, incoming, work, deadline, run);
        // A joined execution may have a later deadline than this caller.
        timeout_at(deadline.instant(), outcome.wait()).await.unwrap_or_else(|_| Err(timed_out()))
    }

    async fn run_execute(
        &self,
        served: &ServedSync,
        cx: &Context,
        task: Result<AnyTask>,
    ) -> Result<Executed> {
        let work = async { Arc::clone(&served.plugin).execute(cx.clone(), task?).await };
        let result = timeout_at(cx.deadline().instant(), self.guarded(work)).await;
        let (status, refused) = match result.unwrap_or_else(|_| Err(timed_out())) {
            Ok(status) => (self.terminal(served, status), None),
            Err(error) => {
                let refused = self.refusal(served.task_type, cx, error)?;
                (Status::failed(refused.code(), refused.message()), Some(refused))
            }
        };
        Ok(Executed { status: Arc::new(status), refused })
    }

    /// `status` if it is terminal, otherwise a failure: a synchronous task is not polled, and propeller's
    /// workers panic on a running task without a handle.
    fn terminal(&self, served: &ServedSync, status: Status) -> Status {
        self.note_surprises(served.task_type.name, &status);
        if status.phase.is_terminal() {
            return status;
        }
        let (name, phase) = (served.task_type.name, status.phase.name());
        tracing::error!(task_type = name, phase, "a sync plugin returned a non-terminal phase");
        let message = match &status.unknown_state {
            Some(_) => status.message.clone(),
            None => format!("the plugin for {name} returned the non-terminal phase {phase}"),
        };
        Status { phase: Phase::Failed, outputs: Default::default(), ..status }
            .code(NOT_TERMINAL)
            .message(message)
    }
}

fn timed_out() -> Error {
    Error::new(Kind::DeadlineExceeded, "the task did not finish before the deadline")
}

#[cfg(test)]
mod tests;
