//! Looking at a job. Trouble upstream is no error here: propeller gives up for good after its sixth
//! failed poll in a job's life.

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

/// How long a new job may be unknown to the vendor (googleapis/python-bigquery#2134 is one who is late).
const SETTLES: SignedDuration = SignedDuration::from_secs(60);

impl Verbs {
    /// Where the job of `opened` stands; its last known status when the vendor cannot be asked.
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
                    None => self.look(incoming, opened, meta, connection).await,
                }
            }
        };
        incoming.record.fields().phase = Some(status.phase);
        self.count(opened.served.task_type, Verb::Get, started, &Ok(()));
        status
    }

    async fn look(
        self: &Arc<Self>,
        incoming: &Incoming,
        opened: &Opened,
        meta: &[u8],
        connection: ConnectionSecrets,
    ) -> Arc<Status> {
        match self.ask(incoming, opened, meta, connection).await {
            Ok(status) => Arc::new(status),
            Err(error) => {
                incoming.record.fields().error = Some(error.clone());
                // The vendor's word that there is no such job is about the job; all else is trouble.
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

    async fn ask(
        self: &Arc<Self>,
        incoming: &Incoming,
        opened: &Opened,
        meta: &[u8],
        connection: ConnectionSecrets,
    ) -> Result<Status> {
        let deadline = incoming.deadline.leaving_time_to_answer();
        let cx = self.context_of(incoming, deadline, opened, connection);
        let work = self.guarded(async {
            match self.poll_together(opened, &cx, meta).await? {
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

    /// Keeps what the vendor said of a job; what is only remembered is not kept anew.
    pub(super) fn remember(&self, served: &ServedAsync, job: Fingerprint, status: &Status) {
        self.note_unknown_state(served.task_type.name, status);
        served.memory.observations.record(job, &Arc::new(status.clone()));
    }

    /// Counts and logs a state that this version of the plugin does not know.
    pub(super) fn note_unknown_state(&self, task_type: &'static str, status: &Status) {
        if let Some(state) = &status.unknown_state {
            self.shared.metrics.unknown_state(task_type);
            tracing::warn!(task_type, state, "a job is in a state this version does not know");
        }
    }

    /// What a plugin says of a job without asking; its panic costs no poll.
    pub(super) fn describe(&self, served: &ServedAsync, meta: &[u8]) -> Status {
        let described = catch_unwind(AssertUnwindSafe(|| served.plugin.describe(meta)));
        described.unwrap_or_else(|_| {
            self.shared.metrics.panics.inc();
            Status::new(Phase::Running)
        })
    }

    /// A job that the vendor does not know: not yet, or not any more.
    fn missing(&self, opened: &Opened, meta: &[u8], error: &Error) -> Status {
        if is_settled(opened.handle.created_at) {
            return Status::failed(error.code(), error.message());
        }
        let known = self.describe(&opened.served, meta);
        Status { phase: Phase::Queued, ..known }
            .message("submitted; the vendor does not list it yet")
    }
}

/// Whether a job was created long enough ago for its vendor to know it.
pub(super) fn is_settled(created_at: Timestamp) -> bool {
    Timestamp::now().duration_since(created_at) >= SETTLES
}

impl Status {
    /// A job that failed for good.
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
