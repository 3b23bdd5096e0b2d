//! A cache of access tokens that renews them before they expire, with one fetch at a time per identity.

mod fetch;

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use http::{HeaderMap, HeaderValue, header};
use moka::{policy::EvictionPolicy, sync::Cache};
use server_core::{Kind, Result, digest::Fingerprint};
use tokio::time::Instant;

use self::fetch::Fetching;
pub use self::fetch::obtain;
use super::{
    credentials::{Credentials, bearer},
    token::Token,
};
use crate::context::Context;

/// How long before its expiry a token is renewed, while it stays in use.
const RENEW_BEFORE: Duration = Duration::from_secs(300);
/// How long a failed fetch is remembered while there is no token, so that calls do not repeat it one by one.
const FAILURE_PAUSE: Duration = Duration::from_secs(1);
/// The pause after a failed renewal; meanwhile the current token is used.
const RENEWAL_PAUSE: Duration = Duration::from_secs(10);
/// How long after a refused token was dropped the next one is kept even if refused: otherwise a vendor that
/// refuses every token would cause a fetch for each call.
const REFUSAL_PAUSE: Duration = Duration::from_secs(30);
/// The upper bound of a token's lifetime, whatever the issuer says.
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 3600);
/// The most identities in the cache; the least recently used one is evicted first.
const MAX_IDENTITIES: u64 = 10_000;
/// How long a token stays in memory after its last use.
const IDLE: Duration = Duration::from_secs(3600);

/// Obtains access tokens from an issuer.
pub trait TokenSource: Send + Sync + 'static {
    /// The identity of a call, for example of its token URL, client id and client secret. Calls of one
    /// identity share a token.
    ///
    /// # Errors
    /// The reason why it cannot be determined, for example a missing secret.
    fn identity(&self, cx: &Context) -> impl Future<Output = Result<Fingerprint>> + Send;

    /// Obtains a new token. Runs in a task of its own, which outlives the call that started it, and is
    /// started a second time while it takes longer than a second: the endpoint may have recovered from a
    /// failure that the first request still waits for. So two may be under way at a time.
    ///
    /// # Errors
    /// The reason why none could be obtained.
    fn fetch(&self, cx: &Context) -> impl Future<Output = Result<Token>> + Send;
}

/// A cache of access tokens, one for each identity. Cloning is cheap.
#[derive(Clone)]
pub struct TokenCache(Cache<Fingerprint, Arc<Entry>>);

/// [`Credentials`] with the cached tokens of a source.
struct CachedTokens<S> {
    cache: TokenCache,
    source: Arc<S>,
}

/// The cache's entry for one identity.
#[derive(Default)]
struct Entry {
    current: ArcSwapOption<CachedToken>,
    /// When a token was last dropped because the vendor refused it.
    dropped_at: ArcSwapOption<Instant>,
    fetching: Fetching,
}

struct CachedToken {
    header: HeaderValue,
    expires_at: Instant,
    renew_at: Instant,
}

impl Default for TokenCache {
    fn default() -> Self {
        let cache = Cache::builder().max_capacity(MAX_IDENTITIES).time_to_idle(IDLE);
        Self(cache.eviction_policy(EvictionPolicy::lru()).build())
    }
}

impl TokenCache {
    /// [`Credentials`] with the tokens of `source`, fetched when the cache has none for its identity.
    ///
    /// A source may be made for a single call, with values chosen by the task's author.
    #[must_use]
    pub fn of<S: TokenSource>(&self, source: S) -> impl Credentials + use<S> {
        CachedTokens { cache: self.clone(), source: Arc::new(source) }
    }
}

impl<S: TokenSource> CachedTokens<S> {
    async fn entry(&self, cx: &Context) -> Result<Arc<Entry>> {
        Ok(self.cache.0.get_with(self.source.identity(cx).await?, Arc::default))
    }
}

impl Entry {
    fn valid(&self) -> Option<Arc<CachedToken>> {
        self.current.load_full().filter(|cached| Instant::now() < cached.expires_at)
    }

    async fn header<S: TokenSource>(
        self: &Arc<Self>,
        source: &Arc<S>,
        cx: &Context,
    ) -> Result<HeaderValue> {
        let Some(cached) = self.valid() else {
            let fetched = self.fetch(source, cx, FAILURE_PAUSE)?.wait().await?;
            return Ok(fetched.header.clone());
        };
        if cached.renew_at <= Instant::now() {
            // The current token is used until there is a new one.
            let _ = self.fetch(source, cx, RENEWAL_PAUSE);
        }
        Ok(cached.header.clone())
    }

    /// Drops the token in `refused`, unless another call has replaced it since.
    fn reject(&self, refused: Option<&HeaderValue>) {
        let Some(current) = self.current.load_full() else {
            return;
        };
        let dropped_at = self.dropped_at.load();
        let recently = dropped_at.as_ref().is_some_and(|at| at.elapsed() < REFUSAL_PAUSE);
        if Some(&current.header) == refused && !recently {
            self.dropped_at.store(Some(Arc::new(Instant::now())));
            self.drop_token(&current);
        }
    }

    fn drop_token(&self, token: &Arc<CachedToken>) {
        self.current.compare_and_swap(token, None);
    }
}

impl CachedToken {
    /// # Errors
    /// `Unavailable` when the token cannot be sent: the issuer may give a better one later.
    fn new(token: &Token) -> Result<Self> {
        let now = Instant::now();
        // A short-lived token is renewed in the last fifth of its lifetime.
        let lifetime = token.lifetime.min(LONGEST_LIFE);
        let early = RENEW_BEFORE.min(lifetime / 5);
        Ok(Self {
            header: bearer(&token.value).map_err(|error| error.with_kind(Kind::Unavailable))?,
            expires_at: now + lifetime,
            renew_at: now + lifetime - early,
        })
    }
}

impl<S: TokenSource> Credentials for CachedTokens<S> {
    async fn headers(&self, cx: &Context) -> Result<HeaderMap> {
        let header = self.entry(cx).await?.header(&self.source, cx).await?;
        Ok(HeaderMap::from_iter([(header::AUTHORIZATION, header)]))
    }

    async fn rejected(&self, cx: &Context, headers: &HeaderMap) {
        if let Ok(entry) = self.entry(cx).await {
            entry.reject(headers.get(header::AUTHORIZATION));
        }
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests;
