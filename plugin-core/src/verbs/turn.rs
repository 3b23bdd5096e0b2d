//! Creates with one key that ask for different things run one after another.
//!
//! A vendor or a plugin that looks for the job of a key would find none for either of two at once. The later one is
//! answered as if it had come later: with the first one's job, or a refusal.

use std::sync::Arc;

use server_core::{Error, Kind, Result};
use tokio::{
    sync::{Mutex, OwnedMutexGuard},
    time::timeout_at,
};

use crate::context::Deadline;

/// The turn of the work of one key: one at a time has it, in the order in which they wait for it.
#[derive(Clone, Default)]
pub(super) struct Turn(Arc<Mutex<()>>);

impl Turn {
    /// Waits for it. It ends when it is dropped, also by a panic.
    ///
    /// # Errors
    /// `DeadlineExceeded`: nothing has begun.
    pub(super) async fn wait(self, deadline: Deadline) -> Result<OwnedMutexGuard<()>> {
        match timeout_at(deadline.instant(), self.0.lock_owned()).await {
            Ok(turn) if !deadline.remaining().is_zero() => Ok(turn),
            _ => Err(Error::new(
                Kind::DeadlineExceeded,
                "another task with the same output_prefix or Idempotency-Key is still being submitted; \
                 repeat the request",
            )),
        }
    }
}
