#![expect(clippy::unwrap_used, reason = "these are tests")]

mod trouble;

use std::sync::Arc;

use prometheus_client::registry::Registry;
use serde_json::json;
use server_core::digest::Fingerprint;

use super::*;
use crate::{
    context::{Chosen, Context, Inner, SecretArgs, SecretReader, Secrets, Waiter, Waiting},
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
        poll_freshness: Duration::ZERO,
    };
    let metrics = Metrics::register(&mut Registry::default());
    HttpBuilder::new(&args, Some(upstream), "test/0", Arc::new(metrics)).unwrap()
}

fn http(upstream: &Upstream) -> Http {
    builder(&upstream.url()).build("https://vendor.example.com/api/v2").unwrap()
}

fn answers(statuses: &[u16]) -> Vec<Answer> {
    statuses.iter().map(|status| Answer::new(*status, json!({}))).collect()
}

#[tokio::test]
async fn only_idempotent_transient_failures_are_retried() {
    for (method, idempotent, statuses, attempts) in [
        (Method::GET, false, [503, 429, 200].as_slice(), 3),
        (Method::POST, true, &[503, 500, 200], 3),
        (Method::POST, false, &[503, 200], 1),
        (Method::POST, false, &[429, 200], 1),
        (Method::GET, false, &[400, 200], 1),
        (Method::GET, false, &[404, 200], 1),
        (Method::GET, false, &[302, 200], 2),
        (Method::POST, true, &[307, 200], 2),
        (Method::POST, false, &[307, 200], 1),
    ] {
        let upstream = Upstream::start().await;
        let http = http(&upstream);
        let request =
            if method == Method::GET { http.get(&["jobs"]) } else { http.post(&["jobs"]) };
        let request = if idempotent { request.idempotent() } else { request };
        upstream.answer_with(answers(statuses));
        let _ = request.send(&context(Duration::from_secs(10))).await;
        assert_eq!(upstream.take_received().len(), attempts, "{statuses:?}");
    }
}

#[tokio::test]
async fn calls_that_cannot_connect_are_always_retried() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let http = builder(&format!("http://{address}")).build("https://vendor.example.com").unwrap();
    let error = http.post(&["jobs"]).send(&context(Duration::from_millis(300))).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(http.shared.metrics.retries.get() > 0);
}

/// The context of a call that may outlive its callers, and its only caller.
fn with_waiter() -> (Context, Waiter) {
    let waiting = Waiting::default();
    let waiter = waiting.join();
    (context(Duration::from_secs(10)).with_waiting(Some(waiting)), waiter)
}

async fn leave_after(time: Duration, waiter: Waiter) {
    tokio::time::sleep(time).await;
    drop(waiter);
}

#[tokio::test]
async fn abandoned_calls_are_not_retried() {
    let upstream = Upstream::start().await;
    let too_many = Answer::new(429, json!({})).header("retry-after", "1");
    upstream.answer_with([too_many, Answer::new(200, json!({}))]);
    let (http, (cx, waiter)) = (http(&upstream), with_waiter());
    let call = http.post(&["jobs"]).idempotent().send(&cx);
    let (answer, ()) = tokio::join!(call, leave_after(Duration::from_millis(300), waiter));
    assert_eq!(answer.unwrap_err().kind(), Kind::ResourceExhausted);
    assert_eq!(upstream.take_received().len(), 1);
}

#[tokio::test]
async fn abandoned_calls_are_not_sent_after_throttling() {
    let upstream = Upstream::start().await;
    upstream.answer_with(answers(&[200]));
    let (http, (cx, waiter)) = (http(&upstream), with_waiter());
    let lane = http.shared.lanes.of(lanes::Purpose::Api, "", None);
    lane.pace.throttled(Some(Duration::from_secs(1)));
    let call = http.post(&["jobs"]).send(&cx);
    let (answer, ()) = tokio::join!(call, leave_after(Duration::from_millis(300), waiter));
    assert_eq!(answer.unwrap_err().kind(), Kind::DeadlineExceeded);
    assert_eq!(upstream.count(), 0);
}

#[tokio::test]
async fn attempts_end_at_the_deadline() {
    let upstream = Upstream::start().await;
    upstream.answer_with(answers(&[200]));
    upstream.hold();
    let started = tokio::time::Instant::now();
    let cx = context(Duration::from_millis(200));
    let error = http(&upstream).get(&["jobs"]).send(&cx).await.unwrap_err();
    assert_eq!(error.kind(), Kind::DeadlineExceeded);
    assert!(started.elapsed() < Duration::from_secs(5), "not when the attempt times out");
    upstream.release();
}

