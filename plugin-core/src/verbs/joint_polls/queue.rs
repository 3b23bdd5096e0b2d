//! The polls that wait to be joined, and the groups that are polled separately.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use moka::sync::Cache;
use server_core::{Error, Result, digest::Fingerprint};
use tokio::{sync::oneshot, time::Instant};

use crate::{erased::Poll, task::Status};

/// How long a group is polled separately after the vendor refused its joint poll.
pub(super) const SEPARATE_AFTER_REFUSAL: Duration = Duration::from_secs(600);
/// How long a group is polled separately after two transient failures in a row.
const SEPARATE_AFTER_FAILURES: Duration = Duration::from_secs(60);
/// The longest that a group is not polled because the vendor asked for a pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
const MAX_GROUPS: u64 = 10_000;

/// The polls that can be joined: those of one task type and one group of the plugin.
pub(super) type GroupKey = (&'static str, Fingerprint);

/// The polls of one plugin that wait to be joined.
pub(in super::super) struct Batches {
    /// How long polls wait for others; zero turns joint polls off.
    pub(super) window: Duration,
    /// A group has an entry as long as a task polls its batches, one after the other.
    pending: Mutex<HashMap<GroupKey, Vec<PendingPoll>>>,
    /// Groups that are polled separately, and until when.
    separate: Cache<GroupKey, Instant>,
    /// Groups whose last joint poll failed.
    pub(super) failed: Cache<GroupKey, ()>,
    /// Groups that are not polled, until when, and why.
    paused: Cache<GroupKey, (Instant, Error)>,
}

/// A poll that waits to be joined.
pub(super) struct PendingPoll {
    /// Identifies the job in this replica's memory.
    pub(super) job: Fingerprint,
    pub(super) poll: Poll,
    pub(super) reply: oneshot::Sender<Reply>,
}

/// The outcome of a pending poll.
pub(super) enum Reply {
    /// Of the joint poll.
    Joint(Result<Status>),
    /// The job has to be polled separately.
    Separate,
}

impl Batches {
    pub(in super::super) fn new(window: Duration) -> Self {
        let separate = groups_for(SEPARATE_AFTER_REFUSAL);
        let failed = groups_for(SEPARATE_AFTER_FAILURES);
        let paused = groups_for(LONGEST_PAUSE);
        Self { window, pending: Mutex::default(), separate, failed, paused }
    }

    /// # Errors
    /// Why the group is not polled: its polls need not wait for others to learn that.
    pub(super) fn check_paused(&self, group: &GroupKey) -> Result<()> {
        match self.paused.get(group) {
            Some((until, error)) if Instant::now() < until => Err(error),
            _ => Ok(()),
        }
    }

    /// Pauses the group, if `error` says how long the vendor wants no calls.
    pub(super) fn pause(&self, group: GroupKey, error: &Error) {
        if let Some(wait) = error.retry_after() {
            let until = Instant::now() + wait.min(LONGEST_PAUSE);
            self.paused.insert(group, (until, error.clone()));
        }
    }

    pub(super) fn is_separate(&self, group: &GroupKey) -> bool {
        self.separate.get(group).is_some_and(|until| Instant::now() < until)
    }

    pub(super) fn separate(&self, group: GroupKey, time: Duration) {
        self.separate.insert(group, Instant::now() + time);
    }

    /// Separates the group at the second failure in a row: a joint poll that does not work must not
    /// withhold what separate polls would find.
    pub(super) fn note_failure(&self, group: GroupKey) {
        if self.failed.contains_key(&group) {
            self.separate(group, SEPARATE_AFTER_FAILURES);
        }
        self.failed.insert(group, ());
    }

    pub(super) fn pending(&self) -> MutexGuard<'_, HashMap<GroupKey, Vec<PendingPoll>>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enqueues `poll`; true if no task polls the group yet, so that the caller must start one.
    pub(super) fn enqueue(&self, group: GroupKey, poll: PendingPoll) -> bool {
        let mut pending = self.pending();
        let is_new = !pending.contains_key(&group);
        pending.entry(group).or_default().push(poll);
        is_new
    }

    /// The polls that arrived since the last batch and still have a caller. If there are none, the group is
    /// removed.
    pub(super) fn next(&self, group: &GroupKey) -> Vec<PendingPoll> {
        let mut pending = self.pending();
        let mut batch = pending.get_mut(group).map(std::mem::take).unwrap_or_default();
        batch.retain(|poll| !poll.reply.is_closed());
        if batch.is_empty() {
            pending.remove(group);
        }
        batch
    }
}

fn groups_for<T: Clone + Send + Sync + 'static>(time: Duration) -> Cache<GroupKey, T> {
    Cache::builder().max_capacity(MAX_GROUPS).time_to_live(time).build()
}

/// Removes a group if its task panics, so that pending polls are done separately.
pub(super) struct GroupGuard<'a> {
    pub(super) batches: &'a Batches,
    pub(super) group: GroupKey,
}

impl Drop for GroupGuard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.batches.pending().remove(&self.group);
        }
    }
}
