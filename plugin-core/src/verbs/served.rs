//! The task types that a service serves, with their plugins.

use std::{sync::Arc, time::Duration};

use server_core::{Error, Result};

use super::memory::Memory;
use crate::{
    erased::{AnyPlugin, DynPlugin, DynSyncPlugin},
    task::TaskType,
};

/// A plugin under one of its task types.
#[derive(Clone)]
pub(crate) struct Served<P = AnyPlugin> {
    /// The plugin's name in discovery.
    pub(crate) agent: &'static str,
    pub(crate) task_type: TaskType,
    pub(crate) plugin: P,
    /// Whether the plugin takes tasks as they came.
    pub(super) wants_raw: bool,
    /// The limit on a handle, in bytes.
    pub(super) handle_limit: usize,
    pub(super) memory: Arc<Memory>,
}

/// A task type whose tasks are jobs: created, polled and deleted.
pub(crate) type ServedAsync = Served<Arc<dyn DynPlugin>>;

/// A task type whose tasks are executed within the call.
pub(crate) type ServedSync = Served<Arc<dyn DynSyncPlugin>>;

/// How long a create of a raw plugin may take at least. A connector that goes on after its call was cancelled would
/// submit another job for the next repeat, which joins while the call lasts.
const RAW_CREATE_TIME: Duration = Duration::from_secs(300);

impl ServedAsync {
    /// How long a create may take, whatever its callers wait.
    pub(super) fn create_time(&self, timeout: Duration) -> Duration {
        if self.wants_raw { timeout.max(RAW_CREATE_TIME) } else { timeout }
    }
}

impl Served {
    fn with<P>(&self, plugin: P) -> Served<P> {
        let Self { agent, task_type, wants_raw, handle_limit, .. } = *self;
        let memory = Arc::clone(&self.memory);
        Served { agent, task_type, plugin, wants_raw, handle_limit, memory }
    }

    /// The plugin, for the verbs of jobs.
    ///
    /// # Errors
    /// `NotFound`, with the call to make instead.
    pub(crate) fn asynchronous(&self) -> Result<ServedAsync> {
        let task_type = self.task_type;
        match &self.plugin {
            AnyPlugin::Async(plugin) => Ok(self.with(Arc::clone(plugin))),
            AnyPlugin::Sync(_) => Err(Error::not_found(format!(
                "task type {name} is synchronous and has no jobs; call \
                 flyteidl.service.SyncAgentService/ExecuteTaskSync, or POST /plugins/v1/{name}/{version}",
                name = task_type.name,
                version = task_type.version,
            ))),
        }
    }

    /// The plugin, to execute a task.
    ///
    /// # Errors
    /// `NotFound`, with the call to make instead.
    pub(crate) fn synchronous(&self) -> Result<ServedSync> {
        let task_type = self.task_type;
        match &self.plugin {
            AnyPlugin::Sync(plugin) => Ok(self.with(Arc::clone(plugin))),
            AnyPlugin::Async(_) => Err(Error::not_found(format!(
                "task type {name} is asynchronous and runs as a job; call \
                 flyteidl.service.AsyncAgentService/CreateTask, or PUT /plugins/v1/{name}/{version}",
                name = task_type.name,
                version = task_type.version,
            ))),
        }
    }
}

#[cfg(test)]
mod tests;
