//! The service's own credentials. Google's library obtains their tokens in a task of its own, which waits
//! for a request for as long as it hangs, and all calls with it. So they are built anew beside those that
//! wait, and those that lose end with their requests.

use std::{
    fmt,
    future::ready,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use google_cloud_auth::{
    credentials::{
        CacheableResource, Credentials as GoogleCredentials, CredentialsProvider, EntityTag,
    },
    errors::CredentialsError,
};
use http::{Extensions, HeaderMap};
use server_core::{Error, Result};
use tokio::{
    runtime::{self, Handle, Runtime},
    select,
    sync::watch,
    time::Instant,
};

use super::{RENEW_AFTER, headers_of, no_token};
use crate::upstream::obtain;

/// How long a failure that may pass is remembered after the fetch began, so that calls do not repeat it
/// one by one.
const FAILURE_PAUSE: Duration = Duration::from_secs(1);

/// The service's own credentials, with a token in memory or a fetch under way for all calls.
pub(super) struct Own {
    build: Box<dyn Fn() -> Result<GoogleCredentials> + Send + Sync>,
    /// The service's runtime. A caller's may be that of an instance, and end with it.
    runtime: Handle,
    /// The credentials that these are obtained with, if they are not Google's own.
    source: Option<Arc<Self>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The instance whose tokens are in use; none during a fetch and after one that failed.
    current: Option<Arc<Instance>>,
    fetch: Option<watch::Receiver<Option<Outcome>>>,
    failed: Option<Failed>,
}

struct Failed {
    error: Error,
    /// Until when it is remembered.
    until: Instant,
}

type Outcome = Result<HeaderMap>;
/// What an instance answers for good: `Err` if its library gave up. An outer error may pass.
type Answer = Result<HeaderMap>;

impl Own {
    /// Starts to obtain the first token.
    ///
    /// # Errors
    /// That of `build`.
    pub(super) fn new(
        build: impl Fn() -> Result<GoogleCredentials> + Send + Sync + 'static,
    ) -> Result<Self> {
        let own = Self {
            build: Box::new(build),
            runtime: Handle::current(),
            source: None,
            state: Mutex::default(),
        };
        own.state().current = Some(own.instance()?);
        Ok(own)
    }

    /// The same, whose requests are signed with `source`.
    pub(super) fn obtained_with(self, source: Arc<Self>) -> Self {
        Self { source: Some(source), ..self }
    }

    /// The headers that sign a call.
    ///
    /// # Errors
    /// `Unavailable` when no token could be obtained, or when the last fetch failed a moment ago.
    pub(super) async fn headers(self: &Arc<Self>) -> Outcome {
        if let Some(headers) = self.in_memory().await {
            return Ok(headers);
        }
        let mut outcome = self.fetch()?;
        match outcome.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().unwrap_or_else(|| Err(lost())),
            Err(_) => Err(lost()),
        }
    }

    /// Google rejected a token: the next call obtains another, unless this one is recent.
    pub(super) fn renew(&self) {
        let mut state = self.state();
        if state.current.as_ref().is_some_and(|current| current.at.elapsed() >= RENEW_AFTER) {
            state.current = None;
        }
    }

    /// Credentials for Google's library that sign with these tokens.
    pub(super) fn credentials(self: &Arc<Self>) -> GoogleCredentials {
        Source(Arc::clone(self)).into()
    }

    async fn in_memory(&self) -> Option<HeaderMap> {
        let current = self.state().current.clone()?;
        let answer = select! {
            biased;
            answer = current.headers() => answer,
            () = ready(()) => return None,
        };
        if answer.is_err() {
            // The library repeats the request after ten seconds, or never.
            self.drop_current(&current);
        }
        answer.ok()
    }

    fn drop_current(&self, failed: &Arc<Instance>) {
        let mut state = self.state();
        if state.current.as_ref().is_some_and(|current| Arc::ptr_eq(current, failed)) {
            state.current = None;
        }
    }

    /// Joins the fetch that is under way, or starts one.
    fn fetch(self: &Arc<Self>) -> Result<watch::Receiver<Option<Outcome>>> {
        let mut state = self.state();
        // A sender that is gone without an outcome panicked.
        if let Some(fetch) = state.fetch.clone().filter(|fetch| fetch.has_changed().is_ok()) {
            return Ok(fetch);
        }
        if let Some(failed) = state.failed.as_ref().filter(|failed| Instant::now() < failed.until) {
            return Err(failed.error.clone());
        }
        let (sender, outcome) = watch::channel(None);
        state.fetch = Some(outcome.clone());
        let current = state.current.take();
        drop(state);
        self.start(current, sender);
        Ok(outcome)
    }

    /// The token is for all calls, so the fetch does not end with its first caller. Nothing is lost if
    /// shutdown ends it, so shutdown does not wait for it.
    fn start(
        self: &Arc<Self>,
        current: Option<Arc<Instance>>,
        sender: watch::Sender<Option<Outcome>>,
    ) {
        let own = Arc::clone(self);
        self.runtime.spawn(async move {
            let began = Instant::now();
            let outcome = own.obtain(current).await;
            sender.send_replace(Some(own.finish(began, outcome)));
        });
    }

    /// The first instance with an answer: `current`, which waits for its request already, or a new one.
    async fn obtain(&self, mut current: Option<Arc<Instance>>) -> Result<(Arc<Instance>, Answer)> {
        obtain(|_| {
            let instance = current.take().map_or_else(|| self.instance(), Ok);
            async move {
                let instance = instance?;
                let answer = instance.answer().await?;
                Ok((instance, answer))
            }
        })
        .await
    }

    fn finish(&self, began: Instant, outcome: Result<(Arc<Instance>, Answer)>) -> Outcome {
        let (outcome, current, pause) = match outcome {
            Ok((instance, Ok(headers))) => (Ok(headers), Some(instance), Duration::ZERO),
            Ok((_, Err(error))) => {
                // The token that it was asked with may have been rejected.
                if let Some(source) = &self.source {
                    source.renew();
                }
                (Err(error), None, RENEW_AFTER)
            }
            Err(error) => (Err(error), None, FAILURE_PAUSE),
        };
        let mut state = self.state();
        state.fetch = None;
        state.current = current;
        state.failed = outcome
            .as_ref()
            .err()
            .map(|error| Failed { error: error.clone(), until: began + pause });
        outcome
    }

    fn instance(&self) -> Result<Arc<Instance>> {
        Instance::start(&*self.build).map(Arc::new)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What other credentials are obtained with.
struct Source(Arc<Own>);

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source")
    }
}

