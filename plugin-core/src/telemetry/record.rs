//! What one request turned out to be, gathered on its way and logged once at its end.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{
    caller::{Caller, Verb},
    context::{Execution, IdempotencyKey},
    error::Error,
    status::Phase,
};

/// A request's record, shared by the layers and handlers it passes.
#[derive(Clone, Default)]
pub(crate) struct Record(Arc<Mutex<Fields>>);

/// What is known of a request.
#[derive(Default)]
pub(crate) struct Fields {
    pub(crate) verb: Option<Verb>,
    pub(crate) task_type: Option<&'static str>,
    pub(crate) caller: Option<Caller>,
    pub(crate) execution: Execution,
    pub(crate) handle: Option<String>,
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

/// Eight hex digits that tell handles apart in a log without giving them away.
pub(crate) fn fingerprint(key: IdempotencyKey) -> String {
    key.hex()[..8].to_owned()
}
