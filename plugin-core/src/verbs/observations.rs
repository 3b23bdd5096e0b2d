//! The last known status of each job, for when the vendor cannot or need not be polled.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use jiff::Timestamp;
use moka::{Entry, notification::RemovalCause, policy::EvictionPolicy, sync::Cache};
use serde_json::Value as Json;
use server_core::{Error, digest::Fingerprint};
use tokio::time::Instant;

use super::metrics::Metrics;
use crate::task::{Link, Outputs, Status, Value};

/// How long a job is remembered after its last poll.
const IDLE: Duration = Duration::from_secs(3600);
/// How long a job is reported as running on the word of a joint poll alone.
const FULL_POLL_EVERY: Duration = Duration::from_secs(300);

/// The limit on the outputs, links and facts of a job that is remembered, in bytes.
const MAX_OUTPUTS: usize = 16 << 10;

struct Observation {
    status: Arc<Status>,
    /// When the vendor last reported the job's full status, in milliseconds after [`Observations::since`].
    observed_at: AtomicU64,
}

/// What this replica last observed of each job.
pub(super) struct Observations {
    jobs: Cache<Fingerprint, Arc<Observation>>,
    since: Instant,
}

impl Observations {
    /// At most `most` jobs are remembered; the least recently polled are evicted first.
    pub(super) fn new(most: usize, metrics: Arc<Metrics>) -> Self {
        let evicted = move |_, _, cause| {
            if cause == RemovalCause::Size {
                metrics.evicted_jobs.inc();
            }
        };
        let jobs = Cache::builder()
            .max_capacity(most.try_into().unwrap_or(u64::MAX))
            // moka's default policy keeps frequently used entries, and would not admit new jobs.
            .eviction_policy(EvictionPolicy::lru())
            .time_to_idle(IDLE)
            .eviction_listener(evicted)
            .build();
        Self { jobs, since: Instant::now() }
    }

    /// Records the status that the vendor reported, unless its outputs are too large to be kept for
    /// thousands of jobs. The status as it is kept, and whether it is new: most polls find what the last one
    /// did.
    pub(super) fn record(&self, job: Fingerprint, status: Status) -> (Arc<Status>, bool) {
        if let Some(known) = self.jobs.get(&job)
            && *known.status == status
        {
            known.observed_at.store(self.now(), Ordering::Relaxed);
            return (Arc::clone(&known.status), false);
        }
        let status = Arc::new(status);
        let is_small = size_of_all(&status) <= MAX_OUTPUTS;
        (if is_small { self.put(job, status) } else { status }, true)
    }

    /// Keeps a terminal status: a response to an earlier poll may arrive after it.
    fn put(&self, job: Fingerprint, status: Arc<Status>) -> Arc<Status> {
        let observation = Arc::new(Observation { status, observed_at: self.now().into() });
        let entry = self.jobs.entry(job);
        let kept = entry.and_upsert_with(|known| match known.map(Entry::into_value) {
            Some(known) if known.status.phase.is_terminal() => known,
            _ => observation,
        });
        Arc::clone(&kept.value().status)
    }

    /// Milliseconds.
    fn now(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The last known status of a job that is still running; `first` if this replica has none. `None` if
    /// it is time for a full poll.
    pub(super) fn still_running(
        &self,
        job: Fingerprint,
        created_at: Timestamp,
        first: impl FnOnce() -> Status,
    ) -> Option<Arc<Status>> {
        let known = self.jobs.get(&job);
        let age = match &known {
            Some(known) => {
                let observed_at = known.observed_at.load(Ordering::Relaxed);
                Duration::from_millis(self.now().saturating_sub(observed_at))
            }
            None => Duration::try_from(Timestamp::now().duration_since(created_at)).ok()?,
        };
        let status = || known.map_or_else(|| Arc::new(first()), |known| Arc::clone(&known.status));
        (age < FULL_POLL_EVERY).then(status)
    }

    /// The job's terminal status, if it is known: it is final.
    pub(super) fn ended(&self, job: Fingerprint) -> Option<Arc<Status>> {
        let known = self.jobs.get(&job)?;
        known.status.phase.is_terminal().then(|| Arc::clone(&known.status))
    }

    /// The status to report after polling failed with `error`: the last known one, or `first` if this
    /// replica has none, because the handle proves that the job was created.
    pub(super) fn last_known(
        &self,
        job: Fingerprint,
        error: &Error,
        first: impl FnOnce() -> Status,
    ) -> Arc<Status> {
        let known = self.jobs.get(&job);
        let last = known.map_or_else(first, |known| Status::clone(&known.status));
        Arc::new(last.message(format!("last known state; polling the upstream failed: {error}")))
    }
}

/// About how many bytes of `status` depend on who made it.
fn size_of_all(status: &Status) -> usize {
    let outputs = match &status.outputs {
        Outputs::Values(values) => values.values().map(size).sum(),
        Outputs::Encoded(encoded) => encoded.len(),
    };
    let encoded = |link: &Link| link.encoded.as_ref().map_or(0, Bytes::len);
    let links = status.links.iter().map(|link| link.name.len() + link.uri.len() + encoded(link));
    let facts = status.info.iter().map(|(key, fact)| key.len() + size_of_fact(fact));
    outputs + links.sum::<usize>() + facts.sum::<usize>()
}

fn size_of_fact(fact: &Json) -> usize {
    match fact {
        Json::String(text) => text.len(),
        Json::Array(_) | Json::Object(_) => fact.to_string().len(),
        _ => size_of::<Json>(),
    }
}

/// About how many bytes `value` takes.
fn size(value: &Value) -> usize {
    let own = match value {
        Value::String(text) | Value::Blob { uri: text } | Value::Schema { uri: text } => text.len(),
        Value::StructuredDataset { uri, format } => uri.len() + format.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::Json(json) => json.to_string().len(),
        Value::List(items) => items.iter().map(size).sum(),
        Value::Map(entries) => entries.iter().map(|(key, value)| key.len() + size(value)).sum(),
        _ => 0,
    };
    own + size_of::<Value>()
}

#[cfg(test)]
mod tests {
    use prometheus_client::{metrics::counter::Counter, registry::Registry};

