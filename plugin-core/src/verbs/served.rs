//! What a service serves: its plugin under each of its task types, and which verbs that has.

use std::sync::Arc;

use crate::{
    erased::{AnyPlugin, DynPlugin, DynSyncPlugin},
    error::{Error, Result},
    plugin::TaskType,
};

/// A plugin under one of its task types.
#[derive(Clone)]
pub(crate) struct Served<P = AnyPlugin> {
    pub(crate) task_type: TaskType,
    pub(crate) plugin: P,
}

/// One whose tasks are jobs: they are created, looked at and deleted.
pub(crate) type ServedAsync = Served<Arc<dyn DynPlugin>>;

/// One whose tasks are answered at once.
pub(crate) type ServedSync = Served<Arc<dyn DynSyncPlugin>>;

impl Served {
    /// The plugin, for a verb of jobs.
    ///
    /// # Errors
    /// `NotFound`, with what to call instead.
    pub(crate) fn asynchronous(&self) -> Result<ServedAsync> {
        let task_type = self.task_type;
        match &self.plugin {
            AnyPlugin::Async(plugin) => Ok(Served { task_type, plugin: Arc::clone(plugin) }),
            AnyPlugin::Sync(_) => Err(Error::not_found(format!(
                "task type {name} is answered at once and has no jobs; call \
                 flyteidl.service.SyncAgentService/ExecuteTaskSync, or POST /plugins/v1/{name}/{version}",
                name = task_type.name,
                version = task_type.version,
            ))),
        }
    }

    /// The plugin, to execute a task.
    ///
    /// # Errors
    /// `NotFound`, with what to call instead.
    pub(crate) fn synchronous(&self) -> Result<ServedSync> {
        let task_type = self.task_type;
        match &self.plugin {
            AnyPlugin::Sync(plugin) => Ok(Served { task_type, plugin: Arc::clone(plugin) }),
            AnyPlugin::Async(_) => Err(Error::not_found(format!(
                "task type {name} runs as a job and is not answered at once; call \
                 flyteidl.service.AsyncAgentService/CreateTask, or PUT /plugins/v1/{name}/{version}",
                name = task_type.name,
                version = task_type.version,
            ))),
        }
    }
}
