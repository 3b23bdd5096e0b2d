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
#[derive(Clone, Default)]
pub struct TokenCache(Leases<HeaderValue>);

/// [`Credentials`] with the cached tokens of a source.
pub(crate) struct CachedTokens<S> {
    cache: TokenCache,
    source: Arc<Tokens<S>>,
}

/// A source of tokens as one of header values.
struct Tokens<S>(S);

/// A cache of what expires, such as the headers of tokens, one for each identity. Cloning is cheap.
pub(crate) struct Leases<V>(Cache<Fingerprint, Arc<Entry<V>>>);

/// Obtains what [`Leases`] keep.
pub(crate) trait LeaseSource: Send + Sync + 'static {
    type Value: Send + Sync + 'static;

    /// Whether a fetch that is slow is repeated beside it: a server may have lost it.
    fn is_repeated(&self) -> bool {
        true
    }

    /// Obtains a new value. It is fetched as [`TokenSource::fetch`] says.
    fn lease(&self, cx: &Context) -> impl Future<Output = Result<Lease<Self::Value>>> + Send;
}

/// The cache's entry for one identity.
struct Entry<V> {
    current: ArcSwapOption<Lease<V>>,
    /// When a value was last dropped because the vendor refused it.
    dropped_at: ArcSwapOption<Instant>,
    fetching: Fetching<V>,
}

/// What was obtained, until it expires.
pub(crate) struct Lease<V> {
    pub(crate) value: V,
    expires_at: Instant,
    renew_at: Instant,
}

impl<V> Clone for Leases<V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<V: Send + Sync + 'static> Default for Leases<V> {
    fn default() -> Self {
        let cache = Cache::builder().max_capacity(MAX_IDENTITIES).time_to_idle(IDLE);
        Self(cache.eviction_policy(EvictionPolicy::lru()).build())
    }
}

impl<V: Send + Sync + 'static> Leases<V> {
    fn entry(&self, identity: Fingerprint) -> Arc<Entry<V>> {
        self.0.get_with(identity, Arc::default)
    }

    /// The value of `identity`, obtained from `source` if there is none.
    pub(crate) async fn get<S: LeaseSource<Value = V>>(
        &self,
        identity: Fingerprint,
        source: &Arc<S>,
        cx: &Context,
    ) -> Result<Arc<Lease<V>>> {
        self.entry(identity).get(source, cx).await
    }

    /// Drops the value of `identity` if the vendor refused it, as `is_refused` tells.
    pub(crate) fn reject(&self, identity: Fingerprint, is_refused: impl FnOnce(&V) -> bool) {
        self.entry(identity).reject(is_refused);
    }
}

impl TokenCache {
    /// [`Credentials`] with the tokens of `source`, fetched when the cache has none for its identity.
    ///
    /// A source may be made for a single call, with values chosen by the task's author.
    #[must_use]
    pub fn of<S: TokenSource>(&self, source: S) -> impl Credentials + use<S> {
        self.clone().with(source)
    }

    /// The same, as a type that can be named.
    pub(crate) fn with<S: TokenSource>(self, source: S) -> CachedTokens<S> {
        CachedTokens { cache: self, source: Arc::new(Tokens(source)) }
    }
}

impl<S: TokenSource> LeaseSource for Tokens<S> {
    type Value = HeaderValue;

    async fn lease(&self, cx: &Context) -> Result<Lease<HeaderValue>> {
        let token = self.0.fetch(cx).await?;
        // The issuer may give a better one later.
        let header = bearer(&token.value).map_err(|error| error.with_kind(Kind::Unavailable))?;
        Ok(Lease::new(header, token.lifetime))
    }
}

impl<V> Default for Entry<V> {
    fn default() -> Self {
        Self {
            current: ArcSwapOption::empty(),
            dropped_at: ArcSwapOption::empty(),
            fetching: Fetching::default(),
        }
    }
}

impl<V: Send + Sync + 'static> Entry<V> {
    fn valid(&self) -> Option<Arc<Lease<V>>> {
        self.current.load_full().filter(|cached| Instant::now() < cached.expires_at)
    }

    async fn get<S: LeaseSource<Value = V>>(
        self: &Arc<Self>,
        source: &Arc<S>,
        cx: &Context,
    ) -> Result<Arc<Lease<V>>> {
        let Some(cached) = self.valid() else {
            return self.fetch(source, cx, FAILURE_PAUSE)?.wait().await;
        };
        if cached.renew_at <= Instant::now() {
            // The current one is used until there is a new one.
            let _ = self.fetch(source, cx, RENEWAL_PAUSE);
        }
        Ok(cached)
    }

    /// Drops the value if it is the refused one; another call may have replaced it since.
    fn reject(&self, is_refused: impl FnOnce(&V) -> bool) {
        let Some(current) = self.current.load_full() else {
            return;
        };
        let dropped_at = self.dropped_at.load();
        let recently = dropped_at.as_ref().is_some_and(|at| at.elapsed() < REFUSAL_PAUSE);
        if !recently && is_refused(&current.value) {
            self.dropped_at.store(Some(Arc::new(Instant::now())));
            self.drop_lease(&current);
        }
    }

    fn drop_lease(&self, lease: &Arc<Lease<V>>) {
        self.current.compare_and_swap(lease, None);
    }
}

impl<V> Lease<V> {
    /// `value`, good for `lifetime` from now.
    pub(crate) fn new(value: V, lifetime: Duration) -> Self {
        let now = Instant::now();
        // What is short-lived is renewed in the last fifth of its lifetime.
        let lifetime = lifetime.min(LONGEST_LIFE);
        let early = RENEW_BEFORE.min(lifetime / 5);
        Self { value, expires_at: now + lifetime, renew_at: now + lifetime - early }
    }
}

impl<S: TokenSource> Credentials for CachedTokens<S> {
    async fn headers(&self, cx: &Context) -> Result<HeaderMap> {
        let identity = self.source.0.identity(cx).await?;
        let lease = self.cache.0.get(identity, &self.source, cx).await?;
        Ok(HeaderMap::from_iter([(header::AUTHORIZATION, lease.value.clone())]))
    }

    async fn rejected(&self, cx: &Context, headers: &HeaderMap) {
        if let Ok(identity) = self.source.0.identity(cx).await {
            let refused = headers.get(header::AUTHORIZATION);
            self.cache.0.reject(identity, |header| Some(header) == refused);
        }
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests;
