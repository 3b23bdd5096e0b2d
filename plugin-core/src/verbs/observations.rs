//! The last known status of each job, for when the vendor cannot or need not be polled.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use moka::{Entry, policy::EvictionPolicy, sync::Cache};
use server_core::{Error, digest::Fingerprint};
use tokio::time::Instant;

use crate::task::Status;

/// How many jobs are remembered; the least recently polled are evicted first.
const MAX_JOBS: u64 = 10_000;
/// How long a job is remembered after its last poll.
const IDLE: Duration = Duration::from_secs(3600);
/// How long a job is reported as running on the word of a joint poll alone.
const FULL_POLL_EVERY: Duration = Duration::from_secs(300);

#[derive(Clone, Default)]
struct Observation {
    status: Option<Arc<Status>>,
    /// When the vendor last reported the job's full status.
    observed_at: Option<Instant>,
    /// Since when the vendor has refused to report on the job.
    refused_since: Option<Instant>,
}

/// What this replica last observed of each job.
pub(super) struct Observations {
    jobs: Cache<Fingerprint, Observation>,
    refused_grace: Duration,
}

impl Observation {
    fn has_ended(&self) -> bool {
        self.status.as_ref().is_some_and(|status| status.phase.is_terminal())
    }
}

impl Observations {
    pub(super) fn new(refused_grace: Duration) -> Self {
        let jobs = Cache::builder()
            .max_capacity(MAX_JOBS)
            // moka's default policy keeps frequently used entries, and would not admit new jobs.
            .eviction_policy(EvictionPolicy::lru())
            .time_to_idle(IDLE)
            .build();
        Self { jobs, refused_grace }
    }

    /// Records the status that the vendor reported.
    pub(super) fn record(&self, job: Fingerprint, status: &Arc<Status>) {
        let (status, observed_at) = (Some(Arc::clone(status)), Some(Instant::now()));
        self.put(job, Observation { status, observed_at, refused_since: None });
    }

    /// Keeps a terminal status: a response to an earlier poll may arrive after it.
    fn put(&self, job: Fingerprint, observation: Observation) {
        self.jobs.entry(job).and_upsert_with(|known| match known.map(Entry::into_value) {
            Some(known) if known.has_ended() => known,
            _ => observation,
        });
    }

    /// The last known status of a job that is still running; `first` if this replica has none. `None` if
    /// it is time for a full poll.
    pub(super) fn still_running(
        &self,
        job: Fingerprint,
        created_at: Timestamp,
        first: impl FnOnce() -> Status,
    ) -> Option<Status> {
        let observation = self.jobs.get(&job).unwrap_or_default();
        let age = match observation.observed_at {
            Some(at) => at.elapsed(),
            None => Duration::try_from(Timestamp::now().duration_since(created_at)).ok()?,
        };
        (age < FULL_POLL_EVERY)
            .then(|| observation.status.as_deref().cloned().unwrap_or_else(first))
    }

    /// The job's terminal status, if it is known: it is final.
    pub(super) fn ended(&self, job: Fingerprint) -> Option<Arc<Status>> {
        self.jobs.get(&job)?.status.filter(|status| status.phase.is_terminal())
    }

