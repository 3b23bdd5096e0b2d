//! Counts the callers that wait for an operation that may outlive them.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// The number of callers that wait for an operation.
#[derive(Clone, Default)]
pub(crate) struct Waiting(Arc<AtomicUsize>);

/// One waiting caller, until it is dropped.
pub(crate) struct Waiter(Waiting);

impl Waiting {
    /// Adds a caller.
    pub(crate) fn join(&self) -> Waiter {
        self.0.fetch_add(1, Ordering::Relaxed);
        Waiter(self.clone())
    }

    /// Whether no caller waits any longer.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}
