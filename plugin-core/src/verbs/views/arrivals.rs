//! Waiting for those who are already here, and not for those who may come.

use std::time::Duration;

use tokio::{task::yield_now, time::Instant};

/// After how many turns of the scheduler without a change all have come in: together about 0.1 ms, if there is nothing else
/// to do.
const QUIET_TURNS: usize = 32;
/// How long turns are waited for at most. A process that needs longer is overloaded, and those who wait must be
/// answered in time.
const LONGEST: Duration = Duration::from_secs(2);

/// Lets other tasks run until `count` does not change any more.
pub(super) async fn settled(count: impl Fn() -> usize) {
    let (started, mut before, mut quiet) = (Instant::now(), count(), 0);
    while quiet < QUIET_TURNS && started.elapsed() < LONGEST {
        yield_now().await;
        let now = count();
        quiet = if now == before { quiet + 1 } else { 0 };
        before = now;
    }
}
