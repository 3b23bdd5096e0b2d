//! Stops sending to an upstream that fails every call, but for one attempt at a time that finds out whether
//! it has recovered.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// How many attempts in a row must fail. A single job that the vendor cannot serve is not an outage.
const FAILURES: u32 = 10;
/// How long nothing is sent after that, and after each probe that failed.
const PAUSE: Duration = Duration::from_secs(1);

/// Whether an upstream answers at all.
#[derive(Default)]
pub(super) struct Breaker(Mutex<State>);

#[derive(Default)]
struct State {
    /// Failed attempts since the last that was answered.
    failures: u32,
    /// While it is open: when the next probe may be sent.
    probe_at: Option<Instant>,
    /// A probe is under way.
    probing: bool,
}

/// Permission to send one attempt, with which its outcome is reported.
#[must_use]
pub(super) struct Passage<'a> {
    breaker: &'a Breaker,
    is_probe: bool,
}

impl Breaker {
    /// Permission to send an attempt.
    ///
    /// # Errors
    /// How long to wait before asking again.
    pub(super) fn pass(&self) -> Result<Passage<'_>, Duration> {
        let mut state = self.state();
        let is_probe = match state.probe_at.map(|at| at.saturating_duration_since(Instant::now())) {
            None => false,
            Some(_) if state.probing => return Err(PAUSE),
            Some(wait) if !wait.is_zero() => return Err(wait),
            Some(_) => true,
        };
        state.probing |= is_probe;
        Ok(Passage { breaker: self, is_probe })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Passage<'_> {
    /// Reports that the upstream answered, whatever it said.
    pub(super) fn answered(self) {
        let mut state = self.breaker.state();
        let was_open = state.probe_at.take().is_some();
        state.failures = 0;
        drop(state);
        if was_open {
            tracing::info!("the upstream answers again");
        }
    }

    /// Reports that the attempt failed without an answer to what was asked.
    pub(super) fn failed(self) {
        let mut state = self.breaker.state();
        state.failures = state.failures.saturating_add(1);
        let opens = state.probe_at.is_none() && state.failures >= FAILURES;
        if opens || self.is_probe {
            state.probe_at = Some(Instant::now() + PAUSE);
        }
        drop(state);
        if opens {
            tracing::warn!(
                "the upstream fails every call; it is probed once a second until it recovers"
            );
        }
    }
}

/// A probe that was cancelled leaves its place to the next.
impl Drop for Passage<'_> {
    fn drop(&mut self) {
        if self.is_probe {
            self.breaker.state().probing = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open() -> Breaker {
        let breaker = Breaker::default();
        (0..FAILURES).for_each(|_| breaker.pass().map(Passage::failed).unwrap());
        breaker
    }

    #[tokio::test(start_paused = true)]
    async fn it_opens_after_failures_in_a_row() {
        let breaker = Breaker::default();
        for _ in 0..5 {
            (1..FAILURES).for_each(|_| breaker.pass().map(Passage::failed).unwrap());
            breaker.pass().map(Passage::answered).unwrap();
        }
        assert!(breaker.pass().is_ok());
        assert_eq!(open().pass().err(), Some(PAUSE));
    }

    #[tokio::test(start_paused = true)]
    async fn one_probe_at_a_time_decides() {
        let breaker = open();
        tokio::time::advance(PAUSE).await;
        let probe = breaker.pass().ok().unwrap();
        assert!(breaker.pass().is_err(), "a second one");
        probe.failed();
        assert!(breaker.pass().is_err(), "it failed");
        tokio::time::advance(PAUSE).await;
        breaker.pass().map(Passage::answered).unwrap();
        assert!(breaker.pass().is_ok() && breaker.pass().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_probe_is_replaced() {
        let breaker = open();
        tokio::time::advance(PAUSE).await;
        drop(breaker.pass().ok().unwrap());
        assert!(breaker.pass().is_ok());
    }
}
