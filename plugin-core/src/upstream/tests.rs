#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::sync::Arc;

use serde_json::json;
use server_core::{ServiceInfo, digest::Fingerprint};

use super::*;
use crate::{
    context::{Context, Waiter, Waiting},
    testing::{Answer, Upstream, context},
};

pub(super) fn builder(upstream: &str) -> HttpBuilder {
    builder_with(upstream, Duration::from_secs(1))
}

fn builder_with(upstream: &str, upstream_timeout: Duration) -> HttpBuilder {
    let args = UpstreamArgs {
        insecure_upstream: false,
        upstream_timeout,
        upstream_concurrency: 64,
        poll_window: Duration::ZERO,
    };
    let metrics = Metrics::new(ServiceInfo { name: "test", version: "0" });
    HttpBuilder::new(&args, Some(upstream), "test/0", Arc::new(metrics)).unwrap()
}

fn http(upstream: &Upstream) -> Http {
    builder(&upstream.url()).build("https://vendor.example.com/api/v2").unwrap()
}

fn answers(statuses: &[u16]) -> Vec<Answer> {
    statuses.iter().map(|status| Answer::new(*status, json!({}))).collect()
}

#[tokio::test]
async fn only_what_may_be_repeated_is_repeated() {
    for (method, idempotent, statuses, tries) in [
        (Method::GET, false, [503, 429, 200].as_slice(), 3),
        (Method::POST, true, &[503, 500, 200], 3),
        (Method::POST, false, &[503, 200], 1),
        (Method::POST, false, &[429, 200], 1),
        (Method::GET, false, &[400, 200], 1),
        (Method::GET, false, &[404, 200], 1),
        (Method::GET, false, &[302, 200], 1),
    ] {
        let upstream = Upstream::start().await;
        let http = http(&upstream);
        let request =
            if method == Method::GET { http.get(&["jobs"]) } else { http.post(&["jobs"]) };
        let request = if idempotent { request.idempotent() } else { request };
        upstream.say(answers(statuses));
        let _ = request.send(&context(Duration::from_secs(10))).await;
        assert_eq!(upstream.take_received().len(), tries, "{statuses:?}");
    }
}

#[tokio::test]
async fn a_call_that_never_reached_anyone_is_made_again_whatever_it_does() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let http = builder(&format!("http://{address}")).build("https://vendor.example.com").unwrap();
    let error = http.post(&["jobs"]).send(&context(Duration::from_millis(300))).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(http.shared.metrics.encode().unwrap().lines().any(|line| {
        line.strip_prefix("plugin_upstream_retries_total ").is_some_and(|count| count != "0")
    }));
}

/// A call that outlives its callers, and the one of them there is.
fn waited_for() -> (Context, Waiter) {
    let waiting = Waiting::default();
    let waiter = waiting.join();
    (context(Duration::from_secs(10)).with_waiting(Some(waiting)), waiter)
}

async fn leave_after(time: Duration, waiter: Waiter) {
    tokio::time::sleep(time).await;
    drop(waiter);
}

#[tokio::test]
async fn nothing_is_sent_again_once_nobody_waits() {
    let upstream = Upstream::start().await;
    let too_many = Answer::new(429, json!({})).header("retry-after", "1");
    upstream.say([too_many, Answer::new(200, json!({}))]);
    let (http, (cx, waiter)) = (http(&upstream), waited_for());
    let call = http.post(&["jobs"]).idempotent().send(&cx);
    let (answer, ()) = tokio::join!(call, leave_after(Duration::from_millis(300), waiter));
    assert_eq!(answer.unwrap_err().kind(), Kind::ResourceExhausted);
    assert_eq!(upstream.take_received().len(), 1);
}

#[tokio::test]
async fn nothing_is_begun_whose_turn_comes_when_nobody_waits() {
    let upstream = Upstream::start().await;
    upstream.say(answers(&[200]));
    let (http, (cx, waiter)) = (http(&upstream), waited_for());
    http.shared.throttle.throttled(Some(Duration::from_secs(1)));
    let call = http.post(&["jobs"]).send(&cx);
    let (answer, ()) = tokio::join!(call, leave_after(Duration::from_millis(300), waiter));
    assert_eq!(answer.unwrap_err().kind(), Kind::DeadlineExceeded);
    assert_eq!(upstream.count(), 0);
}

#[tokio::test]
async fn no_try_outlasts_the_deadline() {
    let upstream = Upstream::start().await;
    upstream.say(answers(&[200]));
    upstream.hold();
    let started = tokio::time::Instant::now();
    let cx = context(Duration::from_millis(200));
    let error = http(&upstream).get(&["jobs"]).send(&cx).await.unwrap_err();
    assert_eq!(error.kind(), Kind::DeadlineExceeded);
    assert!(started.elapsed() < Duration::from_millis(400));
    upstream.release();
}

#[tokio::test]
async fn paths_are_encoded_and_cannot_be_left() {
    let upstream = Upstream::start().await;
    upstream.say(answers(&[200]));
    let http = http(&upstream);
    let cx = context(Duration::from_secs(1));
    http.get(&["p/q?r", "ü"]).query("l", Some("a&b")).query("none", None).send(&cx).await.unwrap();
    assert_eq!(upstream.take_received()[0].target, "/api/v2/p%2Fq%3Fr/%C3%BC?l=a%26b");
    for segment in ["..", ".", "", ".\t.", "\n..", "a\tb", "a\rb"] {
        let error = http.get(&["jobs", segment]).send(&cx).await.unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidArgument);
    }
    assert_eq!(upstream.count(), 0);
}

