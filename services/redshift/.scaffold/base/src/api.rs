//! The vendor's JSON, and what it means to Flyte.

use plugin_core::{Phase, Status, http::StatusCode, serde_json, upstream::Failure};
use serde::Deserialize;

/// A job as the vendor describes it.
#[derive(Deserialize)]
pub(crate) struct Job {
    state: String,
    reason: Option<String>,
}

impl Job {
    /// Every state that the vendor documents. One that it adds later is a running job.
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

/// An error as the vendor describes it.
#[derive(Deserialize)]
struct Problem {
    error: String,
}

/// Reads the vendor's error body; `None` if it is something else, such as a proxy's page.
pub(crate) fn failure(status: StatusCode, body: &[u8]) -> Option<Failure> {
    let Problem { error } = serde_json::from_slice(body).ok()?;
    Some(Failure::of_status(status, error))
}
