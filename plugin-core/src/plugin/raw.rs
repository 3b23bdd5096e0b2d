//! The trait of a plugin that passes tasks on as they came.

use clap::Args;
use serde_json::value::RawValue;
use server_core::Result;

use crate::{
    context::Context,
    task::{Status, TaskType},
    upstream::Calls,
    wire::RawTask,
};

/// A plugin that knows its task types when it starts, and passes tasks on to somebody else's code, which reads
/// them.
///
/// What it keeps in a handle is up to 12 KiB of bytes that nobody else reads, but for [`ids`](Self::ids). For a vendor's API, implement
/// [`Plugin`](crate::Plugin).
pub trait RawPlugin: Sized + Send + Sync + 'static {
    /// The operator's settings. Each field is a flag and an environment variable.
    type Settings: Args;

    /// Makes the plugin, once, at start-up. `calls` counts and traces the calls of its own client.
    ///
    /// # Errors
    /// An error about the settings; the service then refuses to start.
    fn new(settings: Self::Settings, calls: Calls) -> Result<Self>;

    /// The task types that it serves.
    fn task_types(&self) -> RawTaskTypes;

    /// What a repeated create of `task_type` leads to, as far as is known now; `GET /plugins/v1` says it.
    fn repeated_create(&self, task_type: TaskType) -> RepeatedCreate;

    /// Whether it can serve.
    ///
    /// # Errors
    /// Why it cannot, for the probes.
    fn ready(&self) -> Result<(), &'static str>;

    /// What it does beside its calls; the service drops it when it stops.
    fn background(&self) -> impl Future<Output = ()> + Send;

    /// Submits the job; see [`Plugin::create`](crate::Plugin::create).
    ///
    /// # Errors
    /// A definitive refusal becomes the task's failure. A [transient](crate::Kind::is_transient) error means that no job is
    /// known to exist.
    fn create(&self, cx: &Context, task: RawTask) -> impl Future<Output = Result<Vec<u8>>> + Send;

    /// Reads the job's status; see [`Plugin::get`](crate::Plugin::get).
    ///
    /// # Errors
    /// After a transient error the last known status is reported; other errors add up to `--refused-grace`.
    fn get(&self, cx: &Context, meta: Vec<u8>) -> impl Future<Output = Result<Status>> + Send;

    /// What its owner may read of `meta`: the ids by which the job is found where it runs, as JSON. REST answers with it.
    fn ids(&self, meta: &[u8]) -> Option<Box<RawValue>>;

    /// Cancels the job; see [`Plugin::delete`](crate::Plugin::delete).
    ///
    /// # Errors
    /// The job may still be running.
    fn delete(&self, cx: &Context, meta: Vec<u8>) -> impl Future<Output = Result<()>> + Send;

    /// Runs a task of a sync task type; see [`SyncPlugin::execute`](crate::SyncPlugin::execute).
    ///
    /// # Errors
    /// A definitive refusal becomes the task's failure; after a transient error the outcome is not known.
    fn execute(&self, cx: &Context, task: RawTask) -> impl Future<Output = Result<Status>> + Send;
}

/// What a repeated create leads to: Flyte sends the same request again when an answer was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RepeatedCreate {
    /// To the first one's job, at every replica: the vendor knows the key of the request.
    Safe,
    /// To the first one's job if the plugin behind the service looks for it by the key, which it is given.
    UpToPlugin,
    /// To the first one's job at the replica that submitted it, for an hour; to a second job elsewhere.
    Remembered,
}

/// The task types of a [`RawPlugin`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawTaskTypes {
    /// Those whose tasks are jobs.
    pub jobs: &'static [TaskType],
    /// Those that are answered within the call.
    pub sync: &'static [TaskType],
}
