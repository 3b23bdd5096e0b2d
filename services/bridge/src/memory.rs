//! What a replica remembers of jobs: connectors keep nothing by which a repeat could be told.

use std::{hash::Hash, time::Duration};

use moka::sync::Cache;
use plugin_core::{Context, Error, digest::KeyedHash};
use tokio::time::Instant;

/// How long a create is remembered. Flyte repeats one within minutes.
const CREATED_FOR: Duration = Duration::from_secs(3600);
/// How long a success is remembered. Flyte 2 deletes a job an hour after its task has ended.
const SUCCEEDED_FOR: Duration = Duration::from_secs(2 * 3600);
/// How long deletes may fail with exceptions: Flyte 2 repeats them for ever.
const DELETE_GRACE: Duration = Duration::from_secs(3600);
/// The most jobs of each kind: handles of 4 KiB take 40 MiB.
const MOST: u64 = 10_000;

/// What a replica remembers of jobs.
pub(crate) struct Memory {
    hash: KeyedHash,
    /// By idempotency key.
    created: Cache<u128, Vec<u8>>,
    succeeded: Cache<u128, ()>,
    /// Since when deletes fail.
    failing: Cache<u128, Instant>,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            hash: KeyedHash::default(),
            created: cache(CREATED_FOR),
            succeeded: cache(SUCCEEDED_FOR),
            failing: cache(DELETE_GRACE * 2),
        }
    }
}

fn cache<V: Clone + Send + Sync + 'static>(time: Duration) -> Cache<u128, V> {
    Cache::builder().max_capacity(MOST).time_to_idle(time).build()
}

impl Memory {
    fn key(&self, value: &(impl Hash + ?Sized)) -> u128 {
        self.hash.of(value)
    }

    /// The job of an earlier create with the same key.
    pub(crate) fn created(&self, cx: &Context) -> Option<Vec<u8>> {
        self.created.get(&self.key(&(cx.task_type().name, cx.idempotency_key())))
    }

    pub(crate) fn remember(&self, cx: &Context, job: &[u8]) {
        let key = self.key(&(cx.task_type().name, cx.idempotency_key()));
        self.created.insert(key, job.to_vec());
    }

    pub(crate) fn succeeded(&self, job: &[u8]) {
        self.succeeded.insert(self.key(job), ());
    }

    pub(crate) fn has_succeeded(&self, job: &[u8]) -> bool {
        self.succeeded.contains_key(&self.key(job))
    }

    /// Notes that a delete failed with `error`; true if deletes have failed with nothing but exceptions for so long
    /// that they never will succeed.
    pub(crate) fn delete_failed_for_too_long(&self, job: &[u8], error: &Error) -> bool {
        let key = self.key(job);
        if error.kind().is_transient() {
            self.failing.invalidate(&key);
            return false;
        }
        let since = self.failing.get_with(key, Instant::now);
        since.elapsed() >= DELETE_GRACE
    }
}
