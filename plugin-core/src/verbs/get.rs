//! Polling a job. Upstream failures are not errors here: propeller fails a task for good after six
//! failed polls in a job's life.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};
use server_core::{Error, Kind, Result, digest::Fingerprint};
use tokio::time::{Instant, timeout_at};

use super::{ConnectionSecrets, Incoming, Opened, ServedAsync, Verbs};
use crate::{
    context::Verb,
    handle::Job,
    task::{Phase, Status},
};

/// How long a new job may be unknown to the vendor, as in googleapis/python-bigquery#2134.
const VISIBLE_AFTER: SignedDuration = SignedDuration::from_secs(60);

impl Verbs {
    /// The status of the job of `opened`; its last known one if polling the upstream fails.
    pub(crate) async fn get(
        self: &Arc<Self>,
        incoming: &Incoming,
        opened: &Opened,
        connection: ConnectionSecrets,
    ) -> Arc<Status> {
        let started = Instant::now();
        let status = match &opened.handle.job {
            Job::Refused { code, message } => Arc::new(Status::failed(code.as_deref(), message)),
            Job::Created(meta) => {
                match opened.served.memory.observations.ended(opened.fingerprint) {
                    Some(ended) => ended,
                    None => self.poll(incoming, opened, meta, connection).await,
                }
            }
        };
        incoming.record.fields().phase = Some(status.phase);
        self.count(opened.served.task_type, Verb::Get, started, &Ok(()));
        status
    }

    async fn poll(
        self: &Arc<Self>,
        incoming: &Incoming,
        opened: &Opened,
        meta: &[u8],
        connection: ConnectionSecrets,
    ) -> Arc<Status> {
        match self.poll_upstream(incoming, opened, meta, connection).await {
            Ok(status) => Arc::new(status),
            Err(error) => {
                incoming.record.fields().error = Some(error.clone());
                // NotFound is about the job; all other errors are about the poll.
                if error.kind() == Kind::NotFound {
                    return Arc::new(self.missing(opened, meta, &error));
                }
                self.shared.metrics.stale_answer(opened.served.task_type.name);
                let first = || self.describe(&opened.served, meta);
                let observations = &opened.served.memory.observations;
                observations.fallback(opened.fingerprint, &error, first)
            }
        }
    }

    async fn poll_upstream(
        self: &Arc<Self>,
        incoming: &Incoming,
        opened: &Opened,
        meta: &[u8],
        connection: ConnectionSecrets,
    ) -> Result<Status> {
        let deadline = incoming.deadline.leaving_time_to_answer();
        let cx = self.context_of(incoming, deadline, opened, connection);
        let work = self.guarded(async {
            match self.poll_jointly(opened, &cx, meta).await? {
                Some(status) => Ok(status),
                None => {
                    let plugin = Arc::clone(&opened.served.plugin);
                    let status = plugin.get(cx, meta.to_vec()).await?;
                    self.remember(&opened.served, opened.fingerprint, &status);
                    Ok(status)
                }
            }
        });
        timeout_at(deadline.instant(), work).await.unwrap_or_else(|_| {
            Err(Error::new(Kind::DeadlineExceeded, "the upstream did not answer in time"))
        })
    }

    /// Records a status that the vendor reported, not one from memory.
    pub(super) fn remember(&self, served: &ServedAsync, job: Fingerprint, status: &Status) {
        self.note_unknown_state(served.task_type.name, status);
        served.memory.observations.record(job, &Arc::new(status.clone()));
    }

    /// Counts and logs a state that this version of the plugin does not know.
    pub(super) fn note_unknown_state(&self, task_type: &'static str, status: &Status) {
        if let Some(state) = &status.unknown_state {
            self.shared.metrics.unknown_state(task_type);
            tracing::warn!(task_type, state, "job in a state unknown to this version");
        }
    }

    /// The plugin's status of a job without polling. A panic does not fail the poll.
    pub(super) fn describe(&self, served: &ServedAsync, meta: &[u8]) -> Status {
        let described = catch_unwind(AssertUnwindSafe(|| served.plugin.describe(meta)));
        described.unwrap_or_else(|panic| {
            self.shared.metrics.panics.inc();
            let cause = Error::panicked(&*panic).chain();
            tracing::error!(task_type = served.task_type.name, cause, "describing a job panicked");
            Status::new(Phase::Running)
        })
    }

    /// The status of a job that the vendor does not list: not yet, or no longer.
    fn missing(&self, opened: &Opened, meta: &[u8], error: &Error) -> Status {
        if is_visible(opened.handle.created_at) {
            return Status::failed(error.code(), error.message());
        }
        let known = self.describe(&opened.served, meta);
        Status { phase: Phase::Queued, ..known }
            .message("submitted; the vendor does not list it yet")
    }
}

/// Whether a job is old enough for the vendor to list it.
pub(super) fn is_visible(created_at: Timestamp) -> bool {
    Timestamp::now().duration_since(created_at) >= VISIBLE_AFTER
}

impl Status {
    /// A job that failed permanently.
    pub(super) fn failed(code: Option<&str>, message: &str) -> Self {
        let status = Self::new(Phase::Failed).message(message);
        match code {
            Some(code) => status.code(code),
            None => status,
        }
    }
}

#[cfg(test)]
mod tests;
