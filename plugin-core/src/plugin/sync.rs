//! The trait of a plugin that answers at once.

use clap::Args;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use server_core::Result;

use super::TaskType;
use crate::{
    context::Context,
    task::{Status, Task},
    upstream::HttpBuilder,
};

/// A service that tasks are answered by at once: within one call, without a job to come back for.
///
/// Write two functions and two types. For work that takes longer than a caller waits, there is
/// [`Plugin`](crate::Plugin).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a sync plugin yet",
    label = "`plugin_core::SyncPlugin` is not implemented",
    note = "docs/plugin-contract.md says what one must do"
)]
pub trait SyncPlugin: Sized + Send + Sync + 'static {
    /// What the plugin can answer.
    const TASK_TYPES: &'static [TaskType];

    /// What an operator sets. Each field is a flag, an environment variable and a line in the plugin's
    /// README.
    type Settings: Args;

    /// What a task's author writes in `custom`. A wrong one is answered with the path of the wrong
    /// field, before any code of the plugin runs.
    type Custom: DeserializeOwned + JsonSchema + Send + 'static;

    /// Which of [`TASK_TYPES`](Self::TASK_TYPES) this service answers: all, unless a setting says
    /// otherwise.
    fn task_types(&self) -> &'static [TaskType] {
        Self::TASK_TYPES
    }

    /// Makes the plugin, once, at start-up.
    ///
    /// # Errors
    /// Whatever is wrong with the settings; the service then refuses to start.
    fn new(settings: Self::Settings, http: HttpBuilder) -> Result<Self>;

    /// Does what the task asks for, and answers with how it ended: a [terminal](crate::Phase::is_terminal)
    /// phase, with every output that the task declares.
    ///
    /// Ends at [`Context::deadline`], wherever it stands. Is called again for the same task when an
    /// answer got lost: give the vendor [`Context::idempotency_key`] where it takes one. Runs on when
    /// the caller goes away, as a repeat may come for the answer.
    ///
    /// # Errors
    /// A definitive refusal is shown to the user as the task's failure and is not retried. A
    /// [transient](server_core::Kind::is_transient) one means: try again.
    fn execute(
        &self,
        cx: &Context,
        task: Task<Self::Custom>,
    ) -> impl Future<Output = Result<Status>> + Send;
}
