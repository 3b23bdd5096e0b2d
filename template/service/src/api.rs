//! The vendor's JSON, and what it means to Flyte.

{% if mode == "async" -%}
use plugin_core::{Phase, Status};
use serde::Deserialize;

/// A job as the vendor describes it.
#[derive(Deserialize)]
pub(crate) struct Description {
    state: String,
    reason: Option<String>,
}

impl Description {
    /// Every state that the vendor has, and any that it may add: an unknown one is a running job.
    pub(crate) fn status(self) -> Status {
        match self.state.as_str() {
            "waiting" => Status::new(Phase::Queued),
            "running" => Status::new(Phase::Running),
            "done" => Status::new(Phase::Succeeded),
            "failed" => Status::new(Phase::Failed).message(self.reason.unwrap_or_default()),
            "preempted" => Status::new(Phase::RetryableFailed).message("preempted"),
            unknown => Status::unknown_state(unknown),
        }
    }
}
{% else -%}
use serde::Deserialize;

/// What the vendor answers.
#[derive(Deserialize)]
pub(crate) struct Answer {
    pub(crate) text: String,
}
{% endif -%}
