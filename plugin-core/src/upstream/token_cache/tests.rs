#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::sync::atomic::{AtomicU32, Ordering};

use server_core::{Error, Kind};
use tokio::time::{advance, sleep, timeout};

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
    assert_eq!(both.0.unwrap(), "Bearer token-0", "no call waits for the renewal");
    assert_eq!(both.1.unwrap(), "Bearer token-0");
    sleep(Duration::from_millis(60)).await;
    assert_eq!(token(&cache).await.unwrap(), "Bearer token-1");
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

/// [`obtain`], whose first fetch hangs, and what the others return in turn: its outcome, how many fetches there
/// were, and how long they took.
async fn obtained(mut others: Vec<Result<()>>) -> (Result<()>, usize, Duration) {
    let (began, mut fetches) = (Instant::now(), 0);
    others.reverse();
    let outcome = obtain(|_| {
        fetches += 1;
        let next = if fetches == 1 { None } else { others.pop() };
        async move {
            match next {
                Some(outcome) => outcome,
                None => std::future::pending().await,
            }
        }
    });
    let outcome = outcome.await;
    (outcome, fetches, began.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_fetch_beside_one_that_hangs_is_repeated_until_its_error_is_definitive() {
    let transient = || Err(Error::unavailable("busy"));
    let (outcome, fetches, took) = obtained(vec![transient(), transient(), Ok(())]).await;
    assert_eq!((outcome.is_ok(), fetches), (true, 4));
    assert_eq!(took, Duration::from_millis(1000 + 2 * 300), "a pause after each error");
    let refused = Error::new(Kind::Unauthenticated, "no such key");
    let (outcome, fetches, took) = obtained(vec![transient(), Err(refused), Ok(())]).await;
    assert_eq!((outcome.unwrap_err().kind(), fetches), (Kind::Unauthenticated, 3));
    assert_eq!(took, Duration::from_millis(1300));
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_remembered_for_a_second() {
    let (source, cache) = cache(true);
    for _ in 0..9 {
        assert!(token(&cache).await.is_err());
        advance(Duration::from_millis(100)).await;
    }
    assert_eq!(source.fetches.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_fetch_outlives_the_call_that_started_it() {
    let (source, cache) = cache(false);
    assert!(timeout(Duration::from_millis(10), token(&cache)).await.is_err());
    sleep(Duration::from_millis(60)).await;
    assert_eq!(source.fetches.load(Ordering::Relaxed), 1);
    assert_eq!(timeout(Duration::ZERO, token(&cache)).await.unwrap().unwrap(), "Bearer token-0");
}

#[tokio::test(start_paused = true)]
async fn expired_tokens_leave_memory_without_a_call() {
    let (source, cache) =
        (Slow { fetches: AtomicU32::new(0), fails: false }, TokenCache::default());
    let source: &'static Slow = Box::leak(Box::new(source));
    token(&cache.of(source)).await.unwrap();
    let (_, entry) = cache.0.0.iter().next().unwrap();
    let token = Arc::downgrade(&entry.current.load_full().unwrap());
    sleep(Duration::from_secs(3599)).await;
    assert!(token.upgrade().is_some());
    sleep(Duration::from_secs(2)).await;
    assert!(token.upgrade().is_none());
}

/// A token endpoint that hangs: what was asked before `recovers_at` is never answered.
struct Hanging {
    recovers_at: Instant,
    latency: Duration,
    under_way: AtomicU32,
    most: AtomicU32,
}

/// A request under way, until it is dropped.
struct UnderWay<'a>(&'a Hanging);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

impl TokenSource for &'static Hanging {
    async fn identity(&self, _: &Context) -> Result<Fingerprint> {
        Ok(Fingerprint::of(&["the service"]))
    }

    async fn fetch(&self, _: &Context) -> Result<Token> {
        let now = self.under_way.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(now, Ordering::Relaxed);
        let _under_way = UnderWay(self);
        if Instant::now() < self.recovers_at {
            std::future::pending::<()>().await;
        }
        sleep(self.latency).await;
        Ok(Token::new("fresh", Duration::from_secs(3600)))
    }
}

#[tokio::test(start_paused = true)]
async fn calls_sign_again_within_two_seconds_of_the_recovery_of_a_hung_token_endpoint() {
    for (latency, per_second) in [(50, 10), (50, 200), (300, 40), (500, 10), (500, 50), (500, 200)]
    {
        let recovers_at = Instant::now() + Duration::from_secs(20);
        let source: &'static Hanging = Box::leak(Box::new(Hanging {
            recovers_at,
            latency: Duration::from_millis(latency),
            under_way: AtomicU32::new(0),
            most: AtomicU32::new(0),
        }));
        let cache = TokenCache::default().of(source);
        let calls = (0..25 * per_second).map(|number| {
            let cache = &cache;
            async move {
                sleep(Duration::from_secs(1) * number / per_second).await;
                let started = Instant::now();
                let signed = timeout(Duration::from_secs(4), token(cache)).await;
                (started, signed.is_ok_and(|token| token.is_ok()))
            }
        });
        let calls = futures_util::future::join_all(calls).await;
        let late = recovers_at + Duration::from_secs(2);
        let failed = calls.iter().filter(|(started, signed)| *started >= late && !signed).count();
        assert_eq!(failed, 0, "latency {latency} ms, {per_second} calls/s");
        assert!(calls.iter().any(|(started, signed)| *started < late && !signed));
        assert!(source.most.load(Ordering::Relaxed) <= 2, "requests under way");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hung_token_endpoint_may_recover_at_any_moment_of_a_fetch() {
    for tenths in 150..270 {
        let recovers_at = Instant::now() + Duration::from_millis(100) * tenths;
        let source: &'static Hanging = Box::leak(Box::new(Hanging {
            recovers_at,
            latency: Duration::from_millis(500),
            under_way: AtomicU32::new(0),
            most: AtomicU32::new(0),
        }));
        let cache = TokenCache::default().of(source);
        while token(&cache).await.is_err() {
            sleep(Duration::from_millis(100)).await;
        }
        let late = recovers_at.elapsed();
        assert!(late < Duration::from_secs(2), "{tenths} tenths of a second: {late:?}");
        assert!(source.most.load(Ordering::Relaxed) <= 2, "requests under way");
    }
}

struct Panics(AtomicU32);

impl TokenSource for &'static Panics {
    async fn identity(&self, _: &Context) -> Result<Fingerprint> {
        Ok(Fingerprint::of(&[]))
    }

    async fn fetch(&self, _: &Context) -> Result<Token> {
        assert!(self.0.fetch_add(1, Ordering::Relaxed) > 0, "a bug of the plugin");
        Ok(Token::new("fresh", Duration::from_secs(3600)))
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_during_a_fetch_fails_the_calls_that_wait_and_no_others() {
    let cache = TokenCache::default().of(&*Box::leak(Box::new(Panics(AtomicU32::new(0)))));
    let error = token(&cache).await.unwrap_err();
    assert!(error.kind().is_transient(), "{error:?}");
    assert_eq!(token(&cache).await.unwrap(), "Bearer fresh");
}
