//! How many calls to an upstream may be under way, and how long the queue of polls may be.

use std::{
    sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use server_core::{Error, Result};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{timeout, timeout_at},
};

use super::pace::too_many;
use crate::context::Context;

/// How long a poll is expected to take before one has ended, in microseconds.
const TYPICAL_MICROS: u64 = 200_000;

/// The longest that a poll waits for its turn. It holds a stream of its caller's connection meanwhile, and those
/// are few: polls that wait keep others from being answered at all.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// The permits of an upstream's calls.
///
/// Polls may take three quarters of them: they come in thousands, and creates and deletes do not wait behind
/// these. A poll whose turn is not soon is not queued, because the last known status answers it.
pub(super) struct Permits {
    all: Semaphore,
    polls: Semaphore,
    /// How many polls may be under way.
    most_polls: usize,
    /// Polls that wait or are under way.
    queued: AtomicUsize,
    /// How long a poll typically takes, in microseconds.
    typical: AtomicU64,
}

/// The permission to make a call, until it is dropped.
pub(super) struct Permitted<'a> {
    _all: SemaphorePermit<'a>,
    _poll: Option<(SemaphorePermit<'a>, Queued<'a>)>,
}

/// A place in the queue of polls.
struct Queued<'a>(&'a AtomicUsize);

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Permits {
    pub(super) fn new(most: usize) -> Self {
        let most = most.clamp(1, Semaphore::MAX_PERMITS);
        let most_polls = most - most / 4;
        Self {
            all: Semaphore::new(most),
            polls: Semaphore::new(most_polls),
            most_polls,
            queued: AtomicUsize::new(0),
            typical: AtomicU64::new(TYPICAL_MICROS),
        }
    }

    /// Waits for the permission to make a call, as a poll or not.
    ///
    /// # Errors
    /// `ResourceExhausted` when it would come, or came, too late.
    pub(super) async fn acquire(&self, cx: &Context, is_poll: bool) -> Result<Permitted<'_>> {
        let poll = if is_poll { Some(self.poll(cx).await?) } else { None };
        Ok(Permitted { _all: in_time(&self.all, cx).await?, _poll: poll })
    }

    async fn poll(&self, cx: &Context) -> Result<(SemaphorePermit<'_>, Queued<'_>)> {
        let ahead = self.queued.fetch_add(1, Relaxed);
        let place = Queued(&self.queued);
        let longest = LONGEST_WAIT.min(cx.deadline().remaining());
        if self.wait(ahead) > longest {
            return Err(too_many(None));
        }
        // The estimate may be wrong.
        let turn = timeout(longest, in_time(&self.polls, cx)).await;
        Ok((turn.map_err(|_| too_many(None))??, place))
    }

    /// How long a poll with `ahead` others before it will wait.
    fn wait(&self, ahead: usize) -> Duration {
        let rounds = u32::try_from(ahead / self.most_polls).unwrap_or(u32::MAX);
        Duration::from_micros(self.typical.load(Relaxed)).saturating_mul(rounds)
    }

    /// Notes how long a poll took at the vendor.
    pub(super) fn took(&self, time: Duration) {
        let sample = u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1);
        // A moving average.
        let _ = self
            .typical
            .fetch_update(Relaxed, Relaxed, |typical| Some(typical - typical / 8 + sample / 8));
    }
}

async fn in_time<'a>(permits: &'a Semaphore, cx: &Context) -> Result<SemaphorePermit<'a>> {
    let acquired = timeout_at(cx.deadline().instant(), permits.acquire()).await;
    acquired.map_err(|_| too_many(None))?.map_err(Error::internal)
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use tokio::time::{Instant, sleep};

    use super::*;
    use crate::testing::context;

    const CALL: Duration = Duration::from_micros(TYPICAL_MICROS);

    async fn call(permits: &Permits, cx: &Context, is_poll: bool) -> Result<()> {
        let _permitted = permits.acquire(cx, is_poll).await?;
        sleep(CALL).await;
        permits.took(CALL);
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn other_calls_do_not_wait_behind_polls() {
        let permits = Permits::new(8);
        let cx = context(CALL * 1000);
        let polls = (0..100).map(|_| call(&permits, &cx, true));
        let create = async {
            sleep(CALL / 2).await;
            let started = Instant::now();
            call(&permits, &cx, false).await.unwrap();
            started.elapsed()
        };
        let (took, _) = tokio::join!(create, futures_util::future::join_all(polls));
        assert!(took <= CALL + Duration::from_millis(10), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn polls_whose_turn_is_not_soon_are_refused_at_once() {
        let permits = Permits::new(8);
        let cx = context(CALL * 1000);
        let started = Instant::now();
        let poll = || async {
            let outcome = call(&permits, &cx, true).await;
            (outcome.is_ok(), started.elapsed())
        };
        let polls = futures_util::future::join_all((0..1000).map(|_| poll())).await;
        let (made, refused): (Vec<_>, Vec<_>) = polls.into_iter().partition(|(is_ok, _)| *is_ok);
        assert!((30..=36).contains(&made.len()), "six at a time, within a second: {}", made.len());
        let at_once = refused.iter().filter(|(_, at)| at.is_zero()).count();
        assert_eq!(at_once, 1000 - 36, "the others wait for a second at most");
        assert!(call(&permits, &cx, true).await.is_ok(), "the queue is empty again");
    }

    #[tokio::test(start_paused = true)]
    async fn polls_wait_no_longer_for_a_vendor_that_became_slow() {
        let permits = Permits::new(1);
        let cx = context(CALL * 1000);
        let held = permits.acquire(&cx, true).await.unwrap();
        let started = Instant::now();
        assert!(permits.acquire(&cx, true).await.is_err());
        assert!(started.elapsed() <= LONGEST_WAIT + Duration::from_millis(10));
        drop(held);
    }

    #[tokio::test(start_paused = true)]
    async fn one_permit_serves_polls_and_others() {
        let permits = Permits::new(1);
        let cx = context(CALL * 10);
        let (poll, other) = tokio::join!(call(&permits, &cx, true), call(&permits, &cx, false));
        assert!(poll.is_ok() && other.is_ok());
    }
}
