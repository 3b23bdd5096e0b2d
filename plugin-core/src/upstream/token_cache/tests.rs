#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::sync::atomic::{AtomicU32, Ordering};

use tokio::time::advance;

use super::*;
use crate::testing::{context, context_in};

/// A slow source that counts fetches.
struct Slow {
    fetches: AtomicU32,
    fails: bool,
}

impl TokenSource for &'static Slow {
    async fn identity(&self, cx: &Context) -> Result<Fingerprint> {
        Ok(Fingerprint::of(&[&cx.execution().namespace]))
    }

    async fn fetch(&self, _: &Context) -> Result<Token> {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let number = self.fetches.fetch_add(1, Ordering::Relaxed);
        if self.fails {
            return Err(Error::unavailable("no token"));
        }
        Ok(Token::new(format!("token-{number}"), Duration::from_secs(3600)))
    }
}

fn cache(fails: bool) -> (&'static Slow, impl Credentials) {
    let source: &'static Slow = Box::leak(Box::new(Slow { fetches: AtomicU32::new(0), fails }));
    (source, TokenCache::default().of(source))
}

async fn token(cache: &impl Credentials) -> Result<String> {
    let headers = Credentials::headers(cache, &context(Duration::from_secs(5))).await?;
    let value = &headers[http::header::AUTHORIZATION];
    assert!(value.is_sensitive(), "{value:?} must not be printed");
    Ok(value.to_str().unwrap().to_owned())
}

#[tokio::test(start_paused = true)]
async fn concurrent_calls_share_one_fetch() {
    let (source, cache) = cache(false);
    let all = futures_util::future::join_all((0..20).map(|_| token(&cache))).await;
    assert!(all.into_iter().all(|token| token.unwrap() == "Bearer token-0"));
    assert_eq!(source.fetches.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_token_stays_in_use_during_its_renewal() {
    let (source, cache) = cache(false);
    token(&cache).await.unwrap();
    advance(Duration::from_secs(3600 - 299)).await;
    let both = tokio::join!(token(&cache), token(&cache));
    assert_eq!(both.0.unwrap(), "Bearer token-1", "one renews");
    assert_eq!(both.1.unwrap(), "Bearer token-0", "the other uses the current token");
    assert_eq!(source.fetches.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_rejected_token_is_not_reused() {
    let (_, cache) = cache(false);
    let cx = context(Duration::from_secs(5));
    let refused = Credentials::headers(&cache, &cx).await.unwrap();
    Credentials::rejected(&cache, &cx, &refused).await;
    assert_eq!(token(&cache).await.unwrap(), "Bearer token-1");
    Credentials::rejected(&cache, &cx, &refused).await;
    assert_eq!(token(&cache).await.unwrap(), "Bearer token-1", "the fresh one is kept");
}

#[tokio::test(start_paused = true)]
async fn refusals_of_every_token_do_not_cause_a_fetch_per_call() {
    let (source, cache) = cache(false);
    let cx = context(Duration::from_secs(5));
    for _ in 0..20 {
        let refused = Credentials::headers(&cache, &cx).await.unwrap();
        Credentials::rejected(&cache, &cx, &refused).await;
    }
    assert!(source.fetches.load(Ordering::Relaxed) <= 2);
    advance(Duration::from_secs(30)).await;
    let refused = Credentials::headers(&cache, &cx).await.unwrap();
    Credentials::rejected(&cache, &cx, &refused).await;
    assert_eq!(token(&cache).await.unwrap(), "Bearer token-2", "fetched again after the pause");
}

#[tokio::test(start_paused = true)]
async fn identities_do_not_share_a_token() {
    let (_, cache) = cache(false);
    assert_eq!(token(&cache).await.unwrap(), "Bearer token-0");
    let cx = context_in(Duration::from_secs(5), "team-b");
    let headers = Credentials::headers(&cache, &cx).await.unwrap();
    assert_eq!(headers[http::header::AUTHORIZATION], "Bearer token-1");
    assert_eq!(token(&cache).await.unwrap(), "Bearer token-0");
}

#[tokio::test(start_paused = true)]
async fn a_failed_fetch_is_repeated_once_per_second() {
    let (source, cache) = cache(true);
    let all = futures_util::future::join_all((0..20).map(|_| token(&cache))).await;
    assert!(all.into_iter().all(|token| token.is_err()));
    assert_eq!(source.fetches.load(Ordering::Relaxed), 1);
    advance(Duration::from_secs(2)).await;
    assert!(token(&cache).await.is_err());
    assert_eq!(source.fetches.load(Ordering::Relaxed), 2);
}
