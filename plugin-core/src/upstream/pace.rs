//! The pace at which calls of one quota start, so that they queue here instead of failing at the vendor.
//!
//! Once the vendor responds with 429, the rate is limited: it is halved, then grows by one call per second
//! for each second without another 429 (AIMD, as in TCP).

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use server_core::{Error, Kind, Result};
use tokio::time::{Instant, sleep_until};

use crate::context::Context;

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

/// The pace of the calls of one quota.
pub(super) struct Pace(Mutex<Rate>);

/// The rate at which calls start.
struct Rate {
    limit: Option<Limit>,
    /// The earliest start of the next call.
    next: Instant,
    /// Until when the vendor asked for quiet.
    quiet_until: Instant,
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

impl Default for Pace {
    fn default() -> Self {
        let now = Instant::now();
        Self(Mutex::new(Rate {
            limit: None,
            next: now,
            quiet_until: now,
            counted: 0,
            counted_since: now,
            counted_before: 0,
        }))
    }
}

impl Pace {
    /// Waits for the call's turn.
    ///
    /// # Errors
    /// `ResourceExhausted` when the call would start after its deadline, or later than starts are reserved;
    /// for a poll also while the vendor asks for quiet.
    pub(super) async fn turn(&self, cx: &Context) -> Result<()> {
        loop {
            let start = self.rate().reserve(cx)?;
            if start <= Instant::now() {
                return Ok(());
            }
            sleep_until(start).await;
            // The vendor may have asked for quiet since the turn was reserved.
            if self.quiet().is_zero() {
                return Ok(());
            }
        }
    }

    /// For how long the vendor asks for quiet.
    pub(super) fn quiet(&self) -> Duration {
        self.rate().quiet_until.saturating_duration_since(Instant::now())
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
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Too many calls are queued; the caller may repeat its own after `retry_after`.
pub(super) fn too_many(retry_after: Option<Duration>) -> Error {
    let error = Error::new(Kind::ResourceExhausted, "too many calls are queued for the upstream");
    match retry_after {
        Some(wait) => error.with_retry_after(wait),
        None => error,
    }
}

fn quiet(wait: Duration) -> Error {
    Error::new(Kind::ResourceExhausted, "the upstream asked for a pause").with_retry_after(wait)
}

impl Rate {
    /// Reserves the next start.
    fn reserve(&mut self, cx: &Context) -> Result<Instant> {
        let now = Instant::now();
        let pause = self.quiet_until.saturating_duration_since(now);
        let start = self.next.max(now);
        // A poll is answered with the last known status.
        if !pause.is_zero() && (cx.is_poll() || pause > LONGEST_QUEUE) {
            return Err(quiet(pause));
        }
        if start >= cx.deadline().instant() || start - now > LONGEST_QUEUE {
            return Err(too_many(Some(start - now)));
        }
        if let Some(limit) = &self.limit {
            self.next = start + Duration::from_secs_f64(limit.rate.recip());
        }
        self.count(now);
        Ok(start)
    }

    fn count(&mut self, now: Instant) {
        let since = now - self.counted_since;
        if since >= SAMPLE {
            self.counted_before = if since < 2 * SAMPLE { self.counted } else { 0 };
            (self.counted, self.counted_since) = (0, now);
        }
        self.counted += 1;
    }

    fn slow_down(&mut self, wait: Duration) {
        let now = Instant::now();
        // One response delays every call, so the delay is bounded.
        self.quiet_until = self.quiet_until.max(now + wait.min(LONGEST_HOLD));
        self.next = self.next.max(self.quiet_until);
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

#[cfg(all(test, feature = "testing"))]
mod tests;
