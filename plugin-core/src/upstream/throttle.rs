//! Limits concurrency and rate of the calls to one host, so that they queue here instead of failing there.
//!
//! Concurrency is capped. Once the vendor responds with 429, the rate is limited, too: it is halved, then
//! grows by one call per second for each second without another 429 (AIMD, as in TCP).

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use server_core::{Error, Kind, Result};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, sleep_until, timeout_at},
};

use crate::context::Deadline;

/// The lowest rate, in calls per second.
const MIN_RATE: f64 = 1.0;
/// Responses of 429 within this time count once: they are about calls that were under way together.
const SAMPLE: Duration = Duration::from_secs(1);
/// How far ahead starts are reserved. Calls with a longer deadline retry, and do not starve those with a
/// shorter one.
const LONGEST_QUEUE: Duration = Duration::from_secs(5);
/// The upper bound of a Retry-After, which delays every call.
const LONGEST_HOLD: Duration = Duration::from_secs(60);
/// How long after the last 429 the rate limit is lifted.
const RECOVERY: Duration = Duration::from_secs(300);

/// Limits the calls to one host.
pub(super) struct Throttle {
    permits: Semaphore,
    rate: Mutex<Rate>,
}

/// The rate at which calls start.
struct Rate {
    limit: Option<Limit>,
    /// The earliest start of the next call.
    next: Instant,
    /// Calls started since `counted_since`, from which the first limit is derived.
    counted: u32,
    counted_since: Instant,
    /// Calls started in the sample before.
    counted_before: u32,
}

struct Limit {
    /// In calls per second.
    rate: f64,
    throttled_at: Instant,
}

impl Throttle {
    pub(super) fn new(max_concurrent: usize) -> Self {
        let now = Instant::now();
        Self {
            permits: Semaphore::new(max_concurrent.clamp(1, Semaphore::MAX_PERMITS)),
            rate: Mutex::new(Rate {
                limit: None,
                next: now,
                counted: 0,
                counted_since: now,
                counted_before: 0,
            }),
        }
    }

    /// Waits until a call may start. Its permit counts as a running call until it is dropped.
    ///
    /// # Errors
    /// `ResourceExhausted` when the call would start after the deadline, or later than starts are reserved.
    pub(super) async fn acquire(&self, deadline: Deadline) -> Result<SemaphorePermit<'_>> {
        let permit = timeout_at(deadline.instant(), self.permits.acquire()).await;
        let permit = permit.map_err(|_| too_many(None))?.map_err(Error::internal)?;
        let start = self.rate().reserve(deadline)?;
        sleep_until(start).await;
        Ok(permit)
    }

    /// Raises the rate after a successful call.
    pub(super) fn accepted(&self) {
        self.rate().speed_up();
    }

    /// Lowers the rate after a 429, and holds all calls back for `retry_after`.
    pub(super) fn throttled(&self, retry_after: Option<Duration>) {
        self.rate().slow_down(retry_after.unwrap_or_default());
    }

    fn rate(&self) -> MutexGuard<'_, Rate> {
        self.rate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn too_many(retry_after: Option<Duration>) -> Error {
    let error = Error::new(Kind::ResourceExhausted, "too many calls are queued for the upstream");
    match retry_after {
        Some(wait) => error.with_retry_after(wait),
        None => error,
    }
}

impl Rate {
    /// Reserves the next start.
    fn reserve(&mut self, deadline: Deadline) -> Result<Instant> {
        let now = Instant::now();
        let start = self.next.max(now);
        if start >= deadline.instant() || start - now > LONGEST_QUEUE {
            return Err(too_many(Some(start - now)));
        }
        if let Some(limit) = &self.limit {
            self.next = start + Duration::from_secs_f64(limit.rate.recip());
        }
        let since = now - self.counted_since;
        if since >= SAMPLE {
            self.counted_before = if since < 2 * SAMPLE { self.counted } else { 0 };
            (self.counted, self.counted_since) = (0, now);
        }
        self.counted += 1;
        Ok(start)
    }

