//! Work in progress, by key: a repeat waits for its result instead of starting again.

use std::{
    collections::{HashMap, hash_map},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use server_core::{Error, Result};
use tokio::sync::watch;

use super::{key::JoinKey, metrics::Metrics, task_identity::TaskIdentity, turn::Turn};
use crate::context::{IdempotencyKey, Role, Verb, Waiter, Waiting};

/// The result of work, once there is one.
type Completion<T> = Option<Result<T>>;

/// Work in progress.
struct InProgress<T> {
    role: Role,
    identity: TaskIdentity,
    completion: watch::Receiver<Completion<T>>,
    waiting: Waiting,
}

/// The work of one caller's key: several only if different tasks have it, or the caller has several roles.
struct UnderKey<T> {
    works: Vec<InProgress<T>>,
    turn: Turn,
}

impl<T> Default for UnderKey<T> {
    fn default() -> Self {
        Self { works: Vec::new(), turn: Turn::default() }
    }
}

type Table<T> = HashMap<u128, UnderKey<T>>;

/// The work in progress of one verb.
pub(super) struct InFlight<T> {
    table: Arc<Mutex<Table<T>>>,
    metrics: Arc<Metrics>,
    verb: Verb,
}

/// The future result of work in progress. Dropping it does not cancel the work.
pub(super) struct Outcome<T> {
    completion: watch::Receiver<Completion<T>>,
    _waiter: Waiter,
}

/// The table's entry for work in progress. The work owns it, so that it is removed even after a panic.
pub(super) struct Entry<T> {
    key: JoinKey,
    identity: TaskIdentity,
    job: IdempotencyKey,
    table: Arc<Mutex<Table<T>>>,
    metrics: Arc<Metrics>,
    verb: Verb,
    waiting: Waiting,
    turn: Option<Turn>,
    completion: watch::Sender<Completion<T>>,
}

fn lock<T>(table: &Mutex<Table<T>>) -> MutexGuard<'_, Table<T>> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The one of `works` for the task of `identity` in `role`, if there is any.
///
/// # Errors
/// The identities that have to be hashed before that is known.
fn find<'t, T>(
    works: &'t [InProgress<T>],
    role: Role,
    identity: &TaskIdentity,
) -> Result<Option<&'t InProgress<T>>, Vec<TaskIdentity>> {
    let mut unknown = Vec::new();
    for running in works.iter().filter(|running| running.role == role) {
        match running.identity.is_same(identity) {
            Some(true) => return Ok(Some(running)),
            Some(false) => {}
            None => unknown.push(running.identity.clone()),
        }
    }
    if unknown.is_empty() { Ok(None) } else { Err(unknown) }
}

impl<T: Clone> InFlight<T> {
    pub(super) fn new(verb: Verb, metrics: Arc<Metrics>) -> Self {
        Self { table: Arc::default(), metrics, verb }
    }

    /// Joins the work with this key and `identity`, or calls `start` with a new entry to run it in. `job`
    /// identifies it in the log.
    pub(super) fn join_or_start(
        &self,
        key: JoinKey,
        identity: TaskIdentity,
        job: IdempotencyKey,
        start: impl FnOnce(Entry<T>),
    ) -> Outcome<T> {
        let mut table = lock(&self.table);
        loop {
            let works = table.get(&key.of_caller).map(|it| it.works.as_slice());
            let unknown = match find(works.unwrap_or_default(), key.role, &identity) {
                Ok(Some(running)) => {
                    self.metrics.joined.inc();
                    return running.outcome();
                }
                Ok(None) => break,
                Err(unknown) => unknown,
            };
            // Other calls need the table meanwhile. It may have changed afterwards.
            drop(table);
            unknown.iter().chain([&identity]).for_each(TaskIdentity::hash);
            table = lock(&self.table);
        }
        let (completion, receiver) = watch::channel(None);
        let waiting = Waiting::default();
        let (of_table, of_entry) = (identity.clone(), waiting.clone());
        let role = key.role;
        let running = InProgress { role, identity: of_table, completion: receiver, waiting };
        let outcome = running.outcome();
        let under_key = table.entry(key.of_caller).or_default();
        // Whoever looks for the job of a key finds the first one's.
        let turn = matches!(self.verb, Verb::Create).then(|| under_key.turn.clone());
        under_key.works.push(running);
        drop(table);
        let (table, metrics) = (Arc::clone(&self.table), Arc::clone(&self.metrics));
        let (verb, waiting) = (self.verb, of_entry);
        start(Entry { key, identity, job, table, metrics, verb, waiting, turn, completion });
        outcome
    }
}

impl<T> InProgress<T> {
    fn outcome(&self) -> Outcome<T> {
        Outcome { completion: self.completion.clone(), _waiter: self.waiting.join() }
    }
}

impl<T: Clone> Outcome<T> {
    /// Waits for the result.
    ///
    /// # Errors
    /// The work's own, or `Internal` if it was cancelled or panicked.
    pub(super) async fn wait(mut self) -> Result<T> {
        match self.completion.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(result)) => result.clone(),
            Ok(None) | Err(_) => Err(Error::internal("the operation was cancelled")),
        }
    }
}

impl<T> Entry<T> {
    /// The callers that wait for the result.
    pub(super) fn waiting(&self) -> Waiting {
        self.waiting.clone()
    }

    /// What the work has to wait for, if anything.
    pub(super) fn turn(&mut self) -> Option<Turn> {
        self.turn.take()
    }

