//! For how long the vendor has refused to report on each job.
//!
//! The time adds up over a job's polls. Only a successful look at the job resets it; the time of an outage
//! is not counted. Only jobs whose polls are refused take an entry here, and one is small, so that no job
//! is forgotten because others are polled.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use moka::{policy::EvictionPolicy, sync::Cache};
use server_core::digest::Fingerprint;
use tokio::time::Instant;

use super::metrics::Metrics;
use crate::context::Context;

/// The longest time between two polls that counts: it is not known what the vendor said meanwhile.
const LONGEST_STEP: Duration = Duration::from_secs(3600);
/// How long after its last poll a job gives its entry away if another needs it.
const IDLE: Duration = Duration::from_secs(2 * 3600);
/// The same for a job that has ended: its task is polled no more.
const IDLE_WHEN_OVER: Duration = Duration::from_secs(600);
/// How often idle entries are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// How many identities are remembered for jobs without an entry.
const MOST_IDENTITIES: u64 = 1000;

/// The jobs that share the fate of their credentials: those of one task type and one identity, which is
/// `None` for the service's own.
type Group = (&'static str, Option<Fingerprint>);

/// A job whose polls are refused.
pub(super) struct RefusedJob {
    pub(super) job: Fingerprint,
    pub(super) created_at: Timestamp,
}

/// The time that adds up.
#[derive(Debug, Clone, Copy)]
struct Refused {
    time: Duration,
    last: Instant,
}

impl Refused {
    fn since_now() -> Self {
        Self { time: Duration::ZERO, last: Instant::now() }
    }

    /// The same, with the time since the last poll.
    fn longer(self) -> Self {
        let now = Instant::now();
        let step = now.saturating_duration_since(self.last).min(LONGEST_STEP);
        Self { time: self.time + step, last: now }
    }

    /// The same, without the time since the last poll.
    fn interrupted(self) -> Self {
        Self { last: Instant::now(), ..self }
    }
}

/// What this replica knows of jobs whose polls are refused.
pub(super) struct RefusedJobs {
    grace: Duration,
    most: usize,
    table: Mutex<Table>,
    /// For jobs that found no entry.
    groups: Cache<Group, Refused>,
    metrics: Arc<Metrics>,
}

#[derive(Default)]
struct Table {
    jobs: HashMap<Fingerprint, Refused>,
    swept_at: Option<Instant>,
}

impl RefusedJobs {
    /// A job ends after refused polls for `grace`; at most `most` have an entry of their own.
    pub(super) fn new(grace: Duration, most: usize, metrics: Arc<Metrics>) -> Self {
        let groups = Cache::builder().max_capacity(MOST_IDENTITIES);
        let groups = groups.eviction_policy(EvictionPolicy::lru()).build();
        Self { grace, most, table: Mutex::default(), groups, metrics }
    }

    /// Notes that a poll of `job` was refused; true if the job has been refused for too long.
    pub(super) fn refused(&self, job: &RefusedJob, cx: &Context) -> bool {
        if let Some(time) = self.table().refused(job.job, self.most, self.grace) {
            return time >= self.grace;
        }
        self.metrics.refused_jobs_overflow.inc();
        let of_group = self.groups.entry(group(cx)).and_upsert_with(|known| match known {
            Some(known) => known.into_value().longer(),
            None => Refused::since_now(),
        });
        // A job that is younger has been refused for less.
        of_group.into_value().time >= self.grace && age(job.created_at) >= self.grace
    }

    /// Notes that a poll of `job` failed without a word about it.
    pub(super) fn interrupted(&self, job: Fingerprint, cx: &Context) {
        if let Some(known) = self.table().jobs.get_mut(&job) {
            *known = known.interrupted();
            return;
        }
        let group = group(cx);
        if let Some(known) = self.groups.get(&group) {
            self.groups.insert(group, known.interrupted());
        }
    }

    /// Notes that the vendor reported on `job`: its credentials work.
    pub(super) fn answered(&self, job: Fingerprint, cx: &Context) {
        self.table().jobs.remove(&job);
        let group = group(cx);
        if self.groups.contains_key(&group) {
            self.groups.invalidate(&group);
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// For how long the job has been refused, now that it was once more; `None` if there is no entry for it.
    fn refused(&mut self, job: Fingerprint, most: usize, grace: Duration) -> Option<Duration> {
        if let Some(known) = self.jobs.get_mut(&job) {
            *known = known.longer();
            return Some(known.time);
        }
        if self.jobs.len() >= most {
            self.sweep(grace);
        }
        if self.jobs.len() >= most {
            return None;
        }
        self.jobs.insert(job, Refused::since_now());
        Some(Duration::ZERO)
    }

    /// Removes jobs that are no longer polled.
    fn sweep(&mut self, grace: Duration) {
        if self.swept_at.is_some_and(|at| at.elapsed() < SWEEP_EVERY) {
            return;
        }
        self.swept_at = Some(Instant::now());
        self.jobs.retain(|_, refused| {
            let idle = if refused.time >= grace { IDLE_WHEN_OVER } else { IDLE };
            refused.last.elapsed() < idle
        });
    }
}

fn group(cx: &Context) -> Group {
    (cx.task_type().name, cx.authors_identity())
}

fn age(created_at: Timestamp) -> Duration {
    Duration::try_from(Timestamp::now().duration_since(created_at)).unwrap_or_default()
}

#[cfg(all(test, feature = "testing"))]
mod tests;
