//! The jobs of a fake, started by creates.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use tokio::sync::watch;

/// Whether a fake looks for the job that has the key of a create before it starts one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// It does.
    Kept,
    /// Each create starts a job.
    Ignored,
}

/// The jobs that creates have started.
pub struct Jobs {
    keys: Keys,
    /// By key or, if those are ignored, by number.
    started: Mutex<BTreeMap<String, usize>>,
    held: watch::Sender<bool>,
}

impl Jobs {
    /// None yet.
    #[must_use]
    pub fn new(keys: Keys) -> Self {
        Self { keys, started: Mutex::default(), held: watch::Sender::new(false) }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.started.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Holds the answers to creates back.
    pub fn hold(&self) {
        self.held.send_replace(true);
    }

    /// Answers creates again, also those that were held back.
    pub fn release(&self) {
        self.held.send_replace(false);
    }

    /// The number of the job of a create with `key`, once its answer is not held back.
    pub(super) async fn create(&self, key: &str) -> usize {
        let job = self.start(key);
        // Fails only without a sender, which is here.
        let _ = self.held.subscribe().wait_for(|held| !held).await;
        job
    }

    fn start(&self, key: &str) -> usize {
        let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        let next = started.len();
        let key = match self.keys {
            Keys::Kept => key.to_owned(),
            Keys::Ignored => next.to_string(),
        };
        *started.entry(key).or_insert(next)
    }
}
