//! The trait of a plugin that answers tasks within the call.

use clap::Args;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use server_core::Result;

use super::Plugin;
use crate::{
    context::Context,
    task::{Status, Task, TaskType},
    upstream::HttpBuilder,
};

/// A vendor's API that answers Flyte tasks within one call, without a job to poll.
///
/// Write two functions and two types. For work that takes longer than a caller waits, implement
/// [`Plugin`].
///
/// ```
/// use plugin_core::{
///     Context, Http, HttpBuilder, Phase, Result, Status, SyncPlugin, Task, TaskType, Value, clap,
///     schemars,
///     serde_json::json,
///     upstream::SecretToken,
/// };
/// use serde::Deserialize;
///
/// struct AcmeChat {
///     http: Http,
/// }
///
/// #[derive(clap::Args)]
/// struct Settings {}
///
/// #[derive(Deserialize, schemars::JsonSchema)]
/// struct Custom {
///     model: String,
///     prompt: String,
/// }
///
/// #[derive(Deserialize)]
/// struct Reply {
///     text: String,
/// }
///
/// impl SyncPlugin for AcmeChat {
///     const TASK_TYPES: &'static [TaskType] = &[TaskType::new("acme_chat", 0)];
///     type Settings = Settings;
///     type Custom = Custom;
///
///     fn new(_: Settings, http: HttpBuilder) -> Result<Self> {
///         let http = http.credentials(SecretToken::new("acme_token"));
///         Ok(Self { http: http.build("https://api.acme.example/v1")? })
///     }
///
///     async fn execute(&self, cx: &Context, task: Task<Custom>) -> Result<Status> {
///         let body = json!({ "model": task.custom.model, "prompt": task.custom.prompt });
///         let reply: Reply = self.http.post(&["chat"]).json(&body).send_json(cx).await?;
///         Ok(Status::new(Phase::Succeeded).output("reply", Some(Value::String(reply.text))))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a sync plugin yet",
    label = "`plugin_core::SyncPlugin` is not implemented",
    note = "docs/plugin-contract.md says what one must do"
)]
pub trait SyncPlugin: Sized + Send + Sync + 'static {
    /// The task types that the plugin answers.
    const TASK_TYPES: &'static [TaskType];

    /// The operator's settings. Each field is a flag, an environment variable and a line in the plugin's
    /// README.
    type Settings: Args;

    /// The template's `custom`, written by the task's author. A value of another shape is refused with
    /// the path of the wrong field before any code of the plugin runs.
    type Custom: DeserializeOwned + JsonSchema + Send + 'static;

    /// A task as people submit it over REST, as in [`Plugin::EXAMPLE`].
    const EXAMPLE: &'static str = r#"{"custom": {}}"#;

    /// The task types that this service answers: all of [`TASK_TYPES`](Self::TASK_TYPES), unless a
    /// setting says otherwise.
    fn task_types(&self) -> &'static [TaskType] {
        Self::TASK_TYPES
    }

    /// Makes the plugin, once, at start-up.
    ///
    /// # Errors
    /// An error about the settings; the service then refuses to start.
    fn new(settings: Self::Settings, http: HttpBuilder) -> Result<Self>;

    /// Runs the task and returns its final status: a [terminal](crate::Phase::is_terminal) phase, with
    /// every output that the task declares.
    ///
    /// It is cancelled at [`Context::deadline`]. It is called again for the same task when a response
    /// was lost: give the vendor [`Context::idempotency_key`] where it takes one. It keeps running when
    /// the caller disconnects, so that a repeat can join it.
    ///
    /// # Errors
    /// A definitive refusal becomes the task's failure: the user reads it, and Flyte does not retry. A
    /// [transient](server_core::Kind::is_transient) error means that the outcome is not known: try again.
    fn execute(
        &self,
        cx: &Context,
        task: Task<Self::Custom>,
    ) -> impl Future<Output = Result<Status>> + Send;
}

/// A [`Plugin`] that answers some task types within the call: for vendors with jobs and with calls that respond within
/// seconds, and for plugins that learn their task types when they start.
///
/// Opt in with [`Options::sync_tasks`](crate::Options::sync_tasks).
pub trait SyncTasks: Plugin {
    /// The task-specific part of a task template of these types, as [`SyncPlugin::Custom`].
    type Call: DeserializeOwned + JsonSchema + Send + 'static;

    /// Runs the task and returns its final status; see [`SyncPlugin::execute`].
    ///
    /// # Errors
    /// As for [`SyncPlugin::execute`].
    fn execute(
        &self,
        cx: &Context,
        task: Task<Self::Call>,
    ) -> impl Future<Output = Result<Status>> + Send;
}
