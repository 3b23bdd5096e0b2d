//! Fetching a token: a task of its own, whose outcome every call of the identity waits for.

use std::{
    future::pending,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use server_core::{Error, Result};
use tokio::{
    pin, select,
    sync::watch,
    time::{Instant, sleep, sleep_until, timeout, timeout_at},
};

use super::{Entry, Lease, LeaseSource};
use crate::context::{Context, Deadline};

/// How long a fetch may take.
const LONGEST_FETCH: Duration = Duration::from_secs(10);
/// How long a fetch may take before others are tried beside it.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long each of these may take, and the pause between two.
const SECOND_FETCH: Duration = Duration::from_millis(900);
const SECOND_PAUSE: Duration = Duration::from_millis(300);

type Outcome<V> = Result<Arc<Lease<V>>>;

/// The fetch that is under way for an identity, and the last failure.
pub(super) struct Fetching<V>(Mutex<State<V>>);

struct State<V> {
    running: Option<watch::Receiver<Option<Outcome<V>>>>,
    /// When the fetch that failed last had begun: one that took longer than the pause is repeated at once.
    failed: Option<(Instant, Error)>,
}

impl<V> Default for Fetching<V> {
    fn default() -> Self {
        Self(Mutex::new(State { running: None, failed: None }))
    }
}

/// The outcome of a fetch.
pub(super) enum Fetched<V> {
    Now(Arc<Lease<V>>),
    Later(watch::Receiver<Option<Outcome<V>>>),
}

impl<V> Fetched<V> {
    /// Waits for the outcome.
    pub(super) async fn wait(self) -> Outcome<V> {
        let mut outcome = match self {
            Self::Now(token) => return Ok(token),
            Self::Later(outcome) => outcome,
        };
        match outcome.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().unwrap_or_else(|| Err(lost())),
            Err(_) => Err(lost()),
        }
    }
}

/// The fetch panicked, or the service is shutting down.
fn lost() -> Error {
    Error::unavailable("the access token could not be obtained")
}

impl<V: Send + Sync + 'static> Entry<V> {
    /// Joins the fetch that is under way, or starts one.
    ///
    /// # Errors
    /// That of the last fetch, if it failed and had begun less than `pause` ago.
    pub(super) fn fetch<S: LeaseSource<Value = V>>(
        self: &Arc<Self>,
        source: &Arc<S>,
        cx: &Context,
        pause: Duration,
    ) -> Result<Fetched<V>> {
        let mut state = self.fetching.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A sender that is gone without an outcome panicked.
        if let Some(running) = state.running.clone().filter(|running| running.has_changed().is_ok())
        {
            return Ok(Fetched::Later(running));
        }
        let now = Instant::now();
        if let Some(token) = self.valid().filter(|token| now < token.renew_at) {
            return Ok(Fetched::Now(token));
        }
        if let Some((at, error)) = &state.failed
            && at.elapsed() < pause
        {
            return Err(error.clone());
        }
        let (sender, outcome) = watch::channel(None);
        state.running = Some(outcome.clone());
        drop(state);
        self.start(Arc::clone(source), cx, sender);
        Ok(Fetched::Later(outcome))
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "nothing is lost if shutdown ends it, so shutdown does not wait for it"
    )]
    fn start<S: LeaseSource<Value = V>>(
        self: &Arc<Self>,
        source: Arc<S>,
        cx: &Context,
        sender: watch::Sender<Option<Outcome<V>>>,
    ) {
        // The token is for all calls of the identity, so the fetch does not end with its first caller.
        let cx = cx.with_waiting(None);
        let entry = Arc::clone(self);
        tokio::spawn(async move {
            let began = Instant::now();
            let outcome = if source.is_repeated() {
                obtain(|limit| fetch(&*source, &cx, limit)).await
            } else {
                within(LONGEST_FETCH, fetch(&*source, &cx, LONGEST_FETCH)).await
            };
            drop((source, cx));
            entry.finish(began, &outcome);
            sender.send_replace(Some(outcome.clone()));
            drop(sender);
            if let Ok(token) = outcome {
                entry.drop_when_expired(token).await;
            }
        });
    }

    fn finish(&self, began: Instant, outcome: &Outcome<V>) {
        let mut state = self.fetching.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.running = None;
        match outcome {
            Ok(token) => {
                self.current.store(Some(Arc::clone(token)));
                state.failed = None;
            }
            Err(error) => state.failed = Some((began, error.clone())),
        }
    }

    /// Expired secrets leave memory. An entry that was evicted from the cache is dropped at once.
    async fn drop_when_expired(self: Arc<Self>, token: Arc<Lease<V>>) {
        let (entry, expires_at) = (Arc::downgrade(&self), token.expires_at);
        let token = {
            let weak = Arc::downgrade(&token);
            drop((self, token));
            weak
        };
        sleep_until(expires_at).await;
        if let (Some(entry), Some(token)) = (entry.upgrade(), token.upgrade()) {
            entry.drop_lease(&token);
        }
    }
}

/// Obtains a token, or what comes with it, from an endpoint that may hang.
///
/// `fetch` is given the time that it may take, and is dropped after that. If the first takes longer than a
/// second, others are tried beside it, one at a time: an endpoint that hung may never answer what it was
/// asked before it recovered. [`TokenCache`](super::TokenCache) does so for every [`TokenSource`](super::super::TokenSource); this is
/// for tokens that a vendor's own library fetches.
///
/// # Errors
/// The first fetch's error, a later one's if it is definitive, or `Unavailable` after some ten seconds.
pub async fn obtain<T, F>(mut fetch: impl FnMut(Duration) -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let until = Instant::now() + LONGEST_FETCH;
    let first = timeout_at(until, fetch(LONGEST_FETCH));
    let first = async {
        let outcome = first.await;
        // Another that is under way at that moment may still obtain one.
        if let Ok(outcome) = outcome { outcome } else { pending().await }
    };
    let second = async {
        sleep(PATIENCE).await;
        while Instant::now() < until {
            match within(SECOND_FETCH, fetch(SECOND_FETCH)).await {
                Err(error) if error.kind().is_transient() => {}
                outcome => return outcome,
            }
            sleep_until(until.min(Instant::now() + SECOND_PAUSE)).await;
        }
        Err(timed_out())
    };
    pin!(first, second);
    select! {
        outcome = first => outcome,
        outcome = second => outcome,
    }
}

async fn within<T>(limit: Duration, fetch: impl Future<Output = Result<T>>) -> Result<T> {
    timeout(limit, fetch).await.unwrap_or_else(|_| Err(timed_out()))
}

async fn fetch<S: LeaseSource>(source: &S, cx: &Context, limit: Duration) -> Outcome<S::Value> {
    let cx = cx.with_deadline(Deadline::after(limit));
    source.lease(&cx).await.map(Arc::new)
}

fn timed_out() -> Error {
    Error::unavailable("timed out obtaining an access token")
}
