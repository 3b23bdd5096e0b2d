//! Dyn-compatible forms of the plugin traits: the only place where a plugin's own types become JSON.

mod raw;
mod sync_tasks;

use std::{borrow::Cow, sync::Arc};

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use prometheus_client::registry::Registry;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, value::RawValue};
use server_core::{Error, Kind, Result, digest::Fingerprint};

use crate::{
    context::Context,
    handle::HANDLE_BYTES,
    plugin::{JointStatus, Plugin, Polled, RawPlugin, RawTaskTypes, RepeatedCreate, SyncPlugin},
    task::{Phase, Status, TaskType, read_custom},
    upstream::{Calls, HttpBuilder},
    wire::AnyTask,
};

/// A plugin of either kind.
#[derive(Clone)]
pub(crate) enum AnyPlugin {
    Async(Arc<dyn DynPlugin>),
    Sync(Arc<dyn DynSyncPlugin>),
}

impl AnyPlugin {
    /// Makes the plugin `P`, and registers its metrics: its jobs and its sync tasks, if it has both.
    pub(crate) fn of<P: Plugin>(
        settings: P::Settings,
        http: HttpBuilder,
        registry: &mut Registry,
    ) -> Result<Vec<Self>> {
        let plugin = Arc::new(P::new(settings, http)?);
        let options = plugin.options();
        if let Some(register) = options.metrics {
            register(&plugin, registry);
        }
        let has_sync = options.sync.is_some_and(|sync| !sync.task_types.is_empty());
        let has_jobs = !options.task_types.is_empty() || !has_sync;
        // Both are one plugin, whose background is one.
        let tasks = sync_tasks::Tasks { plugin: Arc::clone(&plugin), has_background: !has_jobs };
        let mut made = Vec::new();
        if has_jobs {
            made.push(Self::Async(plugin));
        }
        if has_sync {
            made.push(Self::Sync(Arc::new(tasks)));
        }
        Ok(made)
    }

    /// Makes the sync plugin `P`.
    pub(crate) fn of_sync<P: SyncPlugin>(settings: P::Settings, http: HttpBuilder) -> Result<Self> {
        Ok(Self::Sync(Arc::new(P::new(settings, http)?)))
    }

    /// Makes the raw plugin `P`: its jobs and its sync tasks, if it has both.
    pub(crate) fn of_raw<P: RawPlugin>(settings: P::Settings, calls: Calls) -> Result<Vec<Self>> {
        let plugin = Arc::new(P::new(settings, calls)?);
        let RawTaskTypes { jobs, sync } = plugin.task_types();
        let jobs = raw::Jobs { plugin: Arc::clone(&plugin), task_types: jobs };
        // Both are one plugin, whose background is one.
        let has_background = jobs.task_types.is_empty();
        let tasks = raw::Tasks { plugin, task_types: sync, has_background };
        let mut made = Vec::new();
        if !jobs.task_types.is_empty() {
            made.push(Self::Async(Arc::new(jobs)));
        }
        if !tasks.task_types.is_empty() {
            made.push(Self::Sync(Arc::new(tasks)));
        }
        Ok(made)
    }

    pub(crate) fn task_types(&self) -> &'static [TaskType] {
        match self {
            Self::Async(plugin) => plugin.task_types(),
            Self::Sync(plugin) => plugin.task_types(),
        }
    }

    /// The JSON Schema of the `custom` of `task_type`.
    pub(crate) fn custom_schema(&self, task_type: TaskType) -> Json {
        match self {
            Self::Async(plugin) => plugin.custom_schema(task_type),
            Self::Sync(plugin) => plugin.custom_schema(task_type),
        }
    }

    /// A task of `task_type` as people submit it, for `/docs`.
    pub(crate) fn example(&self, task_type: TaskType) -> Json {
        let text = match self {
            Self::Async(plugin) => plugin.example(task_type),
            Self::Sync(plugin) => plugin.example(task_type),
        };
        serde_json::from_str(&text).unwrap_or_else(|_| serde_json::json!({ "custom": {} }))
    }

    /// What changes with [`custom_schema`](Self::custom_schema) and [`example`](Self::example).
    pub(crate) fn revision(&self) -> u64 {
        match self {
            Self::Async(plugin) => plugin.revision(),
            Self::Sync(plugin) => plugin.revision(),
        }
    }

    /// Whether it takes tasks as they came.
    pub(crate) fn wants_raw(&self) -> bool {
        match self {
            Self::Async(plugin) => plugin.wants_raw(),
            Self::Sync(plugin) => plugin.wants_raw(),
        }
    }

    /// The limit on its handles, in bytes.
    pub(crate) fn handle_limit(&self) -> usize {
        match self {
            Self::Async(plugin) => plugin.handle_limit(),
            Self::Sync(_) => HANDLE_BYTES,
        }
    }

    /// What a repeated create of `task_type` leads to; `None` for a sync plugin, which has no creates.
    pub(crate) fn repeated_create(&self, task_type: TaskType) -> Option<RepeatedCreate> {
        match self {
            Self::Async(plugin) => Some(plugin.repeated_create(task_type)),
            Self::Sync(_) => None,
        }
    }

    /// Whether it can serve.
    ///
    /// # Errors
    /// Why it cannot.
    pub(crate) fn ready(&self) -> Result<(), &'static str> {
        match self {
            Self::Async(plugin) => plugin.ready(),
            Self::Sync(plugin) => plugin.ready(),
        }
    }

    /// What it does beside its calls, until the service stops.
    pub(crate) fn background(&self) -> BoxFuture<'static, ()> {
        match self {
            Self::Async(plugin) => Arc::clone(plugin).background(),
            Self::Sync(plugin) => Arc::clone(plugin).background(),
        }
    }

    /// Whether it is a sync plugin.
    pub(crate) fn is_sync(&self) -> bool {
        matches!(self, Self::Sync(_))
    }
}

