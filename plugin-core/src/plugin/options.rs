//! Optional features of a plugin.

use std::{fmt, sync::Arc};

use futures_util::future::BoxFuture;
use prometheus_client::registry::Registry;
use serde_json::Value as Json;
use server_core::{Result, digest::Fingerprint};

use super::{JointPolls, JointStatus, Plugin, Polled, SyncTasks};
use crate::{
    context::Context,
    task::{Status, Task, TaskType, read_custom},
};

/// Optional features of a plugin, returned by [`Plugin::options`].
///
/// ```
/// # use plugin_core::{Context, HttpBuilder, Plugin, Result, Status, Task, clap, schemars};
/// use plugin_core::{Options, TaskType};
///
/// const QUERIES: &[TaskType] = &[TaskType::new("acme_query", 0)];
/// const ALL: &[TaskType] = &[TaskType::new("acme_query", 0), TaskType::new("acme_script", 0)];
///
/// struct Acme {
///     allow_scripts: bool,
/// }
///
/// # #[derive(clap::Args)]
/// # struct Settings {}
/// # #[derive(serde::Deserialize, schemars::JsonSchema)]
/// # struct Custom {}
/// impl Plugin for Acme {
///     const TASK_TYPES: &'static [TaskType] = ALL;
///
///     fn options(&self) -> Options<Self> {
///         Options::default().task_types(if self.allow_scripts { ALL } else { QUERIES })
///     }
///     // …
/// #   type Settings = Settings;
/// #   type Custom = Custom;
/// #   type Meta = String;
/// #   fn new(_: Settings, _: HttpBuilder) -> Result<Self> { unreachable!() }
/// #   async fn create(&self, _: &Context, _: Task<Custom>) -> Result<String> { unreachable!() }
/// #   async fn get(&self, _: &Context, _: String) -> Result<Status> { unreachable!() }
/// #   async fn delete(&self, _: &Context, _: String) -> Result<()> { unreachable!() }
/// }
/// ```
#[must_use]
pub struct Options<P: Plugin> {
    pub(crate) task_types: &'static [TaskType],
    pub(crate) joint: Option<Joint<P>>,
    pub(crate) sync: Option<Sync<P>>,
    pub(crate) schema: Option<fn(&P, TaskType) -> Json>,
    pub(crate) example: Option<fn(&P, TaskType) -> String>,
    pub(crate) background: Option<fn(Arc<P>) -> BoxFuture<'static, ()>>,
    pub(crate) metrics: Option<fn(&P, &mut Registry)>,
    pub(crate) revision: Option<fn(&P) -> u64>,
}

/// The functions of [`JointPolls`] as values, so that other plugins need not implement the trait.
pub(crate) struct Joint<P: Plugin> {
    pub(crate) group: Group<P>,
    pub(crate) get_many: GetMany<P>,
}

/// The function of [`SyncTasks`] as a value, with the task types that it is for, and the JSON Schema of their `custom`.
pub(crate) struct Sync<P: Plugin> {
    pub(crate) task_types: &'static [TaskType],
    pub(crate) schema: fn() -> Json,
    pub(crate) execute: Execute<P>,
}

type Execute<P> = for<'a> fn(&'a P, &'a Context, Task<Json>) -> BoxFuture<'a, Result<Status>>;

type Group<P> = for<'a> fn(
    &'a P,
    &'a Context,
    &'a <P as Plugin>::Meta,
) -> BoxFuture<'a, Result<Option<Fingerprint>>>;

type GetMany<P> = for<'a> fn(
    &'a P,
    &'a Context,
    &'a [Polled<<P as Plugin>::Meta>],
) -> BoxFuture<'a, Result<Vec<JointStatus>>>;

impl<P: Plugin> Default for Options<P> {
    /// All task types, no joint polls.
    fn default() -> Self {
        Self {
            task_types: P::TASK_TYPES,
            joint: None,
            sync: None,
            schema: None,
            example: None,
            background: None,
            metrics: None,
            revision: None,
        }
    }
}

impl<P: Plugin> Options<P> {
    /// Serves only `task_types` of [`TASK_TYPES`](Plugin::TASK_TYPES), for example those that a setting
    /// enables.
    pub fn task_types(mut self, task_types: &'static [TaskType]) -> Self {
        self.task_types = task_types;
        self
    }

    /// Publishes `schema` as the JSON Schema of a task type's `custom`, instead of that of
    /// [`Plugin::Custom`]: for plugins whose task types differ in it, or that learn it when they start.
    pub fn custom_schema(mut self, schema: fn(&P, TaskType) -> Json) -> Self {
        self.schema = Some(schema);
        self
    }

    /// Shows `example` in `/docs` as a task of a task type, instead of [`Plugin::EXAMPLE`]; it is JSON, too.
    pub fn example(mut self, example: fn(&P, TaskType) -> String) -> Self {
        self.example = Some(example);
        self
    }

    /// Runs `background` beside the plugin's calls, from the service's start until it stops, which drops it wherever it
    /// waits.
    pub fn background(mut self, background: fn(Arc<P>) -> BoxFuture<'static, ()>) -> Self {
        self.background = Some(background);
        self
    }

    /// Registers metrics of the plugin's own. Their names begin with the service's, because all plugins of a process share
    /// `/metrics`, and their labels have values of a closed set.
    pub fn metrics(mut self, register: fn(&P, &mut Registry)) -> Self {
        self.metrics = Some(register);
        self
    }

    /// What `revision` returns changes whenever [`custom_schema`](Self::custom_schema) or [`example`](Self::example) would
    /// return something else than before: `/docs` and `/openapi.json` are then made again.
    pub fn revision(mut self, revision: fn(&P) -> u64) -> Self {
        self.revision = Some(revision);
        self
    }

    /// Answers concurrent polls with [`JointPolls::get_many`].
    pub fn joint_polls(mut self) -> Self
    where
        P: JointPolls,
    {
        self.joint = Some(Joint {
            group: |plugin, cx, meta| Box::pin(plugin.group(cx, meta)),
            get_many: |plugin, cx, jobs| Box::pin(plugin.get_many(cx, jobs)),
        });
        self
    }
}

impl<P: SyncTasks> Options<P> {
    /// Answers tasks of `task_types` within the call, by [`SyncTasks::execute`]. They are not among those with jobs.
    pub fn sync_tasks(mut self, task_types: &'static [TaskType]) -> Self {
        self.sync = Some(Sync {
            task_types,
            schema: || schemars::schema_for!(P::Call).to_value(),
            execute: |plugin, cx, task| {
                Box::pin(async move { plugin.execute(cx, task.map_custom(read_custom)?).await })
            },
        });
        self
    }
}

impl<P: Plugin> fmt::Debug for Options<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("task_types", &self.task_types)
            .field("joint_polls", &self.joint.is_some())
            .field("sync_tasks", &self.sync.is_some())
            .finish_non_exhaustive()
    }
}