#[tokio::test]
async fn segments_are_encoded_and_cannot_leave_the_base() {
    let upstream = Upstream::start().await;
    upstream.answer_with(answers(&[200]));
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
async fn a_path_can_end_with_a_slash() {
    let upstream = Upstream::start().await;
    upstream.answer_with(answers(&[200]));
    let http = http(&upstream);
    let cx = context(Duration::from_secs(1));
    http.post(&["jobs"]).trailing_slash().send(&cx).await.unwrap();
    http.get(&["jobs", "7"]).query("page", Some("2")).trailing_slash().send(&cx).await.unwrap();
    http.get(&["jobs", "7"]).trailing_slash().trailing_slash().send(&cx).await.unwrap();
    let targets = upstream.take_received().into_iter().map(|received| received.target);
    assert_eq!(
        targets.collect::<Vec<_>>(),
        ["/api/v2/jobs/", "/api/v2/jobs/7/?page=2", "/api/v2/jobs/7/"]
    );
}

/// The context of a request whose connection has the secret `name`.
fn context_with_secret(name: &str, value: &str) -> Context {
    let sources = SecretArgs {
        secret_prefix: "_NONE_".to_owned(),
        secrets_dir: "/nowhere".into(),
        forbid_connection_secrets: false,
    };
    let secrets = Secrets {
        reader: Arc::new(SecretReader::new(sources)),
        connection: Arc::new([(name.to_owned(), value.into())].into()),
        namespace: "".into(),
        chosen: Chosen::default(),
    };
    Context(Arc::new(Inner { secrets, ..Inner::clone(&context(Duration::from_secs(1)).0) }))
}

#[tokio::test]
async fn a_secret_token_is_sent_with_its_scheme() {
    let upstream = Upstream::start().await;
    upstream.answer_with(answers(&[200]));
    let cx = context_with_secret("acme_token", "t-123");
    let bearer = SecretToken::new("acme_token");
    for (token, expected) in
        [(bearer.clone(), "Bearer t-123"), (bearer.scheme("Token"), "Token t-123")]
    {
        http(&upstream).signed_by(token).get(&["jobs"]).send(&cx).await.unwrap();
        let received = upstream.take_received();
        assert_eq!(received[0].headers["authorization"], expected);
    }
}

#[test]
fn an_authorization_header_is_sensitive_and_valid() {
    let value = authorization("Token", &"t-123".into()).unwrap();
    assert_eq!(value, "Token t-123");
    assert!(value.is_sensitive());
    assert_eq!(bearer(&"t-123".into()).unwrap(), "Bearer t-123");
    for invalid in ["two\nlines", "", "twö"] {
        let error = authorization("Token", &invalid.into()).unwrap_err();
        assert_eq!(error.kind(), Kind::FailedPrecondition);
        assert!(!error.to_string().contains("tw"), "{error}");
        let error = secret_bearer("acme_token", &invalid.into()).unwrap_err();
        assert!(error.to_string().starts_with("secret acme_token is "), "{error}");
    }
}

#[tokio::test]
async fn a_refused_retry_leaves_the_outcome_open() {
    let upstream = Upstream::start().await;
    let http = http(&upstream);
    for (method, kind) in [(Method::POST, Kind::Unavailable), (Method::GET, Kind::PermissionDenied)]
    {
        upstream.answer_with(answers(&[503, 403]));
        let request =
            if method == Method::GET { http.get(&["jobs"]) } else { http.post(&["jobs"]) };
        let answer = request.idempotent().send(&context(Duration::from_secs(5))).await;
        assert_eq!(answer.unwrap_err().kind(), kind, "{method}");
    }
}

#[tokio::test]
async fn at_most_truncates_the_body() {
    let upstream = Upstream::start().await;
    upstream.answer_with([Answer::new(200, json!("x".repeat(20 << 20)))]);
    let time = Duration::from_secs(60);
    let http = builder_with(&upstream.url(), time).build("https://vendor.example.com").unwrap();
    let cx = context(time);
    let cut = http.get(&["rows"]).at_most(1000).send(&cx).await.unwrap();
    assert!(cut.is_cut && cut.body.len() < 1 << 20);
    assert!(http.get(&["rows"]).send(&cx).await.is_err(), "the whole body is too large");
}

#[tokio::test]
async fn large_responses_wait_for_others_and_are_not_asked_for_again() {
    let upstream = Upstream::start().await;
    let http = http(&upstream);
    let answer = |bytes| Answer::new(200, json!("x".repeat(bytes)));
    upstream.answer_with([2 << 20, 1000, 2 << 20].map(answer));
    let cx = context(Duration::from_secs(20));
    let others = http.shared.bodies.acquire(31 << 20, cx.deadline().instant()).await.unwrap();
    let refused = http.get(&["jobs"]).send(&cx).await.unwrap_err();
    assert_eq!(refused.message(), "too many large responses of the upstream are being read");
    assert_eq!((refused.kind(), upstream.take_received().len()), (Kind::Unavailable, 1));
    assert!(http.get(&["jobs"]).send(&cx).await.is_ok(), "a small one does not wait");
    drop(others);
    assert!(http.get(&["jobs"]).send(&cx).await.is_ok());
}

#[tokio::test]
async fn secrets_are_masked_in_whatever_the_vendor_says() {
    let upstream = Upstream::start().await;
    let read: ReadFailure = |_, body| {
        let said: serde_json::Value = serde_json::from_slice(body).ok()?;
        let failure = Failure::new(Kind::InvalidArgument, said["message"].as_str()?);
        Some(failure.code(said["code"].as_str().map(str::to_owned)))
    };
    let http = builder(&upstream.url()).failures(read).build("https://vendor.example.com").unwrap();
    let http = http.signed_by(SecretToken::new("acme_token"));
    let cx = context_with_secret("acme_token", "canary-123");
    let echo = json!({"message": "got Authorization: Bearer canary-123", "code": "canary-123"});
    upstream.answer_with([Answer::new(400, echo.clone()), Answer::new(200, echo)]);
    let error = http.post(&["jobs"]).send(&cx).await.unwrap_err();
    assert_eq!(error.message(), "got Authorization: Bearer ***");
    assert_eq!(error.code(), Some("***"));
    let response = http.post(&["jobs"]).send(&cx).await.unwrap();
    assert!(!String::from_utf8_lossy(&response.body).contains("canary"));
}

#[tokio::test]
async fn a_proxys_error_page_does_not_decide_about_a_job() {
    let upstream = Upstream::start().await;
    let read: ReadFailure = |_, body| {
        let ours = body.starts_with(b"{");
        ours.then(|| Failure::new(Kind::NotFound, "gone"))
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
        upstream.answer_with([Answer::new(status, body)]);
        let http = http.unwrap();
        let answer = http.post(&["jobs"]).send(&context(Duration::from_secs(1))).await;
        assert_eq!(answer.unwrap_err().kind(), kind, "{status}");
    }
}

/// Signs calls with a token that the same client fetches.
struct FromTheSameHost(Http);

impl Credentials for FromTheSameHost {
    async fn headers(&self, cx: &Context) -> Result<http::HeaderMap> {
        self.0.get(&["token"]).send(cx).await.map(|_| http::HeaderMap::new())
    }
}

#[tokio::test]
async fn credentials_from_the_same_host_do_not_deadlock() {
    let upstream = Upstream::start().await;
    upstream.answer_with(answers(&[200]));
    let http = http(&upstream);
    let signed = http.signed_by(FromTheSameHost(http.clone()));
    let cx = context(Duration::from_secs(10));
    let calls = (0..200).map(|_| signed.get(&["jobs"]).send(&cx));
    let all = futures_util::future::join_all(calls).await;
    assert!(all.iter().all(Result::is_ok));
}

#[tokio::test]
async fn not_found_of_credentials_is_not_about_the_job() {
    let upstream = Upstream::start().await;
    let http = http(&upstream);
    let signed = http.signed_by(FromTheSameHost(http.clone()));
    for status in [404, 409] {
        upstream.answer_with(answers(&[status]));
        let cx = context(Duration::from_secs(1));
        let error = signed.get(&["jobs"]).send(&cx).await.unwrap_err();
        assert_eq!(error.kind(), Kind::FailedPrecondition, "{status}");
        assert!(error.message().contains(&status.to_string()), "{error}");
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let (upstream, elsewhere) = (Upstream::start().await, Upstream::start().await);
    upstream.answer_with([Answer::new(302, json!({})).header("location", &elsewhere.url())]);
    let cx = context(Duration::from_millis(300));
    assert!(http(&upstream).get(&["jobs"]).send(&cx).await.is_err());
    assert_eq!(elsewhere.count(), 0, "credentials stay with the configured host");
}

#[tokio::test]
async fn a_response_that_is_not_json_is_unavailable() {
    let upstream = Upstream::start().await;
    upstream.answer_with([Answer::new(200, json!("a page of a proxy"))]);
    let cx = context(Duration::from_secs(1));
    let read = http(&upstream).get(&["jobs"]).send_json::<Vec<u8>>(&cx).await;
    assert_eq!(read.unwrap_err().kind(), Kind::Unavailable);
}

/// A source that fetches tokens from an issuer.
struct Issuer(Http);

impl TokenSource for Issuer {
    async fn identity(&self, _: &Context) -> Result<Fingerprint> {
        Ok(Fingerprint::of(&[]))
    }

    async fn fetch(&self, cx: &Context) -> Result<Token> {
        self.0.post(&["token"]).idempotent().send(cx).await?;
        Ok(Token::new("t", Duration::from_secs(3600)))
    }
}

#[tokio::test]
async fn a_token_is_fetched_even_if_the_first_caller_is_gone() {
    let upstream = Upstream::start().await;
    upstream.answer_with(answers(&[503, 200]));
    let cache = TokenCache::default().of(Issuer(http(&upstream)));
    let (cx, waiter) = with_waiter();
    drop(waiter);
    assert!(Credentials::headers(&cache, &cx).await.is_ok());
    assert_eq!(upstream.take_received().len(), 2);
}

mod signing;