/// [`SyncPlugin`] as a dyn-compatible trait, with `Custom` as JSON.
pub(crate) trait DynSyncPlugin: Send + Sync + 'static {
    fn task_types(&self) -> &'static [TaskType];
    /// The JSON Schema of the `custom` of `task_type`.
    fn custom_schema(&self, task_type: TaskType) -> Json;
    /// A task of `task_type` as people submit it, as JSON.
    fn example(&self, _task_type: TaskType) -> Cow<'static, str> {
        r#"{"inputs": {}}"#.into()
    }
    /// What changes with `custom_schema` and `example`.
    fn revision(&self) -> u64 {
        0
    }
    /// Whether it takes tasks as they came.
    fn wants_raw(&self) -> bool {
        false
    }
    /// Whether it can serve; else why not.
    fn ready(&self) -> Result<(), &'static str> {
        Ok(())
    }
    /// What it does beside its calls, until the service stops.
    fn background(self: Arc<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async {})
    }
    fn execute(self: Arc<Self>, cx: Context, task: AnyTask) -> BoxFuture<'static, Result<Status>>;
}

impl<P: SyncPlugin> DynSyncPlugin for P {
    fn task_types(&self) -> &'static [TaskType] {
        SyncPlugin::task_types(self)
    }

    fn custom_schema(&self, _: TaskType) -> Json {
        schemars::schema_for!(P::Custom).to_value()
    }

    fn example(&self, _: TaskType) -> Cow<'static, str> {
        P::EXAMPLE.into()
    }

    fn execute(self: Arc<Self>, cx: Context, task: AnyTask) -> BoxFuture<'static, Result<Status>> {
        Box::pin(async move {
            let task = task.read()?.map_custom(read_custom)?;
            SyncPlugin::execute(&*self, &cx, task).await
        })
    }
}

/// [`Plugin`] as a dyn-compatible trait, with `Custom` and `Meta` as JSON.
pub(crate) trait DynPlugin: Send + Sync + 'static {
    fn task_types(&self) -> &'static [TaskType];
    /// The JSON Schema of the `custom` of `task_type`.
    fn custom_schema(&self, task_type: TaskType) -> Json;
    /// A task of `task_type` as people submit it, as JSON.
    fn example(&self, _task_type: TaskType) -> Cow<'static, str> {
        r#"{"inputs": {}}"#.into()
    }
    /// What changes with `custom_schema` and `example`.
    fn revision(&self) -> u64 {
        0
    }
    /// Whether it takes tasks as they came.
    fn wants_raw(&self) -> bool {
        false
    }
    /// Whether it can serve; else why not.
    fn ready(&self) -> Result<(), &'static str> {
        Ok(())
    }
    /// What it does beside its calls, until the service stops.
    fn background(self: Arc<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async {})
    }
    /// The limit on a handle, in bytes.
    fn handle_limit(&self) -> usize {
        HANDLE_BYTES
    }
    /// What a repeated create of `task_type` leads to. Plugins give the vendor the key.
    fn repeated_create(&self, _task_type: TaskType) -> RepeatedCreate {
        RepeatedCreate::Safe
    }
    fn create(self: Arc<Self>, cx: Context, task: AnyTask) -> BoxFuture<'static, Result<Vec<u8>>>;
    fn get(self: Arc<Self>, cx: Context, meta: Vec<u8>) -> BoxFuture<'static, Result<Status>>;
    /// The job's ids at the vendor, for its owner to read; `None` if the plugin keeps them to itself.
    ///
    /// # Errors
    /// `Internal` when `meta` is not JSON.
    fn ids<'a>(&self, meta: &'a [u8]) -> Result<Option<Cow<'a, RawValue>>> {
        let ids = serde_json::from_slice::<&RawValue>(meta).map_err(Error::internal)?;
        Ok(Some(Cow::Borrowed(ids)))
    }
    /// The status that follows from the job's ids alone.
    fn describe(&self, meta: &[u8]) -> Status;
    /// The job's group for joint polls; `None` without them.
    fn group(
        self: Arc<Self>,
        cx: Context,
        meta: Vec<u8>,
    ) -> BoxFuture<'static, Result<Option<Fingerprint>>>;
    fn get_many(
        self: Arc<Self>,
        cx: Context,
        polls: Vec<Poll>,
    ) -> BoxFuture<'static, Result<Vec<JointStatus>>>;
    fn delete(self: Arc<Self>, cx: Context, meta: Vec<u8>) -> BoxFuture<'static, Result<()>>;
}