    /// Runs `work` and sends its result to all waiting callers.
    pub(super) async fn run(self, work: impl Future<Output = Result<T>>) {
        let result = work.await;
        self.leave_table();
        if self.waiting.is_abandoned() {
            self.note_abandoned(&result);
        }
        self.completion.send_replace(Some(result));
    }

    fn leave_table(&self) {
        let mut table = lock(&self.table);
        let hash_map::Entry::Occupied(mut under_key) = table.entry(self.key.of_caller) else {
            return;
        };
        let works = &mut under_key.get_mut().works;
        works.retain(|running| !running.identity.is_own(&self.identity));
        if works.is_empty() {
            under_key.remove();
        }
    }

    fn note_abandoned(&self, result: &Result<T>) {
        let (job, verb) = (self.job.short(), self.verb.name());
        match result {
            Ok(_) => {
                self.metrics.abandoned.inc();
                tracing::info!(job, verb, "finished after its caller had disconnected");
            }
            Err(error) => tracing::info!(
                job,
                verb,
                %error,
                cause = error.chain(),
                "failed after its caller had disconnected"
            ),
        }
    }
}

impl<T> Drop for Entry<T> {
    fn drop(&mut self) {
        // Without a result the work panicked. Otherwise `run` has removed the entry.
        if self.completion.borrow().is_none() {
            self.leave_table();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use prometheus_client::{metrics::counter::Counter, registry::Registry};
    use prost::Message as _;
    use serde_json::json;
    use server_core::digest::KeyedHash;
    use tokio::sync::oneshot;

    use super::*;
    use crate::wire::{Encoded, Submitted, from_proto_json_object};

    fn in_flight() -> InFlight<u32> {
        let metrics = Metrics::register(&mut Registry::default(), Counter::default());
        InFlight::new(Verb::Create, Arc::new(metrics))
    }

    fn key() -> JoinKey {
        JoinKey { of_caller: 7, role: Role::User }
    }

    /// Of a request for a task of the type `task_type`.
    fn identity(task_type: &str) -> TaskIdentity {
        let template = json!({"template": {"type": task_type}});
        let request = Box::new(from_proto_json_object(&template).unwrap());
        let encoded = Encoded::Request(request.encode_to_vec().into());
        TaskIdentity::of(&Submitted { request, encoded }, &KEYED)
    }

    static KEYED: LazyLock<KeyedHash> = LazyLock::new(KeyedHash::default);

    fn start(
        in_flight: &InFlight<u32>,
        work: impl Future<Output = Result<u32>> + Send + 'static,
    ) -> Outcome<u32> {
        start_as(identity("a"), in_flight, work)
    }

    fn start_as(
        identity: TaskIdentity,
        in_flight: &InFlight<u32>,
        work: impl Future<Output = Result<u32>> + Send + 'static,
    ) -> Outcome<u32> {
        let job = IdempotencyKey::of_attempt("k");
        in_flight.join_or_start(key(), identity, job, |entry| {
            tokio_util::task::TaskTracker::new().spawn(entry.run(work));
        })
    }

    #[tokio::test]
    async fn repeats_join_work_in_progress() {
        let in_flight = in_flight();
        let (finish, finished) = oneshot::channel();
        let first = start(&in_flight, async { Ok(finished.await.unwrap()) });
        let repeat = start(&in_flight, async { panic!("started twice") });
        finish.send(7).unwrap();
        assert_eq!((first.wait().await.unwrap(), repeat.wait().await.unwrap()), (7, 7));
        let later = start(&in_flight, async { Ok(8) });
        assert_eq!(later.wait().await.unwrap(), 8, "finished work is not joined");
    }

    #[tokio::test]
    async fn another_task_with_the_same_key_is_not_joined() {
        let in_flight = in_flight();
        let (finish, finished) = oneshot::channel();
        let first = start(&in_flight, async { Ok(finished.await.unwrap()) });
        let (end, ended) = oneshot::channel();
        let other = start_as(identity("b"), &in_flight, async { Ok(ended.await.unwrap()) });
        end.send(8).unwrap();
        assert_eq!(other.wait().await.unwrap(), 8);
        let repeat = start(&in_flight, async { panic!("started twice") });
        finish.send(7).unwrap();
        assert_eq!((first.wait().await.unwrap(), repeat.wait().await.unwrap()), (7, 7));
        assert!(lock(&in_flight.table).is_empty());
    }

    #[tokio::test]
    async fn work_continues_without_callers() {
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
    async fn work_sees_whether_callers_wait() {
        let in_flight = in_flight();
        let (sender, receiver) = oneshot::channel();
        let job = IdempotencyKey::of_attempt("k");
        let outcome = in_flight.join_or_start(key(), identity("a"), job, |entry| {
            assert!(sender.send(entry.waiting()).is_ok());
            tokio_util::task::TaskTracker::new().spawn(entry.run(std::future::pending()));
        });
        let waiting = receiver.await.unwrap();
        assert!(!waiting.is_abandoned());
        drop(outcome);
        assert!(waiting.is_abandoned());
        let _repeat = start(&in_flight, async { panic!("started twice") });
        assert!(!waiting.is_abandoned(), "a repeat waits for the same work");
    }

    #[tokio::test]
    async fn panics_release_the_key() {
        let in_flight = in_flight();
        let first = start(&in_flight, async { panic!("on purpose") });
        assert!(first.wait().await.is_err());
        assert_eq!(start(&in_flight, async { Ok(1) }).wait().await.unwrap(), 1);
    }
}
