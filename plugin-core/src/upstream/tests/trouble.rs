//! An upstream that fails, refuses, limits or does not answer.

use futures_util::future::join_all;

use super::*;

#[tokio::test]
async fn an_upstream_that_fails_every_call_gets_few_requests() {
    for (poll, statuses) in [(true, [503].as_slice()), (false, &[503])] {
        let upstream = Upstream::start().await;
        let http = http(&upstream);
        upstream.answer_with(answers(statuses));
        let calls = (0..60_u32).map(|number| {
            let http = &http;
            async move {
                tokio::time::sleep(Duration::from_millis(50) * number).await;
                let cx = context(Duration::from_secs(2));
                let cx = if poll { cx.for_poll() } else { cx };
                http.post(&["jobs"]).idempotent().send(&cx).await
            }
        });
        let all = futures_util::future::join_all(calls).await;
        assert!(all.iter().all(Result::is_err));
        let requests = upstream.take_received().len();
        assert!(requests <= 72, "{requests} requests for 60 calls");
    }
}

#[tokio::test]
async fn a_refused_signature_that_does_not_change_is_seldom_sent_again() {
    let upstream = Upstream::start().await;
    upstream.answer_with(answers(&[401]));
    let http = http(&upstream).signed_by(SecretToken::new("acme_token"));
    let cx = context_with_secret("acme_token", "t-123456");
    for _ in 0..100 {
        let error = http.get(&["jobs"]).send(&cx).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unauthenticated);
        assert!(error.is_about_credentials());
    }
    assert!(upstream.take_received().len() <= 120);
}

#[tokio::test]
async fn a_response_that_is_too_large_is_downloaded_once() {
    let upstream = Upstream::start().await;
    let time = Duration::from_secs(60);
    let http = builder_with(&upstream.url(), time).build("https://vendor.example.com").unwrap();
    for (method, status, kind) in [
        (Method::GET, 200, Kind::FailedPrecondition),
        // The job may exist.
        (Method::POST, 200, Kind::Unavailable),
        (Method::GET, 403, Kind::PermissionDenied),
    ] {
        let large = Answer::new(status, json!("x".repeat(17 << 20)));
        upstream.answer_with([large, Answer::new(200, json!({}))]);
        let request = match method {
            Method::GET => http.get(&["rows"]),
            _ => http.post(&["rows"]).idempotent(),
        };
        let error = request.send(&context(time)).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{method} {status}: {error}");
        assert_eq!(upstream.take_received().len(), 1, "{method} {status}");
    }
}

#[tokio::test]
async fn of_a_refusal_with_a_long_body_the_status_alone_counts() {
    let upstream = Upstream::start().await;
    let read = |status, body: &[u8]| {
        let message = format!("{} bytes", body.len());
        (!body.is_empty()).then(|| Failure::of_status(status, message))
    };
    let http = builder(&upstream.url()).failures(read).build("https://vendor.example.com").unwrap();
    let most = 4 << 20;
    for (bytes, message) in [
        (most, "4194304 bytes"),
        (most + 1, "a server other than the vendor's API responded with 400 Bad Request"),
    ] {
        let quotes = 2;
        upstream.answer_with([Answer::new(400, json!("x".repeat(bytes - quotes)))]);
        let error = http.post(&["jobs"]).send(&context(Duration::from_secs(20))).await.unwrap_err();
        assert_eq!(error.message(), message);
    }
}

#[tokio::test]
async fn a_rate_limit_of_one_unit_does_not_stop_another() {
    let upstream = Upstream::start().await;
    let http = http(&upstream);
    let too_many = Answer::new(429, json!({})).header("retry-after", "60");
    upstream.answer_with([too_many, Answer::new(200, json!({}))]);
    let cx = context(Duration::from_secs(1));
    let (a, b) = (http.quota("project-a"), http.quota("project-b"));
    assert!(a.post(&["jobs"]).send(&cx).await.is_err());
    assert!(a.post(&["jobs"]).send(&cx).await.is_err());
    assert_eq!(upstream.take_received().len(), 1, "the second is not sent");
    for _ in 0..20 {
        b.post(&["jobs"]).send(&cx).await.unwrap();
    }
    let chosen = http.quota("project-a").signed_by(SecretToken::new("acme_token"));
    let cx = context_with_secret("acme_token", "of-the-author");
    chosen.post(&["jobs"]).send(&cx).await.unwrap();
    assert_eq!(upstream.take_received().len(), 21);
}

#[tokio::test]
async fn a_full_queue_holds_submits_and_no_other_calls() {
    let upstream = Upstream::start().await;
    let read = |_, body: &[u8]| {
        let failure = Failure::new(Kind::ResourceExhausted, "too many jobs");
        Some(if body == b"{\"full\":true}" { failure.full() } else { failure })
    };
    let http = builder(&upstream.url()).failures(read).build("https://vendor.example.com").unwrap();
    let cx = context(Duration::from_secs(8));
    let submit = || http.post(&["jobs"]).idempotent().submits_job("a");
    upstream.answer_with(vec![Answer::new(400, json!({"full": true})); 2]);
    for _ in 0..2 {
        let error = submit().send(&cx).await.unwrap_err();
        let told = (error.kind(), error.message(), error.retry_after());
        let expected = Some(Duration::from_secs(10));
        assert_eq!(told, (Kind::ResourceExhausted, "too many jobs", expected));
    }
    assert_eq!(upstream.take_received().len(), 2, "none is repeated");
    upstream.answer_with(vec![Answer::new(200, json!({})); 300]);
    // At the pace of submits they would take minutes.
    for _ in 0..100 {
        http.get(&["jobs", "1"]).send(&cx.for_poll()).await.unwrap();
        http.post(&["jobs", "1", "cancel"]).send(&cx).await.unwrap();
    }
    let cx = context(Duration::from_secs(1));
    let submits = join_all((0..30).map(|_| submit().send(&cx))).await;
    let held = submits.iter().filter_map(|sent| sent.as_ref().err());
    let held = held.map(|error| (error.kind(), error.retry_after().is_some())).collect::<Vec<_>>();
    assert!(held.len() > 20, "one submit a second: {}", held.len());
    assert!(held.iter().all(|held| *held == (Kind::ResourceExhausted, true)));
    let other = || http.post(&["jobs"]).idempotent().submits_job("b");
    let submits = join_all((0..30).map(|_| other().send(&cx))).await;
    assert!(submits.iter().all(Result::is_ok), "to another queue");
}

/// A server that accepts connections and answers nothing on the first.
async fn first_connection_is_dead() -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    #[expect(clippy::disallowed_methods, reason = "the server ends with the test")]
    tokio::spawn(async move {
        let _dead = listener.accept().await.unwrap();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
        }
    });
    url
}

#[tokio::test]
async fn a_timeout_without_any_answer_retires_the_connections() {
    let url = first_connection_is_dead().await;
    let builder = builder_with(&url, Duration::from_millis(2100));
    let http = builder.build("https://vendor.example.com").unwrap();
    let before = Arc::as_ptr(&http.shared.client.shared());
    http.get(&["jobs"]).send(&context(Duration::from_secs(10))).await.unwrap();
    assert_ne!(before, Arc::as_ptr(&http.shared.client.shared()));
}
