//! How many bytes of responses may be in memory at once.

use std::sync::Arc;

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

/// A body of up to this size needs no permits, in bytes: polls that are answered alone or together have such.
pub(super) const SMALL: usize = 1 << 20;
/// The most bytes of larger bodies.
const MOST: usize = 32 << 20;

/// Limits the larger bodies of an upstream's responses. A permit is a byte.
pub(super) struct Bodies(Arc<Semaphore>);

/// The permits of a body, until they are dropped; none for a small one.
#[derive(Debug, Default)]
pub(super) struct Held(Option<OwnedSemaphorePermit>);

impl Bodies {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(MOST)))
    }

    /// Waits for the permits of a body of `bytes` bytes; `None` if there were none until `until`.
    ///
    /// They are acquired at once: bodies that each wait for more would wait for each other.
    pub(super) async fn acquire(&self, bytes: usize, until: Instant) -> Option<Held> {
        if bytes <= SMALL {
            return Some(Held::default());
        }
        let permits = u32::try_from(bytes.min(MOST)).ok()?;
        let acquired = timeout_at(until, Arc::clone(&self.0).acquire_many_owned(permits)).await;
        Some(Held(Some(acquired.ok()?.ok()?)))
    }
}

impl Held {
    pub(super) fn is_small(&self) -> bool {
        self.0.is_none()
    }

    /// Gives back what a body that has become `bytes` bytes long does not need.
    pub(super) fn shrink(&mut self, bytes: usize) {
        if let Some(permits) = &mut self.0 {
            drop(permits.split(permits.num_permits().saturating_sub(bytes)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn larger_bodies_wait_for_others_until_their_deadline() {
        let bodies = Bodies::new();
        let until = || Instant::now() + Duration::from_secs(4);
        let mut first = bodies.acquire(16 << 20, until()).await.unwrap();
        let _second = bodies.acquire(16 << 20, until()).await.unwrap();
        let began = Instant::now();
        assert!(bodies.acquire(SMALL + 1, until()).await.is_none());
        assert_eq!(began.elapsed().as_secs(), 4);
        assert!(bodies.acquire(SMALL, until()).await.is_some(), "small ones do not wait");
        first.shrink(2 << 20);
        assert!(bodies.acquire(14 << 20, until()).await.is_some(), "the rest has been given back");
        drop(first);
        assert!(bodies.acquire(16 << 20, until()).await.is_some());
    }
}
