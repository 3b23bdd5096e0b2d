//! What a replica remembers of jobs: connectors keep nothing by which a repeat could be told.

use std::{
    hash::Hash,
    sync::{Arc, OnceLock},
    time::Duration,
};

use moka::{policy::EvictionPolicy, sync::Cache};
use plugin_core::{Context, Error, Fingerprint, Kind, Result, digest::KeyedHash};
use tokio::time::Instant;

/// How long a create is remembered. Flyte repeats one within minutes.
const CREATED_FOR: Duration = Duration::from_secs(3600);
/// How long a success is remembered. Flyte 2 deletes a job an hour after its task has ended.
const SUCCEEDED_FOR: Duration = Duration::from_secs(2 * 3600);
/// How long deletes may fail with exceptions: Flyte 2 repeats them for ever.
const DELETE_GRACE: Duration = Duration::from_secs(3600);
/// The most jobs whose end is remembered.
const MOST: u64 = 10_000;
/// The most bytes of what is remembered of creates.
const CREATED_BYTES: u64 = 16 << 20;

/// A task, and the job that was made of it.
#[derive(Clone)]
struct Submitted {
    task: Fingerprint,
    job: Arc<[u8]>,
}

/// What a replica remembers of jobs.
pub(crate) struct Memory {
    hash: KeyedHash,
    /// By idempotency key.
    created: Cache<u128, Submitted>,
    /// An empty cache takes 40 KiB: these two are made when there is something to remember.
    succeeded: OnceLock<Cache<u128, ()>>,
    /// Since when deletes fail.
    failing: OnceLock<Cache<u128, Instant>>,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            hash: KeyedHash::default(),
            created: Cache::builder()
                .weigher(|_, it: &Submitted| u32::try_from(it.job.len() + 256).unwrap_or(u32::MAX))
                .max_capacity(CREATED_BYTES)
                // moka's default policy keeps what is used often, and would not admit new jobs.
                .eviction_policy(EvictionPolicy::lru())
                .time_to_idle(CREATED_FOR)
                .build(),
            succeeded: OnceLock::new(),
            failing: OnceLock::new(),
        }
    }
}

fn cache<V: Clone + Send + Sync + 'static>(time: Duration) -> Cache<u128, V> {
    Cache::builder()
        .max_capacity(MOST)
        .eviction_policy(EvictionPolicy::lru())
        .time_to_idle(time)
        .build()
}

impl Memory {
    fn key(&self, value: &(impl Hash + ?Sized)) -> u128 {
        self.hash.of(value)
    }

    /// The job of an earlier create of `task` with the same key.
    ///
    /// # Errors
    /// `FailedPrecondition` when it was another task's: the caller used its key twice.
    pub(crate) fn created(&self, cx: &Context, task: Fingerprint) -> Result<Option<Vec<u8>>> {
        match self.created.get(&self.key_of(cx)) {
            None => Ok(None),
            Some(known) if known.task == task => Ok(Some(known.job.to_vec())),
            Some(_) => {
                let message =
                    "another task was already submitted under this key; use a different key";
                Err(Error::new(Kind::FailedPrecondition, message).with_code("DUPLICATE"))
            }
        }
    }

    pub(crate) fn remember(&self, cx: &Context, task: Fingerprint, job: &[u8]) {
        self.created.insert(self.key_of(cx), Submitted { task, job: job.into() });
    }

    /// Forgets what was created with the key, because that has been deleted.
    pub(crate) fn forget(&self, cx: &Context) {
        self.created.invalidate(&self.key_of(cx));
    }

    /// Two callers share no job, whatever key they have.
    fn key_of(&self, cx: &Context) -> u128 {
        let (caller, key) = (cx.caller(), cx.idempotency_key());
        self.key(&(cx.task_type().name, key, caller.issuer(), caller.subject()))
    }

    pub(crate) fn succeeded(&self, cx: &Context, job: &[u8]) {
        let succeeded = self.succeeded.get_or_init(|| cache(SUCCEEDED_FOR));
        succeeded.insert(self.key_of_job(cx, job), ());
    }

    pub(crate) fn has_succeeded(&self, cx: &Context, job: &[u8]) -> bool {
        let key = self.key_of_job(cx, job);
        self.succeeded.get().is_some_and(|succeeded| succeeded.contains_key(&key))
    }

    /// What finds a job may be a small number, and the same for another task type or after a restart.
    fn key_of_job(&self, cx: &Context, job: &[u8]) -> u128 {
        self.key(&(cx.task_type().name, cx.idempotency_key(), job))
    }

    /// Notes that a delete failed with `error`; true if deletes have failed with nothing but exceptions for so long
    /// that they never will succeed.
    pub(crate) fn delete_failed_for_too_long(
        &self,
        cx: &Context,
        job: &[u8],
        error: &Error,
    ) -> bool {
        let key = self.key_of_job(cx, job);
        let failing = self.failing.get_or_init(|| cache(DELETE_GRACE * 2));
        if error.kind().is_transient() {
            failing.invalidate(&key);
            return false;
        }
        let since = failing.get_with(key, Instant::now);
        since.elapsed() >= DELETE_GRACE
    }
}
