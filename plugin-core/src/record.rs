//! What one request turned out to be, gathered on its way and logged once at its end.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use server_core::Error;

use crate::{
    context::{Caller, Execution},
    task::Phase,
};

/// A request's record, shared by the layers and handlers it passes.
#[derive(Clone, Default)]
pub(crate) struct Record(Arc<Mutex<Fields>>);

/// What is known of a request.
#[derive(Default)]
pub(crate) struct Fields {
    pub(crate) task_type: Option<&'static str>,
    pub(crate) caller: Option<Caller>,
    pub(crate) execution: Arc<Execution>,
    /// Eight hex digits that tell jobs apart: the same in all lines about one.
    pub(crate) job: Option<String>,
    pub(crate) phase: Option<Phase>,
    /// Why the answer is older than the request, or is a failure.
    pub(crate) error: Option<Error>,
}

impl Record {
    /// Adds what has become known.
    pub(crate) fn fields(&self) -> MutexGuard<'_, Fields> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
