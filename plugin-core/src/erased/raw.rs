//! Raw plugins as dyn-compatible ones.

use std::{borrow::Cow, sync::Arc};

use futures_util::future::BoxFuture;
use serde_json::{Value as Json, json, value::RawValue};
use server_core::{Result, digest::Fingerprint};

use super::{DynPlugin, DynSyncPlugin, Poll};
use crate::{
    context::Context,
    plugin::{JointStatus, RawPlugin, RepeatedCreate},
    task::{Phase, Status, TaskType},
    wire::AnyTask,
};

/// The limit on a handle, in bytes: connectors keep up to 4 KiB of their own in one, and Flyte stores it.
const RAW_HANDLE_BYTES: usize = 16 << 10;

/// The task types of a raw plugin whose tasks are jobs.
pub(super) struct Jobs<P> {
    pub(super) plugin: Arc<P>,
    pub(super) task_types: &'static [TaskType],
}

/// The task types of a raw plugin that are answered within the call.
pub(super) struct Tasks<P> {
    pub(super) plugin: Arc<P>,
    pub(super) task_types: &'static [TaskType],
    /// Whether nobody else runs the plugin's background.
    pub(super) has_background: bool,
}

/// Only the author of the connector knows what its tasks take.
fn any_object() -> Json {
    json!({ "type": "object" })
}

impl<P: RawPlugin> DynPlugin for Jobs<P> {
    fn task_types(&self) -> &'static [TaskType] {
        self.task_types
    }

    fn custom_schema(&self, _: TaskType) -> Json {
        any_object()
    }

    fn wants_raw(&self) -> bool {
        true
    }

    fn ready(&self) -> Result<(), &'static str> {
        self.plugin.ready()
    }

    fn background(self: Arc<Self>) -> BoxFuture<'static, ()> {
        let plugin = Arc::clone(&self.plugin);
        Box::pin(async move { plugin.background().await })
    }

    fn handle_limit(&self) -> usize {
        RAW_HANDLE_BYTES
    }

    fn repeated_create(&self, task_type: TaskType) -> RepeatedCreate {
        self.plugin.repeated_create(task_type)
    }

    fn create(self: Arc<Self>, cx: Context, task: AnyTask) -> BoxFuture<'static, Result<Vec<u8>>> {
        Box::pin(async move { self.plugin.create(&cx, task.raw()?).await })
    }

    fn get(self: Arc<Self>, cx: Context, meta: Vec<u8>) -> BoxFuture<'static, Result<Status>> {
        Box::pin(async move { self.plugin.get(&cx, meta).await })
    }

    fn ids<'a>(&self, meta: &'a [u8]) -> Result<Option<Cow<'a, RawValue>>> {
        Ok(self.plugin.ids(meta).map(Cow::Owned))
    }

    fn describe(&self, _: &[u8]) -> Status {
        Status::new(Phase::Running)
    }

    fn group(
        self: Arc<Self>,
        _: Context,
        _: Vec<u8>,
    ) -> BoxFuture<'static, Result<Option<Fingerprint>>> {
        Box::pin(async { Ok(None) })
    }

    fn get_many(
        self: Arc<Self>,
        _: Context,
        _: Vec<Poll>,
    ) -> BoxFuture<'static, Result<Vec<JointStatus>>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn delete(self: Arc<Self>, cx: Context, meta: Vec<u8>) -> BoxFuture<'static, Result<()>> {
        Box::pin(async move { self.plugin.delete(&cx, meta).await })
    }
}

impl<P: RawPlugin> DynSyncPlugin for Tasks<P> {
    fn task_types(&self) -> &'static [TaskType] {
        self.task_types
    }

    fn custom_schema(&self, _: TaskType) -> Json {
        any_object()
    }

    fn wants_raw(&self) -> bool {
        true
    }

    fn ready(&self) -> Result<(), &'static str> {
        self.plugin.ready()
    }

    fn background(self: Arc<Self>) -> BoxFuture<'static, ()> {
        let plugin = Arc::clone(&self.plugin);
        let has_background = self.has_background;
        Box::pin(async move {
            if has_background {
                plugin.background().await;
            }
        })
    }

    fn execute(self: Arc<Self>, cx: Context, task: AnyTask) -> BoxFuture<'static, Result<Status>> {
        Box::pin(async move { self.plugin.execute(&cx, task.raw()?).await })
    }
}
