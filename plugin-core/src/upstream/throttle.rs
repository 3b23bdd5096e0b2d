//! Paces the calls to one host, so that a thousand tasks queue here instead of failing there.
//!
//! So many calls run at once; and once the vendor answers "too many", fewer begin per second: half as
//! many at once, one more per second for each second without complaint (AIMD, as TCP does it).

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

/// The slowest pace, in calls per second.
const SLOWEST: f64 = 1.0;
/// Complaints about calls that were under way together count once.
const ONE_COMPLAINT: Duration = Duration::from_secs(1);
/// How far ahead turns are given. Who has more time comes back, and does not crowd out who has less.
const LONGEST_QUEUE: Duration = Duration::from_secs(5);
const LONGEST_HOLD: Duration = Duration::from_secs(60);
/// How long after the last complaint the pace is nobody's business again.
const FORGIVEN: Duration = Duration::from_secs(300);

/// Paces the calls to one host.
pub(super) struct Throttle {
    concurrent: Semaphore,
    pace: Mutex<Pace>,
}

/// How fast calls may begin.
struct Pace {
    limit: Option<Limit>,
    /// No call begins before.
    next: Instant,
    /// How many calls began since, to know how many were too many.
    counted: u32,
    counted_since: Instant,
    /// How many began in the second before.
    counted_before: u32,
}

struct Limit {
    /// Calls per second.
    rate: f64,
    complained_at: Instant,
}

impl Throttle {
    pub(super) fn new(max_concurrent: usize) -> Self {
        let now = Instant::now();
        Self {
            concurrent: Semaphore::new(max_concurrent.clamp(1, Semaphore::MAX_PERMITS)),
            pace: Mutex::new(Pace {
                limit: None,
                next: now,
                counted: 0,
                counted_since: now,
                counted_before: 0,
            }),
        }
    }

    /// Waits for a call's turn; it holds its place until the permit is dropped.
    ///
    /// # Errors
    /// `ResourceExhausted` when its turn would come after the deadline, or too late to book it.
    pub(super) async fn admit(&self, deadline: Deadline) -> Result<SemaphorePermit<'_>> {
        let place = timeout_at(deadline.instant(), self.concurrent.acquire()).await;
        let place = place.map_err(|_| too_many(None))?.map_err(Error::internal)?;
        let start = self.pace().reserve(deadline)?;
        sleep_until(start).await;
        Ok(place)
    }

    /// The vendor took a call.
    pub(super) fn accepted(&self) {
        self.pace().speed_up();
    }

    /// The vendor said "too many", and perhaps when to come back.
    pub(super) fn throttled(&self, retry_after: Option<Duration>) {
        self.pace().slow_down(retry_after.unwrap_or_default());
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn too_many(retry_after: Option<Duration>) -> Error {
    let error = Error::new(Kind::ResourceExhausted, "too many calls wait for the upstream already");
    match retry_after {
        Some(wait) => error.with_retry_after(wait),
        None => error,
    }
}

impl Pace {
    /// When the next call may begin; later ones begin after it.
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
        if since >= ONE_COMPLAINT {
            self.counted_before = if since < 2 * ONE_COMPLAINT { self.counted } else { 0 };
            (self.counted, self.counted_since) = (0, now);
        }
        self.counted += 1;
        Ok(start)
    }

    fn slow_down(&mut self, wait: Duration) {
        let now = Instant::now();
        // One answer holds every caller back, so not for long.
        self.next = self.next.max(now + wait.min(LONGEST_HOLD));
        let rate = match &self.limit {
            Some(limit) if now - limit.complained_at < ONE_COMPLAINT => return,
            Some(limit) => limit.rate,
            None => f64::from(self.counted.max(self.counted_before)),
        };
        self.limit = Some(Limit { rate: (rate / 2.0).max(SLOWEST), complained_at: now });
    }

    /// One more call per second for each second: each of a second's calls adds its share.
    fn speed_up(&mut self) {
        match &mut self.limit {
            Some(limit) if limit.complained_at.elapsed() >= FORGIVEN => self.limit = None,
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

    /// How long `calls` one after the other take to begin.
    async fn begin(throttle: &Throttle, calls: u32) -> Duration {
        let started = Instant::now();
        for _ in 0..calls {
            drop(throttle.admit(soon()).await.unwrap());
        }
        started.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn calls_run_unhindered_until_the_vendor_complains() {
        let throttle = Throttle::new(100);
        assert_eq!(begin(&throttle, 40).await, Duration::ZERO);
        throttle.throttled(None);
        throttle.throttled(None);
        let took = begin(&throttle, 21).await;
        assert_eq!(took.as_millis(), 1000, "20 a second: half of 40, though two complained");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pace_is_found_and_forgotten() {
        let throttle = Throttle::new(100);
        begin(&throttle, 10).await;
        throttle.throttled(None);
        tokio::time::advance(ONE_COMPLAINT).await;
        throttle.throttled(None);
        assert!(begin(&throttle, 3).await >= Duration::from_millis(800), "2.5 a second");
        (0..200).for_each(|_| throttle.accepted());
        assert!(begin(&throttle, 10).await < Duration::from_secs(1), "faster again");
        tokio::time::advance(FORGIVEN).await;
        throttle.accepted();
        assert_eq!(begin(&throttle, 1000).await, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_complaint_at_the_start_of_a_second_is_about_the_one_before() {
        let throttle = Throttle::new(100);
        begin(&throttle, 40).await;
        tokio::time::advance(ONE_COMPLAINT).await;
        begin(&throttle, 1).await;
        throttle.throttled(None);
        assert_eq!(begin(&throttle, 21).await.as_millis(), 1000, "20 a second: half of 40");
    }

    #[tokio::test(start_paused = true)]
    async fn retry_after_holds_everyone_back() {
        let throttle = Throttle::new(100);
        begin(&throttle, 100).await;
        throttle.throttled(Some(Duration::from_secs(3)));
        assert_eq!(begin(&throttle, 1).await, Duration::from_secs(3));
        throttle.throttled(Some(Duration::from_secs(30)));
        let error = throttle.admit(soon()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::ResourceExhausted);
        assert!(error.retry_after().unwrap() > Duration::from_secs(29));
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_time_does_not_crowd_out_who_has_not() {
        let throttle = Throttle::new(100);
        throttle.throttled(None);
        let patient = || throttle.admit(Deadline::after(Duration::from_secs(60)));
        let patient = futures_util::future::join_all((0..50).map(|_| patient()));
        let hasty = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            throttle.admit(soon()).await.map(drop)
        };
        let (patient, hasty) = tokio::join!(patient, hasty);
        hasty.unwrap();
        let waits = patient.iter().filter_map(|turn| turn.as_ref().err()?.retry_after());
        assert!(waits.clone().count() > 40 && waits.max() < Some(2 * LONGEST_QUEUE));
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_so_many_run_at_once() {
        let throttle = Throttle::new(2);
        let _two = (throttle.admit(soon()).await.unwrap(), throttle.admit(soon()).await.unwrap());
        assert!(throttle.admit(soon()).await.is_err(), "its turn did not come");
    }
}
