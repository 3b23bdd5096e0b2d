//! What becomes known of a request while it is served, for its log line.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use server_core::Error;

use crate::{
    context::{Caller, Execution},
    task::Phase,
};

/// A request's record, shared by the gate and the handler.
#[derive(Clone, Default)]
pub(crate) struct Record(Arc<Mutex<Fields>>);

/// The fields of a record.
#[derive(Default)]
pub(crate) struct Fields {
    pub(crate) task_type: Option<&'static str>,
    pub(crate) caller: Option<Caller>,
    pub(crate) execution: Arc<Execution>,
    /// Eight hex digits that identify the job in all log lines about it.
    pub(crate) job: Option<String>,
    pub(crate) phase: Option<Phase>,
    /// Why the request failed, or why the returned status is not current.
    pub(crate) error: Option<Error>,
}

impl Record {
    /// The fields, to read or change.
    pub(crate) fn fields(&self) -> MutexGuard<'_, Fields> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