impl CredentialsProvider for Source {
    async fn headers(
        &self,
        _: Extensions,
    ) -> Result<CacheableResource<HeaderMap>, CredentialsError> {
        let headers = self.0.headers().await;
        let data = headers.map_err(|error| CredentialsError::from_source(true, error))?;
        Ok(CacheableResource::New { entity_tag: EntityTag::new(), data })
    }

    async fn universe_domain(&self) -> Option<String> {
        // There is an instance once there is a token.
        self.0.headers().await.ok()?;
        let current = self.0.state().current.clone()?;
        current.credentials.universe_domain().await
    }
}

/// Credentials with a runtime of their own, on which Google's library starts its tasks.
struct Instance {
    credentials: GoogleCredentials,
    /// When it was built.
    at: Instant,
    _tasks: Tasks,
}

impl Instance {
    fn start(build: impl Fn() -> Result<GoogleCredentials>) -> Result<Self> {
        let tasks = Tasks::new()?;
        let credentials = tasks.within(build)?;
        Ok(Self { credentials, at: Instant::now(), _tasks: tasks })
    }

    async fn headers(&self) -> Result<HeaderMap, CredentialsError> {
        headers_of(&self.credentials).await
    }

    /// # Errors
    /// `Unavailable` for a failure after which the library will repeat its request.
    async fn answer(&self) -> Result<Answer> {
        match self.headers().await {
            Ok(headers) => Ok(Ok(headers)),
            Err(error) if error.is_transient() => Err(no_token(error, false)),
            Err(error) => Ok(Err(no_token(error, false))),
        }
    }
}

/// A runtime whose tasks end when it is dropped, with the requests that they wait for.
struct Tasks(Option<Runtime>);

impl Tasks {
    fn new() -> Result<Self> {
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("google-token")
            .enable_all()
            .build()
            .map_err(|error| {
                Error::unavailable("no thread can be started to obtain an access token from Google")
                    .with_source(error)
            })?;
        Ok(Self(Some(runtime)))
    }

    fn within<T>(&self, build: impl FnOnce() -> T) -> T {
        let _entered = self.0.as_ref().map(Runtime::enter);
        build()
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        // Without waiting, as dropping the runtime would: not even a lookup that hangs holds anything up.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// The fetch panicked, or the service is shutting down.
fn lost() -> Error {
    Error::unavailable("the access token could not be obtained")
}

#[cfg(test)]
mod tests;
