//! Work under way, by key: a repeat waits for the first one instead of starting again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use crate::{
    context::IdempotencyKey,
    error::{Error, Result},
    telemetry::metrics::Metrics,
};

type Table<T> = Arc<Mutex<HashMap<IdempotencyKey, watch::Receiver<Option<Result<T>>>>>>;

/// Work under way.
pub(super) struct InFlight<T> {
    table: Table<T>,
    metrics: Arc<Metrics>,
}

/// The end of work under way. Dropping it does not stop the work.
pub(super) struct Outcome<T>(watch::Receiver<Option<Result<T>>>);

/// A key's place in the table, held by the work itself and freed even when that panics.
pub(super) struct Slot<T> {
    key: IdempotencyKey,
    table: Table<T>,
    metrics: Arc<Metrics>,
    result: watch::Sender<Option<Result<T>>>,
}

fn lock<T>(
    table: &Table<T>,
) -> MutexGuard<'_, HashMap<IdempotencyKey, watch::Receiver<Option<Result<T>>>>> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: Clone> InFlight<T> {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self { table: Table::default(), metrics }
    }

    /// The work under way for `key`; `start` is given a slot to run it in if there is none.
    pub(super) fn join_or_start(
        &self,
        key: IdempotencyKey,
        start: impl FnOnce(Slot<T>),
    ) -> Outcome<T> {
        let mut table = lock(&self.table);
        if let Some(under_way) = table.get(&key) {
            self.metrics.joined_create();
            return Outcome(under_way.clone());
        }
        let (result, outcome) = watch::channel(None);
        table.insert(key, outcome.clone());
        drop(table);
        let (table, metrics) = (Arc::clone(&self.table), Arc::clone(&self.metrics));
        start(Slot { key, table, metrics, result });
        Outcome(outcome)
    }
}

impl<T: Clone> Outcome<T> {
    /// Waits for the work.
    ///
    /// # Errors
    /// The work's own, or `Internal` when it panicked.
    pub(super) async fn wait(mut self) -> Result<T> {
        match self.0.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(result)) => result.clone(),
            Ok(None) | Err(_) => Err(Error::internal("the create panicked")),
        }
    }
}

impl<T> Slot<T> {
    /// Runs `work` and hands its result to everyone who waits.
    pub(super) async fn run(self, work: impl Future<Output = Result<T>>) {
        let result = work.await;
        lock(&self.table).remove(&self.key);
        if self.result.receiver_count() == 0 && result.is_ok() {
            self.metrics.abandoned_create();
            tracing::info!(key = %self.key, "a create finished after its caller had gone");
        }
        self.result.send_replace(Some(result));
    }
}

impl<T> Drop for Slot<T> {
    fn drop(&mut self) {
        // Only a panic leaves the key in the table: `run` takes it out, and by now it may be another's.
        if self.result.borrow().is_none() {
            lock(&self.table).remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;
    use crate::run::ServiceInfo;

    fn in_flight() -> InFlight<u32> {
        InFlight::new(Arc::new(Metrics::new(ServiceInfo { name: "test", version: "0" })))
    }

    fn start(
        in_flight: &InFlight<u32>,
        work: impl Future<Output = Result<u32>> + Send + 'static,
    ) -> Outcome<u32> {
        in_flight.join_or_start(IdempotencyKey::of(&["k"]), |slot| {
            tokio_util::task::TaskTracker::new().spawn(slot.run(work));
        })
    }

    #[tokio::test]
    async fn a_repeat_waits_for_the_first_and_starts_nothing() {
        let in_flight = in_flight();
        let (finish, finished) = oneshot::channel();
        let first = start(&in_flight, async { Ok(finished.await.unwrap()) });
        let repeat = start(&in_flight, async { panic!("started twice") });
        finish.send(7).unwrap();
        assert_eq!((first.wait().await.unwrap(), repeat.wait().await.unwrap()), (7, 7));
        let later = start(&in_flight, async { Ok(8) });
        assert_eq!(later.wait().await.unwrap(), 8, "what has ended is not joined");
    }

    #[tokio::test]
    async fn work_goes_on_when_everyone_has_gone() {
        let in_flight = in_flight();
        let (finish, finished) = oneshot::channel();
        let (done, was_done) = oneshot::channel();
        drop(start(&in_flight, async {
            finished.await.unwrap();
            done.send(()).unwrap();
            Ok(7)
        }));
        finish.send(()).unwrap();
        was_done.await.unwrap();
    }

    #[tokio::test]
    async fn a_panic_frees_the_key() {
        let in_flight = in_flight();
        let first = start(&in_flight, async { panic!("on purpose") });
        assert!(first.wait().await.is_err());
        assert_eq!(start(&in_flight, async { Ok(1) }).wait().await.unwrap(), 1);
    }
}
