//! Polls that one call to the vendor answers for many jobs.

use jiff::Timestamp;
use server_core::{Result, digest::Fingerprint};

use super::Plugin;
use crate::{context::Context, task::Status};

/// A [`Plugin`] whose vendor can list jobs, so that many polls cost one call.
///
/// Opt in with [`Options::joint_polls`](crate::Options::joint_polls). Correctness never depends on it:
/// it is not used for a few jobs, and an operator can turn it off.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot answer joint polls yet",
    label = "`plugin_core::JointPolls` is not implemented",
    note = "implement `JointPolls` for `{Self}`, or remove `.joint_polls()` from its `options`"
)]
pub trait JointPolls: Plugin {
    /// The group of a job: jobs of one group can be listed by the same calls. It is made of all that
    /// decides what the vendor shows, such as the account or project and the identity of the call.
    /// `None` for a job that has to be polled by itself.
    ///
    /// # Errors
    /// As of [`Plugin::get`].
    fn group(
        &self,
        cx: &Context,
        meta: &Self::Meta,
    ) -> impl Future<Output = Result<Option<Fingerprint>>> + Send;

    /// Reads the status of many jobs of one group with few calls to the vendor; the answers are in the
    /// order of `jobs`.
    ///
    /// # Errors
    /// After a [transient](crate::Kind::is_transient) error all polls are answered with the job's last
    /// status; after any other error each job is polled by itself.
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
    /// The ids that find it.
    pub job: Meta,
    /// When it was created.
    pub created_at: Timestamp,
}

impl<Meta> Polled<Meta> {
    /// A job found by `job`, created at `created_at`.
    pub fn new(job: Meta, created_at: Timestamp) -> Self {
        Self { job, created_at }
    }
}

/// What a joint poll found out about one job.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
#[must_use]
pub enum JointStatus {
    /// Its whole status.
    Status(Status),
    /// It has not ended, and no more is known: the status that was last seen stands. A job that was not
    /// polled by itself for some minutes is polled so all the same.
    NotEnded,
    /// It has to be polled by itself.
    Alone,
}
