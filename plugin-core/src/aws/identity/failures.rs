//! What the library hides of a failure.

use std::sync::{Arc, Mutex, PoisonError};

use reqsign_core::Error as LibraryError;
use server_core::Error;

/// The failure of ours that the library got, which says more than its own.
#[derive(Debug, Clone, Default)]
pub(super) struct Failures(Arc<Mutex<Option<Error>>>);

impl Failures {
    pub(super) fn take(&self) -> Option<Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Notes `error`, and tells the library that there is one.
    pub(super) fn note(&self, error: Error) -> LibraryError {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        LibraryError::unexpected("failed")
    }
}
