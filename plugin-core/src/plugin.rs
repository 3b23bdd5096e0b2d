//! The traits that a plugin implements: [`Plugin`] or [`SyncPlugin`], and [`JointPolls`] if the vendor
//! can list jobs.

mod joint;
mod options;
mod raw;
mod sync;

use clap::Args;
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use server_core::Result;

pub use self::{
    joint::{JointPolls, JointStatus, Polled},
    options::Options,
    raw::{RawPlugin, RawTaskTypes, RepeatedCreate},
    sync::{SyncPlugin, SyncTasks},
};
use crate::{
    context::Context,
    task::{Phase, Status, Task, TaskType},
    upstream::HttpBuilder,
};

/// A vendor's job system that runs Flyte tasks.
///
/// Write four functions and three types. REST, gRPC, authentication, limits, retries, logs, metrics
/// and traces come with `plugin-core`.
///
/// All calls share a thread: what blocks, or computes for milliseconds on requests that are not large, belongs into
/// `tokio::task::spawn_blocking`.
///
/// ```
/// use plugin_core::{
///     Context, Http, HttpBuilder, Phase, Plugin, Result, Status, Task, TaskType, clap, schemars,
///     upstream::SecretToken,
/// };
/// use serde::{Deserialize, Serialize};
///
/// struct Acme {
///     http: Http,
/// }
///
/// #[derive(clap::Args)]
/// struct Settings {
///     /// The region whose API is called.
///     #[arg(long, env = "ACME_REGION", default_value = "eu")]
///     region: String,
/// }
///
/// #[derive(Deserialize, schemars::JsonSchema)]
/// struct Custom {
///     cluster: String,
/// }
///
/// #[derive(Serialize, Deserialize)]
/// struct Job {
///     id: String,
///     #[serde(default)]
///     state: String,
/// }
///
/// impl Plugin for Acme {
///     const TASK_TYPES: &'static [TaskType] = &[TaskType::new("acme", 0)];
///     type Settings = Settings;
///     type Custom = Custom;
///     type Meta = String;
///
///     fn new(settings: Settings, http: HttpBuilder) -> Result<Self> {
///         let base = format!("https://{}.api.acme.example/v1", settings.region);
///         let http = http.credentials(SecretToken::new("acme_token")).build(&base)?;
///         Ok(Self { http })
///     }
///
///     async fn create(&self, cx: &Context, task: Task<Custom>) -> Result<String> {
///         let body = serde_json::json!({
///             "cluster": task.custom.cluster,
///             "statement": task.sql()?,
///             "request_id": cx.idempotency_key().hex(),
///         });
///         let job: Job = self.http.post(&["jobs"]).json(&body).idempotent().send_json(cx).await?;
///         Ok(job.id)
///     }
///
///     async fn get(&self, cx: &Context, id: String) -> Result<Status> {
///         let job: Job = self.http.get(&["jobs", &id]).send_json(cx).await?;
///         Ok(match job.state.as_str() {
///             "queued" => Status::new(Phase::Queued),
///             "running" => Status::new(Phase::Running),
///             "done" => Status::new(Phase::Succeeded),
///             "failed" => Status::new(Phase::Failed),
///             unknown => Status::unknown_state(unknown),
///         })
///     }
///
///     async fn delete(&self, cx: &Context, id: String) -> Result<()> {
///         self.http.delete(&["jobs", &id]).send(cx).await?;
///         Ok(())
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a plugin yet",
    label = "`plugin_core::Plugin` is not implemented",
    note = "docs/writing-a-plugin.md shows how; services/bigquery/src/lib.rs is the model"
)]
pub trait Plugin: Sized + Send + Sync + 'static {
    /// The task types that the plugin runs.
    const TASK_TYPES: &'static [TaskType];

    /// The operator's settings. Each field is a flag, an environment variable and a line in the plugin's
    /// README.
    type Settings: Args;

    /// The template's `custom`, written by the task's author. A value of another shape is refused with
    /// the path of the wrong field before any code of the plugin runs.
    type Custom: DeserializeOwned + JsonSchema + Send + 'static;

    /// The ids that find the job again, at most [`MAX_META_BYTES`](crate::context::MAX_META_BYTES) as JSON
    /// ([`Context::check_meta`]). The caller keeps them sealed; even so, they must contain no secrets and no
    /// hosts.
    type Meta: Serialize + DeserializeOwned + Send + Sync + 'static;

    /// Makes the plugin, once, at start-up.
    ///
    /// # Errors
    /// An error about the settings; the service then refuses to start.
    fn new(settings: Self::Settings, http: HttpBuilder) -> Result<Self>;

    /// Submits the job.
    ///
    /// It is called again for the same task when a response was lost: give the vendor
    /// [`Context::idempotency_key`], so that the second call finds the first one's job. The call keeps
    /// running when the caller disconnects.
    ///
    /// # Errors
    /// A definitive refusal becomes the task's failure: the user reads it, and Flyte does not retry. A
    /// [transient](crate::Kind::is_transient) error means that no job is known to exist: try again.
    fn create(
        &self,
        cx: &Context,
        task: Task<Self::Custom>,
    ) -> impl Future<Output = Result<Self::Meta>> + Send;

    /// Reads the job's status, without waiting for the job.
    ///
    /// Map every state that the vendor may return; for an unknown one return [`Status::unknown_state`].
    ///
    /// # Errors
    /// `NotFound` fails the task, except in a job's first minute, when the vendor may not list it yet.
    /// After any other error the service answers with the job's last known status, because an outage of
    /// the upstream must not fail a healthy task.
    fn get(&self, cx: &Context, meta: Self::Meta) -> impl Future<Output = Result<Status>> + Send;

    /// Cancels the job. The call keeps running when the caller disconnects.
    ///
    /// # Errors
    /// `NotFound` counts as success, as does a job that has ended: Flyte 2 deletes finished jobs too,
    /// and repeats a failed delete forever.
    fn delete(&self, cx: &Context, meta: Self::Meta) -> impl Future<Output = Result<()>> + Send;

    /// The status of the job as far as it follows from its ids alone: links and facts.
    ///
    /// Polls are answered with it when the vendor is not available and this replica has not polled the job
    /// before. Flyte keeps the links of each phase's first answer, so a plugin that can make them from
    /// `meta` should.
    fn describe(&self, _meta: &Self::Meta) -> Status {
        Status::new(Phase::Running)
    }

    /// A task as people submit it over REST, in the short form: `{"custom": …, "sql": …, "inputs": …}`. `/docs` shows it, so
    /// it should run once its reader has replaced the names of their own account.
    const EXAMPLE: &'static str = r#"{"custom": {}}"#;

    /// The plugin's optional features: [joint polls](JointPolls), [sync tasks](Options::sync_tasks), or fewer task types than
    /// [`TASK_TYPES`](Self::TASK_TYPES).
    fn options(&self) -> Options<Self> {
        Options::default()
    }
}