    fn slow_down(&mut self, wait: Duration) {
        let now = Instant::now();
        // One response delays every call, so the delay is bounded.
        self.next = self.next.max(now + wait.min(LONGEST_HOLD));
        let rate = match &self.limit {
            Some(limit) if now - limit.throttled_at < SAMPLE => return,
            Some(limit) => limit.rate,
            None => f64::from(self.counted.max(self.counted_before)),
        };
        self.limit = Some(Limit { rate: (rate / 2.0).max(MIN_RATE), throttled_at: now });
    }

    /// Adds one call per second for each second: each call adds its share.
    fn speed_up(&mut self) {
        match &mut self.limit {
            Some(limit) if limit.throttled_at.elapsed() >= RECOVERY => self.limit = None,
            Some(limit) => limit.rate += limit.rate.recip(),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soon() -> Deadline {
        Deadline::after(Duration::from_secs(10))
    }

    /// How long it takes to start `calls` calls in sequence.
    async fn start(throttle: &Throttle, calls: u32) -> Duration {
        let started = Instant::now();
        for _ in 0..calls {
            drop(throttle.acquire(soon()).await.unwrap());
        }
        started.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn calls_are_not_limited_before_a_429() {
        let throttle = Throttle::new(100);
        assert_eq!(start(&throttle, 40).await, Duration::ZERO);
        throttle.throttled(None);
        throttle.throttled(None);
        let took = start(&throttle, 21).await;
        assert_eq!(took.as_millis(), 1000, "20 per second: half of 40, for both responses");
    }

    #[tokio::test(start_paused = true)]
    async fn the_rate_recovers_and_the_limit_expires() {
        let throttle = Throttle::new(100);
        start(&throttle, 10).await;
        throttle.throttled(None);
        tokio::time::advance(SAMPLE).await;
        throttle.throttled(None);
        assert!(start(&throttle, 3).await >= Duration::from_millis(800), "2.5 per second");
        (0..200).for_each(|_| throttle.accepted());
        assert!(start(&throttle, 10).await < Duration::from_secs(1), "faster again");
        tokio::time::advance(RECOVERY).await;
        throttle.accepted();
        assert_eq!(start(&throttle, 1000).await, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_429_at_the_start_of_a_sample_is_about_the_previous_one() {
        let throttle = Throttle::new(100);
        start(&throttle, 40).await;
        tokio::time::advance(SAMPLE).await;
        start(&throttle, 1).await;
        throttle.throttled(None);
        assert_eq!(start(&throttle, 21).await.as_millis(), 1000, "20 per second: half of 40");
    }

    #[tokio::test(start_paused = true)]
    async fn retry_after_delays_all_calls() {
        let throttle = Throttle::new(100);
        start(&throttle, 100).await;
        throttle.throttled(Some(Duration::from_secs(3)));
        assert_eq!(start(&throttle, 1).await, Duration::from_secs(3));
        throttle.throttled(Some(Duration::from_secs(30)));
        let error = throttle.acquire(soon()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::ResourceExhausted);
        assert!(error.retry_after().unwrap() > Duration::from_secs(29));
    }

    #[tokio::test(start_paused = true)]
    async fn long_deadlines_do_not_starve_short_ones() {
        let throttle = Throttle::new(100);
        throttle.throttled(None);
        let long = || throttle.acquire(Deadline::after(Duration::from_secs(60)));
        let long = futures_util::future::join_all((0..50).map(|_| long()));
        let short = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            throttle.acquire(soon()).await.map(drop)
        };
        let (long, short) = tokio::join!(long, short);
        short.unwrap();
        let waits = long.iter().filter_map(|call| call.as_ref().err()?.retry_after());
        assert!(waits.clone().count() > 40 && waits.max() < Some(2 * LONGEST_QUEUE));
    }

    #[tokio::test(start_paused = true)]
    async fn concurrency_is_capped() {
        let throttle = Throttle::new(2);
        let _two =
            (throttle.acquire(soon()).await.unwrap(), throttle.acquire(soon()).await.unwrap());
        assert!(throttle.acquire(soon()).await.is_err(), "no permit was free in time");
    }
}
