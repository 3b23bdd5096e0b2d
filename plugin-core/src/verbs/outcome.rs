//! The outcomes of creates and executions, as their waiters share them.

use std::sync::Arc;

use jiff::Timestamp;
use server_core::Error;

use crate::task::Status;

/// The outcome of a create.
#[derive(Debug, Clone)]
pub(crate) struct Created {
    pub(crate) handle: Vec<u8>,
    /// The job's ids at the vendor, unless the job was refused.
    pub(crate) meta: Option<Vec<u8>>,
    /// As in the handle.
    pub(crate) created_at: Timestamp,
    /// The permanent refusal, if the job was refused; the handle then leads to it.
    pub(crate) refused: Option<Error>,
    /// Whether a repeat of the request finds the same job.
    pub(crate) repeatable: bool,
}

/// The outcome of an execution.
#[derive(Debug, Clone)]
pub(crate) struct Executed {
    /// With a terminal phase.
    pub(crate) status: Arc<Status>,
    /// The permanent refusal, if the task was refused; `status` has it as well.
    pub(crate) refused: Option<Error>,
}