    use super::*;
    use crate::task::Phase;

    const MOST: usize = 10_000;

    fn observations() -> Observations {
        let metrics = Metrics::register(&mut Registry::default(), Counter::default());
        Observations::new(MOST, Arc::new(metrics))
    }

    #[test]
    fn failed_polls_are_answered_with_the_last_known_status() {
        let observations = observations();
        let job = Fingerprint::from_bytes(rand::random());
        let known = || {
            let error = Error::unavailable("x");
            observations.last_known(job, &error, || Status::new(Phase::Running))
        };
        assert_eq!(known().phase, Phase::Running);
        observations.record(job, Status::new(Phase::Queued));
        assert_eq!(known().phase, Phase::Queued);
        assert_eq!(known().message, "last known state; polling the upstream failed: x");
    }

    #[tokio::test(start_paused = true)]
    async fn running_jobs_are_polled_fully_every_few_minutes() {
        let observations = observations();
        let job = Fingerprint::from_bytes(rand::random());
        let running = || Status::new(Phase::Running);
        let now = Timestamp::now();
        let long_ago = now - jiff::SignedDuration::from_mins(10);
        assert!(observations.still_running(job, now, running).is_some(), "it was just created");
        assert!(observations.still_running(job, long_ago, running).is_none(), "not polled yet");
        observations.record(job, Status::new(Phase::Queued));
        let observation = observations.still_running(job, long_ago, running).unwrap();
        assert_eq!(observation.phase, Phase::Queued, "the recorded status is kept");
        tokio::time::advance(FULL_POLL_EVERY).await;
        assert!(observations.still_running(job, long_ago, running).is_none());
    }

    #[test]
    fn only_terminal_statuses_are_final() {
        let observations = observations();
        let job = Fingerprint::from_bytes(rand::random());
        observations.record(job, Status::new(Phase::Running));
        assert!(observations.ended(job).is_none());
        observations.record(job, Status::new(Phase::Succeeded));
        assert!(observations.ended(job).is_some());
        observations.record(job, Status::new(Phase::Running));
        assert!(observations.ended(job).is_some(), "an older response that arrives later");
        let (late, _) = observations.record(job, Status::new(Phase::Running).message("late"));
        assert_eq!(late.phase, Phase::Succeeded, "its caller learns the end, too");
    }

    #[test]
    fn a_status_that_did_not_change_is_kept_once() {
        let observations = observations();
        let job = Fingerprint::from_bytes(rand::random());
        let (first, is_new) = observations.record(job, Status::new(Phase::Running));
        assert!(is_new);
        let (same, is_new) = observations.record(job, Status::new(Phase::Running));
        assert!(Arc::ptr_eq(&first, &same) && !is_new);
        let (next, _) = observations.record(job, Status::new(Phase::Running).message("half done"));
        assert_eq!(next.message, "half done");
        let known = observations.still_running(job, Timestamp::now(), || unreachable!()).unwrap();
        assert!(Arc::ptr_eq(&next, &known));
    }

    #[test]
    fn jobs_with_large_outputs_are_not_remembered() {
        let observations = observations();
        for (length, is_remembered) in [(MAX_OUTPUTS / 2, true), (MAX_OUTPUTS, false)] {
            let job = Fingerprint::from_bytes(rand::random());
            let output = Some(Value::String("x".repeat(length)));
            let status = Status::new(Phase::Succeeded).output("x", output);
            observations.record(job, status);
            assert_eq!(observations.ended(job).is_some(), is_remembered, "{length}");
        }
    }

    #[test]
    fn new_jobs_evict_old_ones() {
        let observations = observations();
        let done = Status::new(Phase::Succeeded);
        for _ in 0..MOST * 2 {
            observations.record(Fingerprint::from_bytes(rand::random()), done.clone());
        }
        let newest = (0..100).map(|_| Fingerprint::from_bytes(rand::random())).collect::<Vec<_>>();
        for job in &newest {
            observations.record(*job, done.clone());
        }
        observations.jobs.run_pending_tasks();
        assert!(observations.jobs.entry_count() <= MOST as u64);
        assert!(newest.iter().all(|job| observations.ended(*job).is_some()));
    }
}
