//! The traits a plugin's author implements: [`Plugin`] or [`SyncPlugin`].

mod sync;

use clap::Args;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

pub use self::sync::SyncPlugin;
use crate::{
    context::{Context, IdempotencyKey},
    error::Result,
    http::HttpBuilder,
    status::{Phase, Status},
    task::Task,
};

/// A task type that a service answers, as task templates spell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TaskType {
    /// `template.type`, for example `bigquery_query_job_task`.
    pub name: &'static str,
    /// `template.task_type_version`. Propeller keeps one version per name, so serve just one.
    pub version: i32,
}

/// Polls with one key can be answered by the same calls to the vendor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BatchKey(IdempotencyKey);

impl BatchKey {
    /// The key that `parts` make together: all that decides what the vendor shows, such as the account
    /// or project and who asks. It is kept as a hash, so secrets may be part of it.
    #[must_use]
    pub fn of(parts: &[&str]) -> Self {
        Self(IdempotencyKey::of_parts(parts))
    }
}

/// A job that is polled together with others.
#[derive(Debug, Clone)]
pub struct Polled<Meta> {
    /// What finds it.
    pub job: Meta,
    /// When it was created.
    pub created_at: Timestamp,
}

/// What calls for many jobs told of one.
#[derive(Debug, Clone, PartialEq)]
pub enum BatchStatus {
    /// All there is to say.
    Status(Status),
    /// It has not ended, and no more is known: what was last seen of it stands. A job that was not
    /// looked at by itself for some minutes is looked at all the same.
    NotEnded,
    /// It has to be looked at by itself.
    Alone,
}

/// A job system that tasks can be sent to.
///
/// Write three functions and four types. REST, gRPC, authentication, limits, retries, logs, metrics
/// and traces are the core's.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a plugin yet",
    label = "`plugin_core::Plugin` is not implemented",
    note = "docs/writing-a-plugin.md shows how; services/bigquery/src/lib.rs is the model"
)]
pub trait Plugin: Sized + Send + Sync + 'static {
    /// What the plugin can answer.
    const TASK_TYPES: &'static [TaskType];

    /// What an operator sets. Each field is a flag, an environment variable and a line in the plugin's
    /// README.
    type Settings: Args;

    /// What a task's author writes in `custom`. A wrong one is answered with the path of the wrong
    /// field, before any code of the plugin runs.
    type Custom: DeserializeOwned + JsonSchema + Send + 'static;

    /// What finds the job again: ids, at most about 500 bytes as JSON. The caller keeps it sealed;
    /// still, never put secrets or hosts in it.
    type Meta: Serialize + DeserializeOwned + Send + Sync + 'static;

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

    /// Submits the job.
    ///
    /// Is called again for the same task when an answer got lost: give the vendor
    /// [`Context::idempotency_key`], so that the second call finds the first one's job. Runs on when
    /// the caller goes away.
    ///
    /// # Errors
    /// A definitive refusal is shown to the user as the task's failure and is not retried. A
    /// [transient](crate::Kind::is_transient) one means: nothing is known to exist, try again.
    fn create(
        &self,
        cx: &Context,
        task: Task<Self::Custom>,
    ) -> impl Future<Output = Result<Self::Meta>> + Send;

    /// Looks at the job, without waiting for it.
    ///
    /// Map every state the vendor may answer; one you do not know is [`Status::unknown_state`].
    ///
    /// # Errors
    /// `NotFound` fails the task, but not in a job's first minute, when a vendor may be late to list it.
    /// After any other error the core answers with the last status it saw,
    /// because an upstream in trouble must not fail a healthy task.
    fn get(&self, cx: &Context, meta: Self::Meta) -> impl Future<Output = Result<Status>> + Send;

    /// What can be said of the job without asking the vendor: a link and facts made from its ids.
    ///
    /// It is shown when the vendor cannot be asked and this replica never saw the job. Flyte keeps the
    /// links of a phase's first answer, so a plugin that can make them from `meta` should.
    fn describe(&self, _meta: &Self::Meta) -> Status {
        Status::new(Phase::Running)
    }

    /// Which polls [`get_many`](Self::get_many) can answer together: those with one key.
    ///
    /// # Errors
    /// Like those of [`get`](Self::get).
    fn batch_key(
        &self,
        _cx: &Context,
        _meta: &Self::Meta,
    ) -> impl Future<Output = Result<Option<BatchKey>>> + Send {
        std::future::ready(Ok(None))
    }

    /// Looks at many jobs with few calls to the vendor; the answers are in the order of `jobs`.
    ///
    /// Correctness never depends on this: it is not called for a few jobs, and can be turned off.
    ///
    /// # Errors
    /// After a [transient](crate::Kind::is_transient) one all are answered with their last status; after
    /// any other each is looked at by itself.
    fn get_many(
        &self,
        _cx: &Context,
        _jobs: &[Polled<Self::Meta>],
    ) -> impl Future<Output = Result<Vec<BatchStatus>>> + Send {
        std::future::ready(Ok(Vec::new()))
    }

    /// Stops the job. Runs on when the caller goes away.
    ///
    /// # Errors
    /// `NotFound` counts as success, as does a job that has ended: Flyte 2 deletes finished jobs too,
    /// and repeats a failed delete for ever.
    fn delete(&self, cx: &Context, meta: Self::Meta) -> impl Future<Output = Result<()>> + Send;
}
