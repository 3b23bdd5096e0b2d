//! Keeps access tokens until shortly before they expire; fetches one at a time for each identity.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use http::{HeaderMap, HeaderValue, header};
use moka::{policy::EvictionPolicy, sync::Cache};
use secrecy::SecretString;
use server_core::{Error, Result, digest::Fingerprint};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

use super::credentials::{Credentials, bearer};
use crate::context::Context;

/// A token younger than this before its end is renewed, while it still serves.
const RENEW_BEFORE: Duration = Duration::from_secs(300);
/// How long a failed fetch is answered from memory, so that waiting calls do not repeat it one by one.
const FAILURE_PAUSE: Duration = Duration::from_secs(1);
/// How long a renewal may take, and how long after a failed one the next is tried: there is a token.
const RENEWAL_TIMEOUT: Duration = Duration::from_secs(2);
const RENEWAL_PAUSE: Duration = Duration::from_secs(10);
/// How long a token is kept whatever the vendor says of it, once a refused one was dropped: who refuses
/// every token would otherwise have each call fetch one.
const REFUSAL_PAUSE: Duration = Duration::from_secs(30);
/// The longest that an issuer's word on a token's life is believed.
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 3600);
/// How many identities are kept apart; the least recently used goes first.
const MAX_IDENTITIES: u64 = 10_000;

/// An access token.
#[derive(Debug)]
#[non_exhaustive]
#[must_use]
pub struct Token {
    /// The token itself.
    pub value: SecretString,
    /// How long it is valid, from now.
    pub lifetime: Duration,
}

impl Token {
    /// The token `value`, valid for `lifetime` from now.
    pub fn new(value: impl Into<SecretString>, lifetime: Duration) -> Self {
        Self { value: value.into(), lifetime }
    }
}

/// Gets access tokens from wherever they are issued.
pub trait TokenSource: Send + Sync + 'static {
    /// The identity that a call is made as: for example of a token URL, a client id and its secret.
    /// Calls of one identity share a token.
    ///
    /// # Errors
    /// Whatever kept it from finding out: a missing secret, for example.
    fn identity(&self, cx: &Context) -> impl Future<Output = Result<Fingerprint>> + Send;

    /// A new token.
    ///
    /// # Errors
    /// Whatever kept it from getting one.
    fn fetch(&self, cx: &Context) -> impl Future<Output = Result<Token>> + Send;
}

/// Keeps access tokens, one for each identity. Cloning is cheap.
#[derive(Clone)]
pub struct TokenCache(Cache<Fingerprint, Arc<Kept>>);

/// [`Credentials`] that take the tokens of a source from a cache.
struct CachedTokens<S> {
    cache: TokenCache,
    source: S,
}

/// What is kept for one identity.
#[derive(Default)]
struct Kept {
    current: ArcSwapOption<Cached>,
    /// When a token was last dropped because the vendor refused it.
    dropped_at: ArcSwapOption<Instant>,
    fetching: Mutex<Option<(Instant, Error)>>,
}

struct Cached {
    header: HeaderValue,
    expires_at: Instant,
    renew_at: Instant,
}

impl Default for TokenCache {
    fn default() -> Self {
        let kept =
            Cache::builder().max_capacity(MAX_IDENTITIES).eviction_policy(EvictionPolicy::lru());
        Self(kept.build())
    }
}

impl TokenCache {
    /// [`Credentials`] with the tokens of `source`, fetched when there is none for its identity.
    ///
    /// A source may be made for one call, with what a task's author chose.
    #[must_use]
    pub fn of<S: TokenSource>(&self, source: S) -> impl Credentials + use<S> {
        CachedTokens { cache: self.clone(), source }
    }
}

impl<S: TokenSource> CachedTokens<S> {
    async fn kept(&self, cx: &Context) -> Result<Arc<Kept>> {
        Ok(self.cache.0.get_with(self.source.identity(cx).await?, Arc::default))
    }
}

impl Kept {
    fn valid(&self) -> Option<Arc<Cached>> {
        self.current.load_full().filter(|cached| Instant::now() < cached.expires_at)
    }

    async fn header(&self, source: &impl TokenSource, cx: &Context) -> Result<HeaderValue> {
        let Some(cached) = self.valid() else {
            return self.wait_for_fetch(source, cx).await;
        };
        if cached.renew_at <= Instant::now() {
            // One call renews; the others go on with the token there is, as does this one if the
            // renewal fails.
            if let Ok(mut failed) = self.fetching.try_lock()
                && failed.as_ref().is_none_or(|(at, _)| at.elapsed() >= RENEWAL_PAUSE)
            {
                let renewed = timeout(RENEWAL_TIMEOUT, self.fetch(source, cx, &mut failed)).await;
                return Ok(match renewed {
                    Ok(renewed) => renewed.unwrap_or_else(|_| cached.header.clone()),
                    Err(_) => {
                        let late = Error::unavailable("no access token was had in time");
                        *failed = Some((Instant::now(), late));
                        cached.header.clone()
                    }
                });
            }
        }
        Ok(cached.header.clone())
    }

    /// Drops the token that `refused` has, but none that another call fetched since.
    fn reject(&self, refused: Option<&HeaderValue>) {
        let Some(current) = self.current.load_full() else {
            return;
        };
        let dropped_at = self.dropped_at.load();
        let lately = dropped_at.as_ref().is_some_and(|at| at.elapsed() < REFUSAL_PAUSE);
        if Some(&current.header) == refused && !lately {
            self.dropped_at.store(Some(Arc::new(Instant::now())));
            self.current.compare_and_swap(&Some(current), None);
        }
    }

    async fn wait_for_fetch(&self, source: &impl TokenSource, cx: &Context) -> Result<HeaderValue> {
        let mut failed = self.fetching.lock().await;
        match self.valid() {
            Some(cached) => Ok(cached.header.clone()),
            None => self.fetch(source, cx, &mut failed).await,
        }
    }

    async fn fetch(
        &self,
        source: &impl TokenSource,
        cx: &Context,
        failed: &mut Option<(Instant, Error)>,
    ) -> Result<HeaderValue> {
        if let Some((at, error)) = failed
            && at.elapsed() < FAILURE_PAUSE
        {
            return Err(error.clone());
        }
        // Its end is everyone's, whoever waits for the call that came first.
        let cx = cx.with_waiting(None);
        match source.fetch(&cx).await.and_then(|token| Cached::new(&token)) {
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
        let lifetime = token.lifetime.min(LONGEST_LIFE);
        let early = RENEW_BEFORE.min(lifetime / 5);
        Ok(Self {
            header: bearer(&token.value)?,
            expires_at: now + lifetime,
            renew_at: now + lifetime - early,
        })
    }
}

impl<S: TokenSource> Credentials for CachedTokens<S> {
    async fn headers(&self, cx: &Context) -> Result<HeaderMap> {
        let header = self.kept(cx).await?.header(&self.source, cx).await?;
        Ok(HeaderMap::from_iter([(header::AUTHORIZATION, header)]))
    }

    async fn rejected(&self, cx: &Context, headers: &HeaderMap) {
        if let Ok(kept) = self.kept(cx).await {
            kept.reject(headers.get(header::AUTHORIZATION));
        }
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests;
