//! Creates with one key that ask for different things run one after another.
//!
//! A vendor or a plugin that looks for the job of a key would find none for either of two at once. The later one is
//! answered as if it had come later: with the first one's job, or a refusal.

use server_core::{Error, Kind, Result};
use tokio::{sync::watch, time::timeout_at};

use crate::context::Deadline;

/// The result of work, once there is one.
pub(super) type Completion<T> = Option<Result<T>>;

/// When work may begin: once the work before it has ended.
pub(super) struct Turn<T>(Vec<watch::Receiver<Completion<T>>>);

impl<T> Default for Turn<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> FromIterator<watch::Receiver<Completion<T>>> for Turn<T> {
    fn from_iter<I: IntoIterator<Item = watch::Receiver<Completion<T>>>>(before: I) -> Self {
        Self(before.into_iter().collect())
    }
}

impl<T> Turn<T> {
    /// Waits for it.
    ///
    /// # Errors
    /// `DeadlineExceeded`: nothing has begun.
    pub(super) async fn wait(self, deadline: Deadline) -> Result<()> {
        for mut before in self.0 {
            // Work that panicked has ended, too.
            let ended = async { before.wait_for(Option::is_some).await.map(drop) };
            let in_time = timeout_at(deadline.instant(), ended).await.is_ok();
            if !in_time || deadline.remaining().is_zero() {
                let message =
                    "another task with this key is still being submitted; repeat the request";
                return Err(Error::new(Kind::DeadlineExceeded, message));
            }
        }
        Ok(())
    }
}
