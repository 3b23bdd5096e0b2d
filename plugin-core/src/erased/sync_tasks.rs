//! The sync task types of a plugin that has jobs besides.

use std::{borrow::Cow, sync::Arc};

use futures_util::future::BoxFuture;
use serde_json::Value as Json;
use server_core::{Error, Result};

use super::{DynPlugin, DynSyncPlugin};
use crate::{
    context::Context,
    plugin::Plugin,
    task::{Status, TaskType},
    wire::AnyTask,
};

/// What [`Options::sync_tasks`](crate::Options::sync_tasks) has of a plugin.
pub(super) struct Tasks<P> {
    pub(super) plugin: Arc<P>,
    /// Whether the plugin's background is run here: it has no jobs.
    pub(super) has_background: bool,
}

impl<P: Plugin> DynSyncPlugin for Tasks<P> {
    fn task_types(&self) -> &'static [TaskType] {
        self.plugin.options().sync.map_or(&[], |sync| sync.task_types)
    }

    fn custom_schema(&self, task_type: TaskType) -> Json {
        let options = self.plugin.options();
        match (options.schema, options.sync) {
            (Some(schema), _) => schema(&self.plugin, task_type),
            (None, Some(sync)) => (sync.schema)(),
            (None, None) => Json::Bool(true),
        }
    }

    fn example(&self, task_type: TaskType) -> Cow<'static, str> {
        DynPlugin::example(&*self.plugin, task_type)
    }

    fn revision(&self) -> u64 {
        DynPlugin::revision(&*self.plugin)
    }

    fn background(self: Arc<Self>) -> BoxFuture<'static, ()> {
        if self.has_background {
            return DynPlugin::background(Arc::clone(&self.plugin));
        }
        Box::pin(async {})
    }

    fn execute(self: Arc<Self>, cx: Context, task: AnyTask) -> BoxFuture<'static, Result<Status>> {
        Box::pin(async move {
            let Some(sync) = self.plugin.options().sync else {
                return Err(Error::not_found("the plugin has no sync task types"));
            };
            (sync.execute)(&self.plugin, &cx, task.read()?).await
        })
    }
}
