//! When a call has to be answered.

use std::time::Duration;

use tokio::time::Instant;

/// When a call has to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// `time` from now.
    #[must_use]
    pub fn after(time: Duration) -> Self {
        Self(Instant::now() + time)
    }

    /// What is left; zero once it has passed.
    #[must_use]
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// The moment itself, for [`tokio::time::timeout_at`].
    #[must_use]
    pub fn instant(self) -> Instant {
        self.0
    }

    /// The same deadline, early enough to still write the answer: a tenth of what is left, at most a
    /// second.
    pub(crate) fn leaving_time_to_answer(self) -> Self {
        let margin = (self.remaining() / 10).min(Duration::from_secs(1));
        Self(self.0 - margin)
    }
}
