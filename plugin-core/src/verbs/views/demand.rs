//! How much a group is polled.

use std::time::Duration;

use tokio::time::Instant;

/// How many polls come while a view is fresh.
#[derive(Default)]
pub(super) struct Demand {
    since: Option<Instant>,
    now: usize,
    before: usize,
    /// How many of them looked at new jobs alone.
    pub(super) alone: usize,
}

impl Demand {
    pub(super) fn count(&mut self, now: Instant, freshness: Duration) {
        let age = self.since.map(|since| now.duration_since(since));
        if age.is_none_or(|age| age > freshness) {
            let is_next = age.is_some_and(|age| age <= freshness * 2);
            let before = if is_next { self.now } else { 0 };
            *self = Self { since: Some(now), before, ..Self::default() };
        }
        self.now += 1;
    }

    pub(super) fn polls(&self) -> usize {
        self.now.max(self.before)
    }
}
