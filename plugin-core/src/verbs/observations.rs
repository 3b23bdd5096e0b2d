//! What this replica last saw of each job, for when the vendor cannot be asked or need not be.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use moka::{Entry, policy::EvictionPolicy, sync::Cache};
use server_core::{Error, digest::Fingerprint};
use tokio::time::Instant;

use crate::task::Status;

/// How many jobs are remembered; the least recently polled go first.
const MAX_JOBS: u64 = 10_000;
/// How long a job that nobody polls is remembered.
const IDLE: Duration = Duration::from_secs(3600);
/// How long it is enough to know that a job has not ended.
const LOOK_AGAIN: Duration = Duration::from_secs(300);

#[derive(Clone, Default)]
struct Observation {
    status: Option<Arc<Status>>,
    /// When the vendor last told all of the job.
    observed_at: Option<Instant>,
    /// Since when the vendor refuses to talk about the job.
    refused_since: Option<Instant>,
}

/// What this replica last saw of each job.
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
            // moka's own policy keeps what is asked for often, and would never take up new jobs.
            .eviction_policy(EvictionPolicy::lru())
            .time_to_idle(IDLE)
            .build();
        Self { jobs, refused_grace }
    }

    /// Remembers what the vendor said.
    pub(super) fn record(&self, job: Fingerprint, status: &Arc<Status>) {
        let (status, observed_at) = (Some(Arc::clone(status)), Some(Instant::now()));
        self.put(job, Observation { status, observed_at, refused_since: None });
    }

    /// Keeps what was observation, but for an end: an answer that was asked for before it may come after it.
    fn put(&self, job: Fingerprint, observation: Observation) {
        self.jobs.entry(job).and_upsert_with(|known| match known.map(Entry::into_value) {
            Some(known) if known.has_ended() => known,
            _ => observation,
        });
    }

    /// What is known of a job that has not ended; `first` for one this replica never saw. `None` when it
    /// is time to look again.
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
        (age < LOOK_AGAIN).then(|| observation.status.as_deref().cloned().unwrap_or_else(first))
    }

    /// How the job ended, if it was observation to: it will not change any more.
    pub(super) fn ended(&self, job: Fingerprint) -> Option<Arc<Status>> {
        self.jobs.get(&job)?.status.filter(|status| status.phase.is_terminal())
    }

    /// What to answer while the vendor cannot be asked because of `error`.
    ///
    /// The last sure phase, or `first` for a job this replica never saw: its handle proves that it was
    /// created. When the vendor refuses to answer for longer than the grace the job is given up, so
    /// that a task whose credentials are gone ends; an outage is never a reason.
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
                return Arc::new(Status::failed(error.code(), &format!("given up: {error}")));
            }
        }
        self.put(job, observation.clone());
        let last = observation.status.as_deref().cloned().unwrap_or_else(first);
        Arc::new(
            last.message(format!("last known state; the upstream could not be asked: {error}")),
        )
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
    async fn an_outage_never_ends_a_task() {
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
    async fn refused_credentials_end_it_after_the_grace() {
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
            "counted anew"
        );
        tokio::time::advance(GRACE).await;
        assert_eq!(phase(&observations, job, Kind::PermissionDenied), Phase::Failed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_running_job_is_looked_at_every_few_minutes() {
        let observations = Observations::new(GRACE);
        let job = Fingerprint::from_bytes(rand::random());
        let running = || Status::new(Phase::Running);
        let now = Timestamp::now();
        let long_ago = now - jiff::SignedDuration::from_mins(10);
        assert!(observations.still_running(job, now, running).is_some(), "it was just created");
        assert!(observations.still_running(job, long_ago, running).is_none(), "nobody looked yet");
        observations.record(job, &Arc::new(Status::new(Phase::Queued)));
        let observation = observations.still_running(job, long_ago, running).unwrap();
        assert_eq!(observation.phase, Phase::Queued, "what was observation stands");
        tokio::time::advance(LOOK_AGAIN).await;
        assert!(observations.still_running(job, long_ago, running).is_none());
    }

    #[test]
    fn only_an_end_is_final() {
        let observations = Observations::new(GRACE);
        let job = Fingerprint::from_bytes(rand::random());
        observations.record(job, &Arc::new(Status::new(Phase::Running)));
        assert!(observations.ended(job).is_none());
        observations.record(job, &Arc::new(Status::new(Phase::Succeeded)));
        assert!(observations.ended(job).is_some());
        observations.record(job, &Arc::new(Status::new(Phase::Running)));
        assert!(observations.ended(job).is_some(), "an older answer that comes later");
    }

    #[test]
    fn new_jobs_are_remembered_however_many_there_were() {
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
