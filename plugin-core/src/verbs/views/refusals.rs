//! The groups that are polled separately or not at all, because the vendor refused joint polls.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use moka::{policy::EvictionPolicy, sync::Cache};
use server_core::{Error, Kind, Result, digest::Fingerprint};
use tokio::time::Instant;

/// How long a group is polled separately after the vendor refused its joint poll.
pub(super) const SEPARATE_AFTER_REFUSAL: Duration = Duration::from_secs(600);
/// How long a group is polled separately after two transient failures in a row.
const SEPARATE_AFTER_FAILURES: Duration = Duration::from_secs(60);
/// How long a group is not polled after a joint poll was throttled: doubled with each throttle since the last success.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// How many joint polls in a row may be throttled before the list counts as one that does not work: after four minutes at
/// least.
const MOST_THROTTLED: u32 = 10;
/// The longest that a group is not polled because the vendor throttled it or asked for a pause.
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
    /// How many joint polls in a row were throttled.
    throttled: Cache<GroupKey, u32>,
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
            throttled: groups_for(LONGEST_PAUSE * 3),
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

    /// Has the jobs of `group` polled separately for `time`, because of `error`.
    pub(super) fn separate(&self, group: GroupKey, time: Duration, error: &Error) {
        let (task_type, cause) = (group.0, error.chain());
        tracing::warn!(task_type, ?time, %error, cause, "joint polls are off: each job is polled alone");
        self.separate.insert(group, Instant::now() + time);
        self.are_any.store(true, Ordering::Release);
    }

    pub(super) fn note_success(&self, group: &GroupKey) {
        self.failed.invalidate(group);
        if self.are_any() {
            self.throttled.invalidate(group);
        }
    }

    /// Notes a transient failure. A throttle pauses the group and does not separate it: separate polls would be more calls
    /// of a vendor that wants fewer.
    pub(super) fn note_failure(&self, group: GroupKey, error: &Error) {
        match error.kind() {
            Kind::ResourceExhausted if error.is_upstream() => self.note_throttle(group, error),
            // The vendor was not asked: too many calls wait for it.
            Kind::ResourceExhausted => {
                self.pause(group, error.retry_after().unwrap_or(FIRST_PAUSE), error)
            }
            _ => self.note_broken(group, error),
        }
    }

    /// Pauses the group, for longer each time. A list that is throttled for minutes is separated after all, because it
    /// would hide what became of its jobs.
    fn note_throttle(&self, group: GroupKey, error: &Error) {
        let times = self.throttled.get(&group).unwrap_or(0).saturating_add(1);
        self.throttled.insert(group, times);
        let longer = FIRST_PAUSE.saturating_mul(1 << (times - 1).min(16));
        let pause = error.retry_after().unwrap_or_default().max(longer);
        self.pause(group, pause, error);
        if times >= MOST_THROTTLED {
            self.separate(group, pause.min(LONGEST_PAUSE) + SEPARATE_AFTER_FAILURES, error);
        }
    }

    /// Separates the group at the second failure in a row, and at once if a list hangs: a joint poll that does
    /// not work must not withhold what separate polls would find. Pauses it, if `error` says how long the vendor wants no
    /// calls.
    fn note_broken(&self, group: GroupKey, error: &Error) {
        if self.failed.contains_key(&group) || error.kind() == Kind::DeadlineExceeded {
            self.separate(group, SEPARATE_AFTER_FAILURES, error);
        }
        self.failed.insert(group, ());
        if let Some(wait) = error.retry_after() {
            self.pause(group, wait, error);
        }
    }

    fn pause(&self, group: GroupKey, time: Duration, error: &Error) {
        let (time, task_type) = (time.min(LONGEST_PAUSE), group.0);
        tracing::info!(task_type, ?time, %error, "polls are paused");
        self.paused.insert(group, (Instant::now() + time, error.clone()));
        self.are_any.store(true, Ordering::Release);
    }
}

fn groups_for<T: Clone + Send + Sync + 'static>(time: Duration) -> Cache<GroupKey, T> {
    let groups = Cache::builder().max_capacity(MAX_GROUPS).time_to_live(time);
    // moka's default policy would not admit new groups.
    groups.eviction_policy(EvictionPolicy::lru()).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_group_is_remembered_although_there_are_many() {
        let (refusals, error) = (Refusals::new(), Error::invalid("no list"));
        let separate = || {
            let group = ("vague", Fingerprint::from_bytes(rand::random()));
            refusals.separate(group, SEPARATE_AFTER_REFUSAL, &error);
            group
        };
        for _ in 0..MAX_GROUPS {
            assert!(refusals.is_separate(&separate()));
        }
        refusals.separate.run_pending_tasks();
        let new = separate();
        refusals.separate.run_pending_tasks();
        assert!(refusals.is_separate(&new));
    }
}
