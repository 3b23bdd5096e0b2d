//! The groups that are polled separately or not at all, because the vendor refused joint polls.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use moka::sync::Cache;
use server_core::{Error, Kind, Result, digest::Fingerprint};
use tokio::time::Instant;

/// How long a group is polled separately after the vendor refused its joint poll.
pub(super) const SEPARATE_AFTER_REFUSAL: Duration = Duration::from_secs(600);
/// How long a group is polled separately after two transient failures in a row.
const SEPARATE_AFTER_FAILURES: Duration = Duration::from_secs(60);
/// The longest that a group is not polled because the vendor asked for a pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How many groups are remembered.
const MAX_GROUPS: u64 = 10_000;

/// The jobs that one joint poll can look at: those of one task type and one group of the plugin.
pub(super) type GroupKey = (&'static str, Fingerprint);

/// What followed from refused and failed joint polls, by group.
pub(super) struct Refusals {
    /// Groups that are polled separately, and until when.
    separate: Cache<GroupKey, Instant>,
    /// Groups whose last joint poll failed.
    failed: Cache<GroupKey, ()>,
    /// Groups that are not polled, until when, and why.
    paused: Cache<GroupKey, (Instant, Error)>,
    /// Whether there has been any. Most services never have one, and their polls need not look for it.
    are_any: AtomicBool,
}

impl Refusals {
    pub(super) fn new() -> Self {
        Self {
            separate: groups_for(SEPARATE_AFTER_REFUSAL),
            failed: groups_for(SEPARATE_AFTER_FAILURES),
            paused: groups_for(LONGEST_PAUSE),
            are_any: AtomicBool::new(false),
        }
    }

    fn are_any(&self) -> bool {
        self.are_any.load(Ordering::Acquire)
    }

    /// # Errors
    /// Why the group is not polled: its polls need not wait for others to learn that.
    pub(super) fn check_paused(&self, group: &GroupKey) -> Result<()> {
        if !self.are_any() {
            return Ok(());
        }
        match self.paused.get(group) {
            Some((until, error)) if Instant::now() < until => Err(error),
            _ => Ok(()),
        }
    }

    pub(super) fn is_separate(&self, group: &GroupKey) -> bool {
        self.are_any() && self.separate.get(group).is_some_and(|until| Instant::now() < until)
    }

    pub(super) fn separate(&self, group: GroupKey, time: Duration) {
        self.separate.insert(group, Instant::now() + time);
        self.are_any.store(true, Ordering::Release);
    }

    pub(super) fn note_success(&self, group: &GroupKey) {
        self.failed.invalidate(group);
    }

    /// Separates the group at the second failure in a row, and at once if a list hangs: a joint poll that does
    /// not work must not withhold what separate polls would find. Pauses it, if `error` says how long the vendor wants no
    /// calls.
    pub(super) fn note_failure(&self, group: GroupKey, error: &Error) {
        if self.failed.contains_key(&group) || error.kind() == Kind::DeadlineExceeded {
            self.separate(group, SEPARATE_AFTER_FAILURES);
        }
        self.failed.insert(group, ());
        if let Some(wait) = error.retry_after() {
            let until = Instant::now() + wait.min(LONGEST_PAUSE);
            self.paused.insert(group, (until, error.clone()));
            self.are_any.store(true, Ordering::Release);
        }
    }
}

fn groups_for<T: Clone + Send + Sync + 'static>(time: Duration) -> Cache<GroupKey, T> {
    Cache::builder().max_capacity(MAX_GROUPS).time_to_live(time).build()
}
