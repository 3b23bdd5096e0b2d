//! Whether the process itself was slow while it waited for somebody.

use std::{fmt, pin::pin, time::Duration};

use tokio::{
    select,
    time::{Instant, sleep_until},
};

/// How often it is measured.
const EVERY: Duration = Duration::from_millis(100);
/// The share of the time from which on it is long.
const LONG: u32 = 4;

/// For how long of some time the process was late: its timers ended later than they should have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lag {
    late: Duration,
    of: Duration,
}

impl Lag {
    /// Whether the process was late for so much of the time that nobody else's slowness follows from it.
    pub(super) fn is_long(self) -> bool {
        self.late * LONG > self.of
    }
}

impl fmt::Display for Lag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of {:?}", self.late, self.of)
    }
}

/// Awaits `work`, and tells how late the process was meanwhile.
pub(super) async fn during<T>(work: impl Future<Output = T>) -> (T, Lag) {
    let (mut work, started, mut late) = (pin!(work), Instant::now(), Duration::ZERO);
    loop {
        let due = Instant::now() + EVERY;
        let done = select! {
            biased;
            done = &mut work => Some(done),
            () = sleep_until(due) => None,
        };
        // Zero before it is due.
        late += due.elapsed();
        if let Some(done) = done {
            return (done, Lag { late, of: started.elapsed() });
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waiting_for_others_is_no_lag() {
        let (_, lag) = during(sleep(Duration::from_secs(8))).await;
        assert!(!lag.is_long(), "{lag}");
    }

    #[tokio::test(start_paused = true)]
    async fn timers_that_end_late_are_lag() {
        let busy = async {
            sleep(Duration::from_secs(1)).await;
            // As if something else ran for two seconds.
            advance(Duration::from_secs(2)).await;
        };
        let (_, lag) = during(busy).await;
        assert!(lag.is_long(), "{lag}");
    }
}
