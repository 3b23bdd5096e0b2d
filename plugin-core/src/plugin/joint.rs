//! Polls of many jobs that few calls to the vendor answer.

use jiff::Timestamp;
use server_core::{Result, digest::Fingerprint};

use super::Plugin;
use crate::{context::Context, task::Status};

/// A [`Plugin`] whose vendor can list jobs, so that one call answers the polls of many.
///
/// Opt in with [`Options::joint_polls`](crate::Options::joint_polls). Correctness never depends on joint
/// polls: they are not used for few jobs, and operators can turn them off.
///
/// ```
/// # use plugin_core::{HttpBuilder, Task, TaskType, clap, schemars};
/// use plugin_core::{
///     Context, Fingerprint, Http, JointPolls, JointStatus, Options, Phase, Plugin, Polled, Result,
///     Status,
/// };
/// use serde::{Deserialize, Serialize};
///
/// struct Acme {
///     http: Http,
/// }
///
/// #[derive(Serialize, Deserialize)]
/// struct Job {
///     project: String,
///     id: String,
/// }
///
/// #[derive(Deserialize)]
/// struct Listed {
///     id: String,
///     ended: bool,
/// }
///
/// # #[derive(clap::Args)]
/// # struct Settings {}
/// # #[derive(Deserialize, schemars::JsonSchema)]
/// # struct Custom {}
/// impl Plugin for Acme {
///     type Meta = Job;
///
///     fn options(&self) -> Options<Self> {
///         Options::default().joint_polls()
///     }
///     // …
/// #   const TASK_TYPES: &'static [TaskType] = &[TaskType::new("acme", 0)];
/// #   type Settings = Settings;
/// #   type Custom = Custom;
/// #   fn new(_: Settings, _: HttpBuilder) -> Result<Self> { unreachable!() }
/// #   async fn create(&self, _: &Context, _: Task<Custom>) -> Result<Job> { unreachable!() }
/// #   async fn get(&self, _: &Context, _: Job) -> Result<Status> { unreachable!() }
/// #   async fn delete(&self, _: &Context, _: Job) -> Result<()> { unreachable!() }
/// }
///
/// impl JointPolls for Acme {
///     async fn group(&self, _: &Context, job: &Job) -> Result<Option<Fingerprint>> {
///         Ok(Some(Fingerprint::of(&[&job.project])))
///     }
///
///     async fn get_many(&self, cx: &Context, jobs: &[Polled<Job>]) -> Result<Vec<JointStatus>> {
///         let Some(first) = jobs.first() else { return Ok(Vec::new()) };
///         let list: Vec<Listed> =
///             self.http.get(&["projects", &first.job.project, "jobs"]).send_json(cx).await?;
///         let status = |polled: &Polled<Job>| match list.iter().find(|job| job.id == polled.job.id) {
///             Some(job) if !job.ended => JointStatus::Status(Status::new(Phase::Running)),
///             // The list does not say how a job ended.
///             _ => JointStatus::Alone,
///         };
///         Ok(jobs.iter().map(status).collect())
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not implement `JointPolls`",
    label = "`plugin_core::JointPolls` is not implemented",
    note = "implement `JointPolls` for `{Self}`, or remove `.joint_polls()` from its `options`"
)]
pub trait JointPolls: Plugin {
    /// The group of a job: the same calls can list all jobs of one group. Make it of everything that
    /// decides which jobs the vendor lists, such as the account or project and the caller's identity.
    /// `None` for a job that has to be polled by itself.
    ///
    /// # Errors
    /// As for [`Plugin::get`].
    fn group(
        &self,
        cx: &Context,
        meta: &Self::Meta,
    ) -> impl Future<Output = Result<Option<Fingerprint>>> + Send;

    /// Reads the status of many jobs of one group with few calls to the vendor; the results are in the
    /// order of `jobs`.
    ///
    /// # Errors
    /// After a [transient](crate::Kind::is_transient) error every poll that waits is answered with its job's
    /// last status; after any other error each job is polled by itself for a while.
    fn get_many(
        &self,
        cx: &Context,
        jobs: &[Polled<Self::Meta>],
    ) -> impl Future<Output = Result<Vec<JointStatus>>> + Send;
}

/// A job that is polled together with others.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Polled<Meta> {
    /// The ids that find the job.
    pub job: Meta,
    /// When the job was created.
    pub created_at: Timestamp,
}

impl<Meta> Polled<Meta> {
    /// The job that `job` finds, created at `created_at`.
    pub fn new(job: Meta, created_at: Timestamp) -> Self {
        Self { job, created_at }
    }
}

/// The result of a joint poll for one job.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
#[must_use]
pub enum JointStatus {
    /// The job's full status.
    Status(Status),
    /// The job has not ended, and the last known status stands. A job that was not polled by itself for
    /// some minutes is polled by itself all the same.
    NotEnded,
    /// The job has to be polled by itself.
    Alone,
}
