//! Retries: only where a repeat is safe, and never past the deadline.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, header};

use super::answer::FailedAttempt;
use crate::context::Deadline;

const MAX_ATTEMPTS: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The upper bound of a Retry-After: clocks may differ, and vendors err.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// The attempts of one call.
pub(super) struct Attempts {
    deadline: Deadline,
    idempotent: bool,
    is_poll: bool,
    count: u32,
    refreshed: bool,
}

impl Attempts {
    pub(super) fn new(deadline: Deadline, idempotent: bool, is_poll: bool) -> Self {
        Self { deadline, idempotent, is_poll, count: 0, refreshed: false }
    }

    /// The number of failed attempts.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// Whether to repeat the call with fresh credentials: true once.
    pub(super) fn refresh_once(&mut self) -> bool {
        let first = !self.refreshed;
        self.refreshed = true;
        self.count += u32::from(first);
        first
    }

    /// How long to wait before the next attempt; `None` ends the call.
    ///
    /// A call is repeated if the vendor did not receive it, or if it is idempotent, and the failure is
    /// transient. A poll does not wait for a vendor that asks for quiet, or that fails every call.
    pub(super) fn pause_after(&mut self, failed: &FailedAttempt) -> Option<Duration> {
        self.count += u32::from(!failed.throttled);
        let safe = (failed.unsent || self.idempotent) && !failed.is_final;
        if self.is_poll && (failed.throttled || failed.retry_after.is_some()) {
            return None;
        }
        if !safe || !failed.error.kind().is_transient() || self.count >= MAX_ATTEMPTS {
            return None;
        }
        let pause = failed.retry_after.unwrap_or_default().max(self.jitter());
        (pause < self.deadline.remaining()).then_some(pause)
    }

    /// Full jitter: uniform between zero and a bound that doubles with each attempt.
    fn jitter(&self) -> Duration {
        let bound = FIRST_PAUSE * 2_u32.pow(self.count.saturating_sub(1));
        bound.min(LONGEST_PAUSE).mul_f64(rand::random())
    }
}

/// `Retry-After`, as seconds or as any of HTTP's forms of a date, within a limit.
#[must_use]
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = httpdate::parse_http_date(text).ok()?;
            date.duration_since(SystemTime::now()).unwrap_or_default()
        }
    };
    Some(wait.min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use server_core::{Error, Kind};

    fn failed(kind: Kind, unsent: bool, retry_after: Option<u64>) -> FailedAttempt {
        FailedAttempt {
            error: Error::new(kind, "x"),
            unsent,
            throttled: false,
            is_final: false,
            refused_signature: None,
            retry_after: retry_after.map(Duration::from_secs),
            is_full: false,
        }
    }

    fn pause(idempotent: bool, failure: &FailedAttempt) -> Option<Duration> {
        Attempts::new(Deadline::after(Duration::from_secs(8)), idempotent, false)
            .pause_after(failure)
    }

    #[tokio::test(start_paused = true)]
    async fn only_idempotent_transient_failures_are_retried() {
        for (kind, unsent, idempotent, repeated) in [
            (Kind::Unavailable, false, true, true),
            (Kind::ResourceExhausted, false, true, true),
            (Kind::DeadlineExceeded, false, true, true),
            (Kind::Unavailable, true, false, true),
            (Kind::Unavailable, false, false, false),
            (Kind::ResourceExhausted, false, false, false),
            (Kind::InvalidArgument, false, true, false),
            (Kind::PermissionDenied, false, true, false),
            (Kind::FailedPrecondition, true, true, false),
        ] {
            let next = pause(idempotent, &failed(kind, unsent, None));
            assert_eq!(
                next.is_some(),
                repeated,
                "{kind:?} unsent={unsent} idempotent={idempotent}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn retry_after_is_honoured_within_the_deadline() {
        let wait = |seconds| pause(true, &failed(Kind::ResourceExhausted, false, Some(seconds)));
        assert_eq!(wait(3), Some(Duration::from_secs(3)));
        assert_eq!(wait(8), None);
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_are_limited() {
        let mut attempts = Attempts::new(Deadline::after(Duration::from_secs(3600)), true, false);
        let failure = failed(Kind::Unavailable, false, None);
        let repeated = std::iter::repeat_with(|| attempts.pause_after(&failure)).take(10).flatten();
        assert_eq!(repeated.count(), MAX_ATTEMPTS as usize - 1);
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_for_the_throttle_does_not_count_as_an_attempt() {
        let mut attempts = Attempts::new(Deadline::after(Duration::from_secs(30)), false, false);
        let error = Error::new(Kind::ResourceExhausted, "x").with_retry_after(FIRST_PAUSE);
        let throttled = FailedAttempt::throttled(error);
        assert!((0..100).all(|_| attempts.pause_after(&throttled).is_some()));
        assert_eq!(attempts.count(), 0);
        tokio::time::advance(Duration::from_secs(30)).await;
        assert!(attempts.pause_after(&throttled).is_none(), "it ends with the deadline");
    }

    #[tokio::test(start_paused = true)]
    async fn polls_do_not_wait_for_a_vendor_that_asks_for_quiet() {
        let poll = |failed: &FailedAttempt| {
            Attempts::new(Deadline::after(Duration::from_secs(8)), true, true).pause_after(failed)
        };
        assert!(poll(&failed(Kind::Unavailable, false, None)).is_some());
        assert!(poll(&failed(Kind::ResourceExhausted, false, Some(1))).is_none());
        let throttled = FailedAttempt::throttled(Error::new(Kind::ResourceExhausted, "x"));
        assert!(poll(&throttled).is_none());
    }

    #[test]
    fn retry_after_is_parsed_as_seconds_or_date() {
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RETRY_AFTER, text.parse().unwrap());
            retry_after(&headers)
        };
        assert_eq!(read("7"), Some(Duration::from_secs(7)));
        assert_eq!(read("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        assert_eq!(read("Sunday, 06-Nov-94 08:49:37 GMT"), Some(Duration::ZERO), "RFC 850");
        assert_eq!(read("Sun Nov  6 08:49:37 1994"), Some(Duration::ZERO), "asctime");
        let later = read("Sat, 06 Nov 2094 08:49:37 GMT").unwrap();
        assert_eq!(later, LONGEST_WAIT);
        assert_eq!(read(&u64::MAX.to_string()), Some(LONGEST_WAIT));
        assert_eq!(read("soon"), None);
    }
}
