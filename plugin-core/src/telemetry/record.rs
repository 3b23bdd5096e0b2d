//! What one request turned out to be, gathered on its way and logged once at its end.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{
    caller::Caller,
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

/// The first eight hex digits of a job's key.
pub(crate) fn fingerprint(key: IdempotencyKey) -> String {
    key.as_bytes()[..4]
        .iter()
        .fold(String::with_capacity(8), |hex, byte| hex + &format!("{byte:02x}"))
}
