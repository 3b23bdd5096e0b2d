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
pub(super) struct Tasks<P>(pub(super) Arc<P>);

impl<P: Plugin> DynSyncPlugin for Tasks<P> {
    fn task_types(&self) -> &'static [TaskType] {
        self.0.options().sync.map_or(&[], |sync| sync.task_types)
    }

    fn custom_schema(&self, task_type: TaskType) -> Json {
        let options = self.0.options();
        match (options.schema, options.sync) {
            (Some(schema), _) => schema(&self.0, task_type),
            (None, Some(sync)) => (sync.schema)(),
            (None, None) => Json::Bool(true),
        }
    }

    fn example(&self, task_type: TaskType) -> Cow<'static, str> {
        DynPlugin::example(&*self.0, task_type)
    }

    fn execute(self: Arc<Self>, cx: Context, task: AnyTask) -> BoxFuture<'static, Result<Status>> {
        Box::pin(async move {
            let Some(sync) = self.0.options().sync else {
                return Err(Error::not_found("the plugin has no sync task types"));
            };
            (sync.execute)(&self.0, &cx, task.read()?).await
        })
    }
}
