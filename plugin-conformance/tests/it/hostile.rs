//! Services that mean harm: the program ends, within its bounds, with an error or a report.

use std::{convert::Infallible, time::Duration};

use axum::{Router, body::Body, extract::Request, response::Response};
use bytes::Bytes;
use clap::Parser as _;
use futures_util::{StreamExt as _, stream};
use http_body_util::StreamBody;
use hyper::body::Frame;
use plugin_conformance::{Args, Outcome, run};
use tokio::{
    io::AsyncWriteExt as _,
    net::TcpListener,
    time::{Instant, sleep},
};

use crate::{
    fake::{ASYNC, Fault, TOKEN, serve, start},
    faults::task,
    file, ids,
};

/// Longer than any run of these tests needs.
const BOUND: Duration = Duration::from_secs(20);

/// What a run against `url` comes to, which must end in time.
async fn outcome(url: &str) -> String {
    let url = format!("--url={url}");
    let args = Args::parse_from(["plugin-conformance", &url, "--timeout=300ms"]);
    let started = Instant::now();
    let run = run(&args).await;
    assert!(started.elapsed() < BOUND, "{:?}", started.elapsed());
    match run {
        Ok(report) => report.text(),
        Err(error) => error.to_string(),
    }
}

/// A server that answers each request with a body that does not end: each part after a pause.
async fn endless(content_type: &'static str, part: Bytes, pause: Duration) -> crate::fake::Running {
    let answer = move |_: Request| {
        let part = part.clone();
        async move {
            let parts = stream::repeat(part).then(move |part| async move {
                sleep(pause).await;
                Ok::<_, Infallible>(Frame::data(part))
            });
            let mut response = Response::new(Body::new(StreamBody::new(parts)));
            response.headers_mut().insert("content-type", content_type.parse().unwrap());
            response
        }
    };
    serve(Router::new().fallback(answer)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_answer_is_cut_off() {
    let zeros = Bytes::from_static(&[0; 64 << 10]);
    let server = endless("application/grpc", zeros, Duration::ZERO).await;
    let error = outcome(&format!("http://{}", server.address)).await;
    assert_eq!(error.matches("more than 4194304 bytes").count(), 3, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_trickles_is_cut_off() {
    let byte = Bytes::from_static(b" ");
    let server = endless("application/json", byte, Duration::from_millis(50)).await;
    let error = outcome(&format!("http://{}", server.address)).await;
    assert_eq!(error.matches("no answer within").count(), 3, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_another_protocol_is_an_error() {
    for greeting in [&b""[..], b"220 mail.example.com ESMTP\r\n", &[0xff; 4096]] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.write_all(greeting).await;
                open.push(stream);
            }
        });
        let error = outcome(&format!("http://{address}")).await;
        assert!(error.contains("the task types could not be listed"), "{error}");
        server.abort();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_end_with_the_time_for_all_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let fake = start(Fault::DeletedJobRunsOn).await;
    let url = format!("--url=http://{}", fake.address);
    let token = file(&dir, "--token-file", TOKEN);
    let task = file(&dir, "--task", &task(ASYNC, "hi").to_string());
    let limits = ["--time-limit=1h", "--max-time=2s", "--only=delete,leaks"];
    let mut line = vec!["plugin-conformance", &url, &token, &task];
    line.extend(limits);
    let started = Instant::now();
    let report = run(&Args::parse_from(line)).await.unwrap();
    assert!(started.elapsed() < BOUND);
    let failed = ids(&report, &[Outcome::Fail]);
    assert_eq!(failed, ["delete/twice: the check did not end within --max-time"]);
    let skipped = ids(&report, &[Outcome::Skip]);
    assert!(skipped.contains(&"leaks/no-canary: --max-time has passed".to_owned()), "{skipped:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_service_says_cannot_steer_a_terminal() {
    let answer = |_: Request| async {
        Response::builder().status(500).body(Body::from("\u{1b}[2J\u{1b}]0;title\u{7}")).unwrap()
    };
    let server = serve(Router::new().fallback(answer)).await;
    let error = outcome(&format!("http://{}", server.address)).await;
    assert!(error.contains(r"\u{1b}[2J") && !error.contains('\u{1b}'), "{error}");
}
