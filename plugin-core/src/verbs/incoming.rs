//! A call, as the gate passes it on to the handler.

use std::sync::Arc;

use bytes::Bytes;
use server_core::{Error, Result};
use tokio::sync::OwnedSemaphorePermit;

use crate::{
    context::{Caller, Deadline, Execution, IdempotencyKey},
    record::Record,
};

/// What is held for a call until it and the work it started have ended.
pub(crate) type Kept = Arc<dyn Send + Sync>;

/// A permit to be served. Work that outlives its caller keeps it.
#[derive(Clone)]
pub(crate) struct Permit {
    _permit: Arc<OwnedSemaphorePermit>,
    _of_users: Option<Arc<OwnedSemaphorePermit>>,
    _kept: Option<Kept>,
}

impl Permit {
    /// `of_users` is the permit that users' calls need besides.
    pub(crate) fn new(
        permit: OwnedSemaphorePermit,
        of_users: Option<OwnedSemaphorePermit>,
    ) -> Self {
        Self { _permit: Arc::new(permit), _of_users: of_users.map(Arc::new), _kept: None }
    }

    /// The same permit, with what else is held.
    pub(crate) fn with(self, kept: Option<Kept>) -> Self {
        Self { _kept: kept, ..self }
    }
}

/// A call, as the gate passes it on to the handler.
#[derive(Clone)]
pub(crate) struct Incoming {
    pub(crate) caller: Caller,
    pub(crate) deadline: Deadline,
    pub(crate) record: Record,
    pub(crate) permit: Option<Permit>,
    /// The message of a create, as it came.
    pub(crate) message: Option<Bytes>,
    /// Whether it is a poll that found no permit in time, and is answered from memory.
    pub(crate) is_from_memory: bool,
}

impl Incoming {
    /// Takes the call from a request's extensions.
    ///
    /// # Errors
    /// `Internal` when it did not pass the gate.
    pub(crate) fn of(extensions: &mut http::Extensions) -> Result<Self> {
        extensions.remove().ok_or_else(|| Error::internal("the request did not pass the gate"))
    }

    /// Records what the call is about.
    pub(super) fn note(
        &self,
        task_type: &'static str,
        execution: &Arc<Execution>,
        key: IdempotencyKey,
    ) {
        let mut fields = self.record.fields();
        fields.task_type = Some(task_type);
        fields.execution = Arc::clone(execution);
        fields.job = Some(key.short());
    }
}