#[tokio::test]
async fn a_refusal_after_a_lost_answer_is_not_taken_for_the_outcome() {
    let upstream = Upstream::start().await;
    let http = http(&upstream);
    for (method, kind) in [(Method::POST, Kind::Unavailable), (Method::GET, Kind::PermissionDenied)]
    {
        upstream.say(answers(&[503, 403]));
        let request =
            if method == Method::GET { http.get(&["jobs"]) } else { http.post(&["jobs"]) };
        let answer = request.idempotent().send(&context(Duration::from_secs(5))).await;
        assert_eq!(answer.unwrap_err().kind(), kind, "{method}");
    }
}

#[tokio::test]
async fn the_beginning_of_an_answer_can_be_enough() {
    let upstream = Upstream::start().await;
    upstream.say([Answer::new(200, json!("x".repeat(20 << 20)))]);
    let time = Duration::from_secs(60);
    let http = builder_with(&upstream.url(), time).build("https://vendor.example.com").unwrap();
    let cx = context(time);
    let cut = http.get(&["rows"]).at_most(1000).send(&cx).await.unwrap();
    assert!(cut.is_cut && cut.body.len() < 1 << 20);
    assert!(http.get(&["rows"]).send(&cx).await.is_err(), "all of it is too much");
}

#[tokio::test]
async fn a_proxys_page_says_nothing_of_a_job() {
    let upstream = Upstream::start().await;
    let read: ReadFailure = |_, body| {
        let ours = body.starts_with(b"{");
        ours.then(|| Failure { kind: Kind::NotFound, code: None, message: "gone".to_owned() })
    };
    for (status, body, kind) in [
        (404, json!({}), Kind::NotFound),
        (404, json!("<html>"), Kind::Unavailable),
        (403, json!("<html>"), Kind::Unavailable),
        (401, json!("<html>"), Kind::Unauthenticated),
        (429, json!("<html>"), Kind::ResourceExhausted),
        (502, json!("<html>"), Kind::Unavailable),
    ] {
        let http = builder(&upstream.url()).failures(read).build("https://vendor.example.com");
        upstream.say([Answer::new(status, body)]);
        let http = http.unwrap();
        let answer = http.post(&["jobs"]).send(&context(Duration::from_secs(1))).await;
        assert_eq!(answer.unwrap_err().kind(), kind, "{status}");
    }
}

/// Signs with what it fetches by the client it signs for.
struct FromTheSameHost(Http);

impl Credentials for FromTheSameHost {
    async fn headers(&self, cx: &Context) -> Result<http::HeaderMap> {
        self.0.get(&["token"]).send(cx).await.map(|_| http::HeaderMap::new())
    }
}

#[tokio::test]
async fn credentials_from_the_same_host_do_not_wait_for_the_calls_they_sign() {
    let upstream = Upstream::start().await;
    upstream.say(answers(&[200]));
    let http = http(&upstream);
    let signed = http.signed_by(FromTheSameHost(http.clone()));
    let cx = context(Duration::from_secs(10));
    let calls = (0..200).map(|_| signed.get(&["jobs"]).send(&cx));
    let all = futures_util::future::join_all(calls).await;
    assert!(all.iter().all(Result::is_ok));
}

#[tokio::test]
async fn what_credentials_do_not_find_is_not_the_job() {
    let upstream = Upstream::start().await;
    let http = http(&upstream);
    let signed = http.signed_by(FromTheSameHost(http.clone()));
    for status in [404, 409] {
        upstream.say(answers(&[status]));
        let cx = context(Duration::from_secs(1));
        let error = signed.get(&["jobs"]).send(&cx).await.unwrap_err();
        assert_eq!(error.kind(), Kind::FailedPrecondition, "{status}");
        assert!(error.message().contains(&status.to_string()), "{error}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (upstream, elsewhere) = (Upstream::start().await, Upstream::start().await);
    upstream.say([Answer::new(302, json!({})).header("location", &elsewhere.url())]);
    let cx = context(Duration::from_millis(300));
    assert!(http(&upstream).get(&["jobs"]).send(&cx).await.is_err());
    assert_eq!(elsewhere.count(), 0, "credentials stay with the configured host");
}

#[tokio::test]
async fn an_answer_that_is_no_json_is_not_the_callers_fault() {
    let upstream = Upstream::start().await;
    upstream.say([Answer::new(200, json!("a page of a proxy"))]);
    let cx = context(Duration::from_secs(1));
    let read = http(&upstream).get(&["jobs"]).send_json::<Vec<u8>>(&cx).await;
    assert_eq!(read.unwrap_err().kind(), Kind::Unavailable);
}

/// Fetches with the client of an issuer.
struct Issuer(Http);

impl TokenSource for Issuer {
    async fn identity(&self, _: &Context) -> Result<Fingerprint> {
        Ok(Fingerprint::of(&[]))
    }

    async fn fetch(&self, cx: &Context) -> Result<Token> {
        self.0.post(&["token"]).idempotent().send(cx).await?;
        Ok(Token { value: "t".into(), lifetime: Duration::from_secs(3600) })
    }
}

#[tokio::test]
async fn a_token_is_for_all_and_fetched_though_nobody_waits_for_the_first_call() {
    let upstream = Upstream::start().await;
    upstream.say(answers(&[503, 200]));
    let cache = TokenCache::default().of(Issuer(http(&upstream)));
    let (cx, waiter) = waited_for();
    drop(waiter);
    assert!(Credentials::headers(&cache, &cx).await.is_ok());
    assert_eq!(upstream.take_received().len(), 2);
}
