//! Says what is being done when it takes more than a second.

use std::{
    io::{IsTerminal as _, Write as _},
    time::Duration,
};

use tokio::time::{Instant, interval_at};

const AFTER: Duration = Duration::from_secs(1);
const EVERY: Duration = Duration::from_millis(200);
/// Goes to the beginning of the line, and clears it.
const CLEAR: &str = "\r\x1b[K";
const FRAMES: [char; 4] = ['|', '/', '-', '\\'];

/// Waits for `work`. From the second second on, a terminal shows `what` on a line of standard error, which goes away
/// with the result.
pub(crate) async fn during<T>(what: &str, work: impl Future<Output = T>) -> T {
    if !std::io::stderr().is_terminal() {
        return work.await;
    }
    let started = Instant::now();
    let mut ticks = interval_at(started + AFTER, EVERY);
    let mut frames = FRAMES.iter().cycle();
    let mut is_shown = false;
    tokio::pin!(work);
    loop {
        tokio::select! {
            result = &mut work => {
                if is_shown {
                    show(CLEAR);
                }
                return result;
            }
            _ = ticks.tick() => {
                is_shown = true;
                let frame = frames.next().copied().unwrap_or_default();
                show(&format!("{CLEAR}{frame} {what} ({} s)", started.elapsed().as_secs()));
            }
        }
    }
}

fn show(text: &str) {
    let mut stderr = std::io::stderr();
    // Nothing depends on it.
    let _ = write!(stderr, "{text}").and_then(|()| stderr.flush());
}
