//! Credentials that sign the request itself.

use std::sync::atomic::{AtomicUsize, Ordering};

use http::HeaderValue;
use secrecy::SecretString;

use super::*;

const SEEN: &str = "x-seen";

/// Counts what it is asked, and signs with a number.
#[derive(Clone, Default)]
struct Numbered {
    fetched: Arc<AtomicUsize>,
    signed: Arc<AtomicUsize>,
    rejected: Arc<AtomicUsize>,
    /// Fetches give the same keys, whatever is rejected.
    is_stubborn: bool,
}

struct WithKey(Numbered, String);

impl Credentials for Numbered {
    async fn headers(&self, _: &Context) -> Result<http::HeaderMap> {
        Ok(http::HeaderMap::from_iter([(http::header::ACCEPT, HeaderValue::from_static("a/b"))]))
    }

    async fn signer(&self, _: &Context) -> Result<Option<Arc<dyn Signer>>> {
        self.fetched.fetch_add(1, Ordering::Relaxed);
        let rejected = if self.is_stubborn { 0 } else { self.rejected.load(Ordering::Relaxed) };
        Ok(Some(Arc::new(WithKey(self.clone(), format!("key-{rejected}")))))
    }

    async fn rejected(&self, _: &Context, headers: &http::HeaderMap) {
        assert!(headers.contains_key(SEEN), "the headers of the signer are passed on");
        self.rejected.fetch_add(1, Ordering::Relaxed);
    }
}

impl Signer for WithKey {
    fn sign(&self, request: &Outgoing<'_>) -> Result<http::HeaderMap> {
        let number = self.0.signed.fetch_add(1, Ordering::Relaxed);
        let Outgoing { method, url, headers, body } = request;
        let (accept, target) = (&headers[http::header::ACCEPT], &headers["x-target"]);
        let seen = format!(
            "{} {number} {method} {} {accept:?} {target:?} {}",
            self.1,
            &url[url::Position::BeforePath..],
            String::from_utf8_lossy(body)
        );
        Ok(http::HeaderMap::from_iter([(SEEN.parse().unwrap(), seen.parse().unwrap())]))
    }

    fn key_id(&self) -> &str {
        &self.1
    }

    fn secrets(&self) -> Vec<SecretString> {
        vec!["canary-key".into()]
    }
}

async fn send(http: &Http, cx: &Context) -> Result<Response> {
    let target = ("x-target".parse().unwrap(), HeaderValue::from_static("T.Op"));
    let request = http.post(&["a b"]).query("q", Some("1")).json(&json!({"b": 1}));
    request.header(target.0, target.1).idempotent().send(cx).await
}

fn seen(upstream: &Upstream) -> Vec<String> {
    let received = upstream.take_received();
    received.iter().map(|request| request.headers[SEEN].to_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_signature_sees_method_url_headers_and_body_and_each_attempt_has_its_own() {
    let upstream = Upstream::start().await;
    upstream.answer_with(answers(&[503, 200]));
    let http = http(&upstream).signed_by(Numbered::default());
    send(&http, &context(Duration::from_secs(10))).await.unwrap();
    let request = r#"POST /api/v2/a%20b?q=1 "a/b" "T.Op" {"b":1}"#;
    assert_eq!(seen(&upstream), [0, 1].map(|number| format!("key-0 {number} {request}")));
}

#[tokio::test]
async fn a_signature_is_made_after_the_wait_and_its_keys_are_fetched_before() {
    let upstream = Upstream::start().await;
    upstream.answer_with(answers(&[200]));
    let credentials = Numbered::default();
    let http = http(&upstream).signed_by(credentials.clone());
    let lane = http.shared.lanes.of(lanes::Purpose::Api, "", None);
    lane.pace.throttled(Some(Duration::from_millis(500)));
    let watched = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        (count(&credentials.fetched), count(&credentials.signed))
    };
    let cx = context(Duration::from_secs(10));
    let (sent, waiting) = tokio::join!(send(&http, &cx), watched);
    sent.unwrap();
    assert_eq!(waiting, (1, 0), "fetched and not signed while it waits");
    assert_eq!(seen(&upstream).len(), 1);
}

fn throttles(_: StatusCode, body: &[u8]) -> Option<Failure> {
    let body = serde_json::from_slice::<serde_json::Value>(body).ok()?;
    let kind = match body["__type"].as_str()? {
        "ThrottlingException" => Kind::ResourceExhausted,
        "ExpiredTokenException" => Kind::Unauthenticated,
        _ => Kind::InvalidArgument,
    };
    Some(Failure::new(kind, body["message"].as_str().unwrap_or_default()))
}

fn refusals(upstream: &Upstream, codes: &[&str]) -> Http {
    let failed = codes.iter().map(|code| Answer::new(400, json!({"__type": code})));
    upstream.answer_with(failed.chain([Answer::new(200, json!({}))]));
    builder(&upstream.url()).failures(throttles).build("https://vendor.example.com").unwrap()
}

#[tokio::test]
async fn a_throttle_with_status_400_is_repeated_with_the_same_keys() {
    let upstream = Upstream::start().await;
    let http = refusals(&upstream, &["ThrottlingException"]).signed_by(Numbered::default());
    send(&http, &context(Duration::from_secs(10))).await.unwrap();
    let seen = seen(&upstream);
    assert_eq!(seen.len(), 2);
    assert!(seen.iter().all(|signature| signature.starts_with("key-0 ")), "{seen:?}");
}

#[tokio::test]
async fn expired_keys_are_renewed_once() {
    let upstream = Upstream::start().await;
    let credentials = Numbered::default();
    let http = refusals(&upstream, &["ExpiredTokenException"]).signed_by(credentials.clone());
    send(&http, &context(Duration::from_secs(10))).await.unwrap();
    assert!(seen(&upstream)[1].starts_with("key-1 1 "));
    let http = refusals(&upstream, &["ExpiredTokenException"; 5]).signed_by(credentials.clone());
    let error = send(&http, &context(Duration::from_secs(10))).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthenticated);
    assert_eq!(upstream.take_received().len(), 2);
}

#[tokio::test]
async fn keys_that_do_not_change_are_sent_again_only_within_the_budget() {
    let upstream = Upstream::start().await;
    let credentials = Numbered { is_stubborn: true, ..Numbered::default() };
    let http = refusals(&upstream, &["ExpiredTokenException"; 200]).signed_by(credentials);
    for _ in 0..40 {
        assert!(send(&http, &context(Duration::from_secs(10))).await.is_err());
    }
    let count = upstream.take_received().len();
    assert!(count < 70, "{count} requests for 40 calls");
}

#[tokio::test]
async fn what_a_signature_was_made_with_is_masked() {
    let upstream = Upstream::start().await;
    let http = http(&upstream).signed_by(Numbered::default());
    upstream.answer_with([Answer::new(200, json!({"echo": "canary-key"}))]);
    let response = send(&http, &context(Duration::from_secs(1))).await.unwrap();
    assert_eq!(response.body, r#"{"echo":"***"}"#);
}
