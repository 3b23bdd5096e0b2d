//! Keeps an access token until shortly before it expires; fetches one at a time.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use http::{HeaderMap, HeaderValue, header};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::{sync::Mutex, time::Instant};

use super::credentials::{Credentials, bearer};
use crate::{
    context::Context,
    error::{Error, Result},
};

/// A token younger than this before its end is renewed, while it still serves.
const RENEW_BEFORE: Duration = Duration::from_secs(300);
/// How long a failed fetch is answered from memory, so that waiting calls do not repeat it one by one.
const FAILURE_PAUSE: Duration = Duration::from_secs(1);

/// An access token.
#[derive(Debug)]
pub struct Token {
    /// The token itself.
    pub value: SecretString,
    /// How long it lasts from now.
    pub lifetime: Duration,
}

/// Gets access tokens from wherever they are issued.
pub trait TokenSource: Send + Sync + 'static {
    /// A new token.
    ///
    /// # Errors
    /// Whatever kept it from getting one.
    fn fetch(&self, cx: &Context) -> impl Future<Output = Result<Token>> + Send;
}

/// [`Credentials`] that keep one token of a [`TokenSource`].
pub struct TokenCache<S> {
    source: S,
    current: ArcSwapOption<Cached>,
    fetching: Mutex<Option<(Instant, Error)>>,
}

struct Cached {
    header: HeaderValue,
    expires_at: Instant,
    renew_at: Instant,
}

impl<S: TokenSource> TokenCache<S> {
    /// An empty cache over `source`.
    pub fn new(source: S) -> Self {
        Self { source, current: ArcSwapOption::empty(), fetching: Mutex::new(None) }
    }

    fn valid(&self) -> Option<Arc<Cached>> {
        self.current.load_full().filter(|cached| Instant::now() < cached.expires_at)
    }

    async fn header(&self, cx: &Context) -> Result<HeaderValue> {
        let Some(cached) = self.valid() else {
            return self.wait_for_fetch(cx).await;
        };
        if cached.renew_at <= Instant::now() {
            // One call renews; the others go on with the token there is, as does this one if the
            // renewal fails.
            if let Ok(mut failed) = self.fetching.try_lock() {
                let renewed = self.fetch(cx, &mut failed).await;
                return Ok(renewed.unwrap_or_else(|_| cached.header.clone()));
            }
        }
        Ok(cached.header.clone())
    }

    async fn wait_for_fetch(&self, cx: &Context) -> Result<HeaderValue> {
        let mut failed = self.fetching.lock().await;
        match self.valid() {
            Some(cached) => Ok(cached.header.clone()),
            None => self.fetch(cx, &mut failed).await,
        }
    }

    async fn fetch(
        &self,
        cx: &Context,
        failed: &mut Option<(Instant, Error)>,
    ) -> Result<HeaderValue> {
        if let Some((at, error)) = failed
            && at.elapsed() < FAILURE_PAUSE
        {
            return Err(error.clone());
        }
        match self.source.fetch(cx).await.and_then(|token| Cached::new(&token)) {
            Ok(cached) => {
                let header = cached.header.clone();
                self.current.store(Some(Arc::new(cached)));
                *failed = None;
                Ok(header)
            }
            Err(error) => {
                *failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }
}

impl Cached {
    fn new(token: &Token) -> Result<Self> {
        let now = Instant::now();
        // A short token is renewed in the last fifth of its life.
        let early = RENEW_BEFORE.min(token.lifetime / 5);
        Ok(Self {
            header: bearer(token.value.expose_secret())?,
            expires_at: now + token.lifetime,
            renew_at: now + token.lifetime - early,
        })
    }
}

impl<S: TokenSource> Credentials for TokenCache<S> {
    async fn headers(&self, cx: &Context) -> Result<HeaderMap> {
        Ok(HeaderMap::from_iter([(header::AUTHORIZATION, self.header(cx).await?)]))
    }

    async fn rejected(&self, _: &Context) {
        self.current.store(None);
    }
}
