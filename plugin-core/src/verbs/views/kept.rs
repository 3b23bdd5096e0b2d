//! The views of one plugin.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use moka::{policy::EvictionPolicy, sync::Cache};
use server_core::digest::Fingerprint;
use tokio::time::Instant;

use super::{
    places::Places,
    refusals::{GroupKey, Refusals},
    view::{Seen, View, WATCHED_FOR},
};
use crate::erased::Poll;

/// How many groups have a view.
const MAX_VIEWS: u64 = 10_000;

/// How often jobs that nobody polls are looked for when there are too many.
const SWEEP_EVERY: Duration = Duration::from_secs(10);

/// The views of one plugin.
pub(in super::super) struct Views {
    /// How old a view may be that answers a poll; zero turns joint polls off.
    pub(super) freshness: Duration,
    places: Places,
    swept_at: Mutex<Option<Instant>>,
    views: Cache<GroupKey, Arc<View>>,
    pub(super) refusals: Refusals,
}

impl Views {
    /// Views that watch at most `most` jobs.
    pub(in super::super) fn new(freshness: Duration, most: usize) -> Self {
        let views = Cache::builder().max_capacity(MAX_VIEWS).time_to_idle(WATCHED_FOR);
        // moka's default policy would not admit new groups.
        let views = views.eviction_policy(EvictionPolicy::lru()).build();
        let (places, refusals) = (Places::new(most), Refusals::new());
        Self { freshness, places, swept_at: Mutex::default(), views, refusals }
    }

    /// The view of `group`, once it watches `job`; `None` if no place is left.
    pub(super) fn watching(
        &self,
        group: GroupKey,
        job: Fingerprint,
        poll: impl Fn() -> Poll,
    ) -> Option<Arc<View>> {
        let view = self.views.get_with(group, Arc::default);
        let watch = || view.watch(job, &poll, &self.places, self.freshness);
        (watch() || self.sweep() && watch()).then_some(view)
    }

    /// What was found of `job` within the freshness, if anything.
    pub(super) fn fresh(&self, group: &GroupKey, job: &Fingerprint) -> Option<Seen> {
        self.views.get(group)?.fresh(job, self.freshness)
    }

    /// Gives back the places of jobs that nobody polls, in all views; false if that was done just now.
    fn sweep(&self) -> bool {
        let mut swept_at = self.swept_at.lock().unwrap_or_else(PoisonError::into_inner);
        if swept_at.is_some_and(|at| at.elapsed() < SWEEP_EVERY) {
            return false;
        }
        *swept_at = Some(Instant::now());
        self.views.iter().for_each(|(_, view)| view.sweep());
        true
    }
}
