//! How many jobs are watched.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// The number of jobs that all views of a plugin watch.
#[derive(Clone)]
pub(super) struct Places {
    taken: Arc<AtomicUsize>,
    most: usize,
}

/// The place of one job.
pub(super) struct Place(Arc<AtomicUsize>);

impl Places {
    pub(super) fn new(most: usize) -> Self {
        Self { taken: Arc::default(), most }
    }

    pub(super) fn take(&self) -> Option<Place> {
        let more = |taken| (taken < self.most).then_some(taken + 1);
        let taken = self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.ok().map(|_| Place(Arc::clone(&self.taken)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
