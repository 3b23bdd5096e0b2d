//! Polling a job. Upstream failures are not errors here: propeller fails a task for good after six
//! failed polls in a job's life.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use server_core::{Error, Kind, Result, digest::Fingerprint};
use tokio::time::{Instant, timeout_at};

use super::{
    ConnectionValues, Incoming, Opened, POLL_TIME, ServedAsync, Verbs, memory::VISIBLE_AFTER,
    refused_jobs::RefusedJob, views::Polled,
};
use crate::{
    context::{Context, Deadline, Verb},
    handle::Job,
    task::{Phase, Status},
    upstream::RESPONSE_TOO_LARGE,
};

impl Verbs {
    /// The status of the job of `opened`; its last known one if polling the upstream fails.
    pub(crate) async fn get(
        self: &Arc<Self>,
        incoming: &Incoming,
        opened: &Opened,
        connection: ConnectionValues,
    ) -> Arc<Status> {
        let started = Instant::now();
        let status = match &opened.handle.job {
            Job::Refused { code, message } => Arc::new(Status::failed(code.as_deref(), message)),
            Job::Created(meta) => {
                match opened.served.memory.observations.ended(opened.fingerprint) {
                    Some(ended) => ended,
                    None if incoming.is_from_memory => {
                        let overloaded = Error::unavailable("the service is overloaded");
                        self.last_known(opened, meta, &overloaded)
                    }
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
        connection: ConnectionValues,
    ) -> Arc<Status> {
        let deadline = incoming.deadline.leaving_time_to_answer().min(Deadline::after(POLL_TIME));
        let cx = self.context_of(incoming, deadline, opened, connection).for_poll();
        match self.poll_upstream(opened, &cx, meta).await {
            Ok(status) => status,
            Err(error) => {
                incoming.record.fields().error = Some(error.clone());
                self.is_about_service(opened.served.task_type, &cx, &error);
                // NotFound is about the job; all other errors are about the poll.
                if error.kind() == Kind::NotFound {
                    return Arc::new(self.missing(opened, meta, &error));
                }
                // Later responses would be as large, and the task would never end.
                if error.code() == Some(RESPONSE_TOO_LARGE) {
                    return Arc::new(Status::failed(error.code(), error.message()));
                }
                if is_refused_too_long(opened, &cx, &error) {
                    let message = format!("gave up polling: {error}");
                    return Arc::new(Status::failed(error.code(), &message));
                }
                self.last_known(opened, meta, &error)
            }
        }
    }

    /// The last known status of a job that was not polled because of `error`.
    fn last_known(&self, opened: &Opened, meta: &[u8], error: &Error) -> Arc<Status> {
        self.shared.metrics.stale_answer(opened.served.task_type.name);
        let first = || self.describe(&opened.served, meta);
        opened.served.memory.observations.last_known(opened.fingerprint, error, first)
    }

    async fn poll_upstream(
        self: &Arc<Self>,
        opened: &Opened,
        cx: &Context,
        meta: &[u8],
    ) -> Result<Arc<Status>> {
        let deadline = cx.deadline();
        let work = self.guarded(async {
            match self.poll_jointly(opened, cx, meta).await? {
                Polled::Jointly(status) => Ok(status),
                Polled::Alone(_turn) => {
                    let plugin = Arc::clone(&opened.served.plugin);
                    let status = plugin.get(cx.clone(), meta.to_vec()).await?;
                    Ok(self.remember(&opened.served, cx, opened.fingerprint, status))
                }
            }
        });
        timeout_at(deadline.instant(), work).await.unwrap_or_else(|_| {
            Err(Error::new(Kind::DeadlineExceeded, "the upstream did not answer in time"))
        })
    }

    /// Records a status that the vendor reported, not one from memory.
    pub(super) fn remember(
        &self,
        served: &ServedAsync,
        cx: &Context,
        job: Fingerprint,
        status: Status,
    ) -> Arc<Status> {
        served.memory.refused_jobs.answered(job, cx);
        let (status, is_new) = served.memory.observations.record(job, status);
        if is_new {
            self.note_surprises(served.task_type.name, &status);
        }
        status
    }

    /// Counts and logs a state that this version of the plugin does not know, and links that were left out.
    pub(super) fn note_surprises(&self, task_type: &'static str, status: &Status) {
        if status.refused_links > 0 {
            self.shared.metrics.refused_links(task_type, status.refused_links);
            let links = status.refused_links;
            tracing::warn!(task_type, links, "links of a job are left out: neither http nor https");
        }
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
        let created_at = opened.handle.created_at;
        let has_stopped = || opened.served.memory.has_stopped(&opened.fingerprint, created_at);
        if is_visible(created_at) || has_stopped() {
            return Status::failed(error.code(), error.message());
        }
        let known = self.describe(&opened.served, meta);
        Status { phase: Phase::Queued, ..known }.message("submitted; it is not listed yet")
    }
}

/// Whether polls of the job have been refused for so long that its task should end, for example because
/// its credentials were revoked. An outage never fails a job.
fn is_refused_too_long(opened: &Opened, cx: &Context, error: &Error) -> bool {
    let (refused_jobs, job) = (&opened.served.memory.refused_jobs, opened.fingerprint);
    if error.kind().is_transient() {
        refused_jobs.interrupted(job, cx);
        return false;
    }
    let created_at = opened.handle.created_at;
    refused_jobs.refused(&RefusedJob { job, created_at }, cx)
}

/// Whether a job is old enough for the vendor to list it.
pub(super) fn is_visible(created_at: Timestamp) -> bool {
    let age = Duration::try_from(Timestamp::now().duration_since(created_at));
    // A clock that has been set back makes it negative.
    age.is_ok_and(|age| age >= VISIBLE_AFTER)
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
