//! A call, as the layers before the handler leave it.

use std::sync::Arc;

use server_core::{Error, Result};
use tokio::sync::OwnedSemaphorePermit;

use crate::{
    context::{Caller, Deadline, Execution, IdempotencyKey},
    record::Record,
};

/// A permit to be served. Work that outlives its caller keeps it.
#[derive(Clone)]
pub(crate) struct Permit(Vec<Arc<dyn Send + Sync>>);

impl Permit {
    /// `of_users` is the permit that users' calls need besides.
    pub(crate) fn new(
        permit: OwnedSemaphorePermit,
        of_users: Option<OwnedSemaphorePermit>,
    ) -> Self {
        Self(vec![Arc::new((permit, of_users))])
    }

    /// The same permit together with another one.
    pub(crate) fn and(mut self, other: Arc<dyn Send + Sync>) -> Self {
        self.0.push(other);
        self
    }
}

/// Marks a poll that found no permit in time: it is answered from memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FromMemory;

/// A call, as the layers before the handler leave it.
#[derive(Clone)]
pub(crate) struct Incoming {
    pub(crate) caller: Caller,
    pub(crate) deadline: Deadline,
    pub(crate) record: Record,
    pub(super) permit: Option<Permit>,
    pub(super) is_from_memory: bool,
}

impl Incoming {
    /// Reads what the layers put into a request's extensions.
    ///
    /// # Errors
    /// `Internal` when a layer did not run.
    pub(crate) fn of(extensions: &http::Extensions) -> Result<Self> {
        let missing = || Error::internal("a layer did not run");
        Ok(Self {
            caller: extensions.get::<Caller>().cloned().ok_or_else(missing)?,
            deadline: extensions.get::<Deadline>().copied().ok_or_else(missing)?,
            record: extensions.get::<Record>().cloned().unwrap_or_default(),
            permit: extensions.get::<Permit>().cloned(),
            is_from_memory: extensions.get::<FromMemory>().is_some(),
        })
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
