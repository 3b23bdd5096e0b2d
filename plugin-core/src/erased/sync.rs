//! The sync tasks of a plugin that has jobs, too.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::Value as Json;
use server_core::Result;

use super::DynSyncPlugin;
use crate::{
    context::Context,
    plugin::SyncTasks,
    task::{Status, TaskType},
    wire::AnyTask,
};

/// The task types of `P` that are answered within the call.
pub(super) struct Tasks<P> {
    pub(super) plugin: Arc<P>,
    pub(super) tasks: SyncTasks<P>,
}

impl<P: Send + Sync + 'static> DynSyncPlugin for Tasks<P> {
    fn task_types(&self) -> &'static [TaskType] {
        (self.tasks.task_types)(&self.plugin)
    }

    fn custom_schema(&self) -> Json {
        (self.tasks.schema)()
    }

    fn example(&self) -> &'static str {
        self.tasks.example
    }

    fn execute(self: Arc<Self>, cx: Context, task: AnyTask) -> BoxFuture<'static, Result<Status>> {
        Box::pin(async move { (self.tasks.execute)(&self.plugin, &cx, task.read()?).await })
    }
}
