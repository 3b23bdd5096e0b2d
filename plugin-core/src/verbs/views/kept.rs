//! The views of one plugin.

use std::{sync::Arc, time::Duration};

use moka::sync::Cache;
use server_core::digest::Fingerprint;

use super::{
    refusals::{GroupKey, Refusals},
    view::{Places, View, WATCHED_FOR},
};
use crate::erased::Poll;

/// How many groups have a view.
const MAX_VIEWS: u64 = 10_000;

/// The views of one plugin.
pub(in super::super) struct Views {
    /// How old a view may be that answers a poll; zero turns joint polls off.
    pub(super) freshness: Duration,
    places: Places,
    views: Cache<GroupKey, Arc<View>>,
    pub(super) refusals: Refusals,
}

impl Views {
    /// Views that watch at most `most` jobs.
    pub(in super::super) fn new(freshness: Duration, most: usize) -> Self {
        let views = Cache::builder().max_capacity(MAX_VIEWS).time_to_idle(WATCHED_FOR).build();
        Self { freshness, places: Places::new(most), views, refusals: Refusals::new() }
    }

    /// The view of `group`, once it watches `job`; `None` if no place is left.
    pub(super) fn watching(
        &self,
        group: GroupKey,
        job: Fingerprint,
        poll: impl FnOnce() -> Poll,
    ) -> Option<Arc<View>> {
        let view = self.views.get_with(group, Arc::default);
        view.watch(job, poll, &self.places, self.freshness).then_some(view)
    }
}