    /// The status to report after polling failed with `error`.
    ///
    /// The last known one, or `first` if this replica has none: the handle proves that the job was
    /// created. If the vendor refuses for longer than the grace period, the job is reported as failed, so
    /// that a task whose credentials were revoked ends. An outage never fails a job.
    pub(super) fn fallback(
        &self,
        job: Fingerprint,
        error: &Error,
        first: impl FnOnce() -> Status,
    ) -> Arc<Status> {
        let mut observation = self.jobs.get(&job).unwrap_or_default();
        if error.kind().is_transient() {
            observation.refused_since = None;
        } else {
            let since = *observation.refused_since.get_or_insert_with(Instant::now);
            if since.elapsed() >= self.refused_grace {
                return Arc::new(Status::failed(
                    error.code(),
                    &format!("gave up polling: {error}"),
                ));
            }
        }
        self.put(job, observation.clone());
        let last = observation.status.as_deref().cloned().unwrap_or_else(first);
        Arc::new(last.message(format!("last known state; polling the upstream failed: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::Phase;
    use server_core::Kind;

    const GRACE: Duration = Duration::from_secs(600);

    fn phase(observations: &Observations, job: Fingerprint, kind: Kind) -> Phase {
        observations.fallback(job, &Error::new(kind, "x"), || Status::new(Phase::Running)).phase
    }

    #[tokio::test(start_paused = true)]
    async fn outages_never_fail_a_task() {
        let observations = Observations::new(GRACE);
        let job = Fingerprint::from_bytes(rand::random());
        assert_eq!(phase(&observations, job, Kind::Unavailable), Phase::Running);
        observations.record(job, &Arc::new(Status::new(Phase::Queued)));
        for _ in 0..100 {
            tokio::time::advance(GRACE).await;
            assert_eq!(phase(&observations, job, Kind::Unavailable), Phase::Queued);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn refused_credentials_fail_the_task_after_the_grace_period() {
        let observations = Observations::new(GRACE);
        let job = Fingerprint::from_bytes(rand::random());
        assert_eq!(phase(&observations, job, Kind::PermissionDenied), Phase::Running);
        tokio::time::advance(GRACE / 2).await;
        assert_eq!(phase(&observations, job, Kind::PermissionDenied), Phase::Running);
        observations.record(job, &Arc::new(Status::new(Phase::Running)));
        tokio::time::advance(GRACE).await;
        assert_eq!(
            phase(&observations, job, Kind::PermissionDenied),
            Phase::Running,
            "the period starts again"
        );
        tokio::time::advance(GRACE).await;
        assert_eq!(phase(&observations, job, Kind::PermissionDenied), Phase::Failed);
    }

    #[tokio::test(start_paused = true)]
    async fn running_jobs_are_polled_fully_every_few_minutes() {
        let observations = Observations::new(GRACE);
        let job = Fingerprint::from_bytes(rand::random());
        let running = || Status::new(Phase::Running);
        let now = Timestamp::now();
        let long_ago = now - jiff::SignedDuration::from_mins(10);
        assert!(observations.still_running(job, now, running).is_some(), "it was just created");
        assert!(observations.still_running(job, long_ago, running).is_none(), "not polled yet");
        observations.record(job, &Arc::new(Status::new(Phase::Queued)));
        let observation = observations.still_running(job, long_ago, running).unwrap();
        assert_eq!(observation.phase, Phase::Queued, "the recorded status is kept");
        tokio::time::advance(FULL_POLL_EVERY).await;
        assert!(observations.still_running(job, long_ago, running).is_none());
    }

    #[test]
    fn only_terminal_statuses_are_final() {
        let observations = Observations::new(GRACE);
        let job = Fingerprint::from_bytes(rand::random());
        observations.record(job, &Arc::new(Status::new(Phase::Running)));
        assert!(observations.ended(job).is_none());
        observations.record(job, &Arc::new(Status::new(Phase::Succeeded)));
        assert!(observations.ended(job).is_some());
        observations.record(job, &Arc::new(Status::new(Phase::Running)));
        assert!(observations.ended(job).is_some(), "an older response that arrives later");
    }

    #[test]
    fn new_jobs_evict_old_ones() {
        let observations = Observations::new(GRACE);
        let done = Arc::new(Status::new(Phase::Succeeded));
        for _ in 0..MAX_JOBS * 2 {
            observations.record(Fingerprint::from_bytes(rand::random()), &done);
        }
        let newest = (0..100).map(|_| Fingerprint::from_bytes(rand::random())).collect::<Vec<_>>();
        newest.iter().for_each(|job| observations.record(*job, &done));
        observations.jobs.run_pending_tasks();
        assert!(newest.iter().all(|job| observations.ended(*job).is_some()));
    }
}