/// A [`Polled`] job with its `Meta` as JSON.
#[derive(Debug, Clone)]
pub(crate) struct Poll {
    pub(crate) meta: Vec<u8>,
    pub(crate) created_at: Timestamp,
}

impl<P: Plugin> DynPlugin for P {
    fn task_types(&self) -> &'static [TaskType] {
        self.options().task_types
    }

    fn custom_schema(&self, task_type: TaskType) -> Json {
        match self.options().schema {
            Some(schema) => schema(self, task_type),
            None => schemars::schema_for!(P::Custom).to_value(),
        }
    }

    fn example(&self, task_type: TaskType) -> Cow<'static, str> {
        match self.options().example {
            Some(example) => example(self, task_type).into(),
            None => P::EXAMPLE.into(),
        }
    }

    fn revision(&self) -> u64 {
        self.options().revision.map_or(0, |revision| revision(self))
    }

    fn background(self: Arc<Self>) -> BoxFuture<'static, ()> {
        match self.options().background {
            Some(background) => background(self),
            None => Box::pin(async {}),
        }
    }

    fn create(self: Arc<Self>, cx: Context, task: AnyTask) -> BoxFuture<'static, Result<Vec<u8>>> {
        Box::pin(async move {
            let task = task.read()?.map_custom(read_custom)?;
            let meta = Plugin::create(&*self, &cx, task).await?;
            serde_json::to_vec(&meta).map_err(Error::internal)
        })
    }

    fn get(self: Arc<Self>, cx: Context, meta: Vec<u8>) -> BoxFuture<'static, Result<Status>> {
        Box::pin(async move { Plugin::get(&*self, &cx, read_meta(&meta)?).await })
    }

    fn describe(&self, meta: &[u8]) -> Status {
        match read_meta(meta) {
            Ok(meta) => Plugin::describe(self, &meta),
            Err(_) => Status::new(Phase::Running),
        }
    }

    fn group(
        self: Arc<Self>,
        cx: Context,
        meta: Vec<u8>,
    ) -> BoxFuture<'static, Result<Option<Fingerprint>>> {
        Box::pin(async move {
            match self.options().joint {
                Some(joint) => (joint.group)(&self, &cx, &read_meta(&meta)?).await,
                None => Ok(None),
            }
        })
    }

    fn get_many(
        self: Arc<Self>,
        cx: Context,
        polls: Vec<Poll>,
    ) -> BoxFuture<'static, Result<Vec<JointStatus>>> {
        Box::pin(async move {
            let Some(joint) = self.options().joint else {
                return Ok(Vec::new());
            };
            let polled =
                |Poll { meta, created_at }: Poll| Ok(Polled::new(read_meta(&meta)?, created_at));
            let jobs = polls.into_iter().map(polled).collect::<Result<Vec<_>>>()?;
            (joint.get_many)(&self, &cx, &jobs).await
        })
    }

    fn delete(self: Arc<Self>, cx: Context, meta: Vec<u8>) -> BoxFuture<'static, Result<()>> {
        Box::pin(async move { Plugin::delete(&*self, &cx, read_meta(&meta)?).await })
    }
}

/// The kind does not fail the job: during a rollout, an old replica may be polled for a new one's job.
fn read_meta<T: DeserializeOwned>(meta: &[u8]) -> Result<T> {
    serde_json::from_slice(meta).map_err(|error| {
        let message = "the job's handle is from a version of the plugin that this one cannot read";
        Error::new(Kind::FailedPrecondition, message)
            .with_code("UNREADABLE_META")
            .with_source(error)
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Custom {
        #[serde(rename = "cluster")]
        _cluster: Cluster,
    }

    #[derive(Debug, Deserialize)]
    struct Cluster {
        #[serde(rename = "workers")]
        _workers: u32,
    }

    #[test]
    fn an_invalid_custom_is_refused_by_path() {
        let message = |custom| read_custom::<Custom>(custom).unwrap_err().to_string();
        assert_eq!(message(json!({})), "custom: missing field `cluster`");
        assert_eq!(
            message(json!({"cluster": {"workers": "two"}})),
            "custom.cluster.workers: invalid type: string \"two\", expected a whole number, 0 or more"
        );
        assert_eq!(
            message(json!({"cluster": true})),
            "custom.cluster: invalid type: boolean `true`, expected an object"
        );
    }
}
