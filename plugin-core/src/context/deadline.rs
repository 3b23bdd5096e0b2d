//! The deadline of a call.

use std::time::Duration;

use tokio::time::Instant;

/// The time by which a call has to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// The deadline `time` from now.
    #[must_use]
    pub fn after(time: Duration) -> Self {
        Self(Instant::now() + time)
    }

    /// The time left; zero once the deadline has passed.
    #[must_use]
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// The deadline for [`tokio::time::timeout_at`].
    #[must_use]
    pub fn instant(self) -> Instant {
        self.0
    }

    /// An earlier deadline that leaves time to send the response: a tenth of the time left, at most a
    /// second.
    pub(crate) fn leaving_time_to_answer(self) -> Self {
        let margin = (self.remaining() / 10).min(Duration::from_secs(1));
        Self(self.0 - margin)
    }
}
