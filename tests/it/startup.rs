//! The service's program: its messages, settings, startup and shutdown.

use std::{collections::BTreeMap, time::Duration};

use axum::{Router, extract::State};
use bytes::Bytes;
use http::HeaderMap;
use plugin_core::testing::Dialect;
use tests::{
    fakes::bigquery::{FakeBigQuery, Options},
    golden::{Flyte, Golden},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
    sync::mpsc,
    time::timeout,
};

use crate::program::{self, ANYWHERE, Running};

async fn output(args: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String) {
    program::output("bigquery", args, variables).await
}

async fn start(args: &[&str], variables: &[(&str, &str)]) -> Running {
    Running::start("bigquery", args, variables).await
}

#[tokio::test]
async fn unauthenticated_service_must_be_enabled_explicitly() {
    let (code, text) = output(&ANYWHERE, &[]).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("--handle-keys (PLUGIN_HANDLE_KEYS) is missing"), "{text}");

    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("handle.key");
    std::fs::write(&key, [7; 32]).unwrap();
    let (code, text) = output(&ANYWHERE, &[("PLUGIN_HANDLE_KEYS", key.to_str().unwrap())]).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("--auth (PLUGIN_AUTH) is missing"), "{text}");

    let both = [ANYWHERE[0], ANYWHERE[1], "--insecure-no-auth", "--auth=x"];
    let (code, text) = output(&both, &[]).await;
    assert_eq!(code, Some(1));
    assert!(text.contains("are mutually exclusive"), "{text}");
}

#[tokio::test]
async fn invalid_settings_are_reported() {
    for (args, code, expected) in [
        (vec!["--listen=here"], 2, "--listen"),
        (vec!["--listen=23010"], 2, "expected IP:PORT, for example 0.0.0.0:23010"),
        (vec!["--admin-listen=localhost:23010"], 2, "for example 127.0.0.1:23010"),
        (vec!["--request-timeout=90"], 2, "--request-timeout"),
        (vec!["--log-format=xml"], 2, "--log-format"),
        (vec!["--connection-age=0s"], 2, "greater than zero"),
        (vec!["--http1-idle-timeout=0s"], 2, "--http1-idle-timeout"),
        (vec!["--max-connections=0"], 2, "--max-connections"),
        (vec!["--max-requests=0"], 2, "--max-requests"),
        (vec!["--max-body-bytes=0"], 2, "--max-body-bytes"),
        (vec!["--insecure-no-auth", "--log-level= "], 1, "log level: missing"),
        (vec!["--trace-ratio=2"], 2, "from 0 to 1"),
        (vec!["--insecure-no-auth", "--log-level=nonsense=loud"], 1, "log level"),
        (vec!["--insecure-no-auth", "--endpoint=http://bigquery.example.com"], 1, "plain http"),
        (vec!["--insecure-no-auth", "--endpoint=bigquery"], 1, "endpoint: is not a URL"),
        (vec!["--insecure-no-auth", "--handle-keys=/nowhere"], 1, "/nowhere"),
        (vec!["--insecure-no-auth", "--listen=203.0.113.1:1"], 1, "203.0.113.1:1"),
    ] {
        let named = |default: &&str| {
            let flag = default.split('=').next();
            !args.iter().any(|arg| arg.split('=').next() == flag)
        };
        let all = ANYWHERE.iter().copied().filter(named).chain(args.iter().copied());
        let (actual, text) = output(&all.collect::<Vec<_>>(), &[]).await;
        assert_eq!(actual, Some(code), "{args:?}: {text}");
        assert!(text.contains(expected), "{args:?}: {text}");
    }
}

#[tokio::test]
async fn help_lists_settings_and_subcommands() {
    let (code, help) = output(&["--help"], &[]).await;
    assert_eq!(code, Some(0));
    let settings = ["--listen", "PLUGIN_LISTEN", "BIGQUERY_ENDPOINT", "BIGQUERY_EMULATOR_HOST"];
    for expected in settings.into_iter().chain(["health-check"]) {
        assert!(help.contains(expected), "{expected}");
    }
}

#[tokio::test]
async fn health_check_reports_the_state_of_the_service() {
    let fake = FakeBigQuery::start(Options { require_token: false, ..Options::default() }).await;
    let emulator = fake.unwrap().url();
    let variables = [("BIGQUERY_EMULATOR_HOST", emulator.as_str())];
    let running = start(&["--insecure-no-auth", "--drain-delay=5s"], &variables).await;
    let url = format!("http://{}", running.api);
    assert_eq!(output(&["health-check", &url], &[]).await, (Some(0), "SERVING\n".to_owned()));
    let listen = [("PLUGIN_LISTEN", running.api.as_str())];
    assert_eq!(output(&["health-check"], &listen).await, (Some(0), "SERVING\n".to_owned()));

    let admin = format!("http://{}", running.admin);
    let (code, text) = output(&["health-check", &admin], &[]).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("is it the admin port instead of the API port?"), "{text}");

    running.signal().await;
    let draining = async {
        loop {
            let (code, text) = output(&["health-check", &url], &[]).await;
            if code != Some(0) {
                return (code, text);
            }
        }
    };
    let (code, text) =
        timeout(Duration::from_secs(4), draining).await.expect("drains within the timeout");
    assert_eq!(code, Some(1), "{text}");
    assert!(text.starts_with("NOT_SERVING\nbigquery: "), "{text}");
}

#[tokio::test]
async fn environment_variables_accept_common_spellings() {
    let fake = FakeBigQuery::start(Options { require_token: false, ..Options::default() }).await;
    let emulator = fake.unwrap().url();
    let running = start(
        &[],
        &[
            ("PLUGIN_INSECURE_NO_AUTH", "1"),
            ("PLUGIN_AUTH", ""),
            ("PLUGIN_HANDLE_KEYS", ""),
            ("PLUGIN_DRAIN_DELAY", "0s"),
            ("BIGQUERY_EMULATOR_HOST", &emulator),
        ],
    )
    .await;
    assert_eq!(running.terminate().await.0, Some(0));
    let (code, text) = output(&ANYWHERE, &[("PLUGIN_INSECURE_NO_AUTH", "maybe")]).await;
    assert_eq!(code, Some(2), "{text}");
}

#[tokio::test]
async fn unusable_credentials_prevent_startup() {
    let args = [ANYWHERE[0], ANYWHERE[1], "--insecure-no-auth"];
    let variables = [("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/key.json")];
    let (code, text) = output(&args, &variables).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("Google credentials cannot be used"), "{text}");
}

#[tokio::test]
async fn identity_comes_from_the_metadata_server() {
    let fake = FakeBigQuery::start(Options::default()).await.unwrap();
    let metadata = fake.url().replace("http://", "");
    let running = start(
        &["--insecure-no-auth", "--drain-delay=0s"],
        &[("BIGQUERY_ENDPOINT", &fake.url()), ("GCE_METADATA_HOST", &metadata)],
    )
    .await;
    let task = Golden::read(Flyte::V1, "bq_scalars").unwrap().json;
    let client = running.client(Dialect::Flyte1).await;
    let handle = client.create(&task).await.unwrap();
    let seen = client.get(&task, &handle).await.unwrap();
    assert_eq!(seen.phase, "QUEUED", "{}", seen.message);
    let scopes = fake.scopes().into_iter().collect::<Vec<_>>();
    assert_eq!(scopes, ["https://www.googleapis.com/auth/cloud-platform"]);
    drop(client);
    let (code, log) = running.terminate().await;
    assert_eq!(code, Some(0));
    assert!(log.contains("SIGTERM") && log.contains("stopped"), "{log}");
}

#[tokio::test]
async fn emulator_is_called_without_credentials() {
    let options = Options { require_token: false, ..Options::default() };
    let fake = FakeBigQuery::start(options).await.unwrap();
    for host in [fake.url(), fake.url().replace("http://", "")] {
        let running = start(&["--insecure-no-auth"], &[("BIGQUERY_EMULATOR_HOST", &host)]).await;
        let task = Golden::read(Flyte::V1, "bq_select_one").unwrap().json;
        let client = running.client(Dialect::Flyte2).await;
        let handle = client.create(&task).await.unwrap();
        assert!(client.get(&task, &handle).await.is_ok());
    }
}

/// Receives traces as an OpenTelemetry collector does.
pub(crate) async fn collector() -> (String, mpsc::UnboundedReceiver<Bytes>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let export = async |State(sender): State<mpsc::UnboundedSender<Bytes>>, body: Bytes| {
        let _ = sender.send(body);
        let mut headers = HeaderMap::new();
        headers.insert("content-type", "application/grpc".parse().unwrap());
        headers.insert("grpc-status", "0".parse().unwrap());
        headers
    };
    let router = Router::new().fallback(export).with_state(sender);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::task::spawn(async move { axum::serve(listener, router).await });
    (format!("http://{address}"), receiver)
}

#[tokio::test]
async fn traces_are_exported() {
    let (endpoint, mut received) = collector().await;
    let fake = FakeBigQuery::start(Options { require_token: false, ..Options::default() }).await;
    let fake = fake.unwrap();
    let running = start(
        &["--insecure-no-auth", "--drain-delay=0s"],
        &[("BIGQUERY_EMULATOR_HOST", &fake.url()), ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)],
    )
    .await;
    let task = Golden::read(Flyte::V1, "bq_select_one").unwrap().json;
    running.client(Dialect::Flyte1).await.create(&task).await.unwrap();
    let parent = "4bf92f3577b34da6a3ce929d0e0e4736";
    let url = format!("http://{}/plugins/v1", running.api);
    let traced = reqwest::Client::new().get(url);
    let traced = traced.header("traceparent", format!("00-{parent}-00f067aa0ba902b7-01"));
    assert_eq!(traced.send().await.unwrap().status(), 200);
    let (code, log) = running.terminate().await;
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains(&format!("\"trace_id\":\"{parent}\"")), "the caller's trace is continued");
    let mut traces = Vec::new();
    while let Ok(Some(batch)) = timeout(Duration::from_secs(1), received.recv()).await {
        traces.extend(batch);
    }
    let traces = String::from_utf8_lossy(&traces).into_owned();
    for expected in
        ["flyteidl.service.AsyncAgentService/CreateTask", "/bigquery/v2/projects/", "service.name"]
    {
        assert!(traces.contains(expected), "no {expected}");
    }
}

#[tokio::test]
async fn unresponsive_collector_delays_no_call_and_the_end_by_seconds() {
    let fake = FakeBigQuery::start(Options { require_token: false, ..Options::default() }).await;
    let fake = fake.unwrap();
    // Accepts connections but never responds.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let running = start(
        &["--insecure-no-auth", "--drain-delay=0s"],
        &[("BIGQUERY_EMULATOR_HOST", &fake.url()), ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)],
    )
    .await;
    let task = Golden::read(Flyte::V1, "bq_select_one").unwrap().json;
    running.client(Dialect::Flyte1).await.create(&task).await.unwrap();
    let ended = timeout(Duration::from_secs(5), running.terminate()).await;
    assert_eq!(ended.expect("exporting is given up").0, Some(0));
}

#[tokio::test]
async fn admin_and_api_ports_serve_separate_routes() {
    let fake = FakeBigQuery::start(Options { require_token: false, ..Options::default() }).await;
    let emulator = fake.unwrap().url();
    let running = start(&["--insecure-no-auth"], &[("BIGQUERY_EMULATOR_HOST", &emulator)]).await;
    let status = async |address: &str, path: &str| {
        reqwest::get(format!("http://{address}{path}")).await.unwrap().status().as_u16()
    };
    let expected = BTreeMap::from([
        (("api", "/metrics"), 404),
        (("api", "/readyz"), 404),
        (("api", "/plugins/v1"), 200),
        (("admin", "/metrics"), 200),
        (("admin", "/readyz"), 200),
        (("admin", "/plugins/v1"), 404),
    ]);
    for ((port, path), code) in expected {
        let address = if port == "api" { &running.api } else { &running.admin };
        assert_eq!(status(address, path).await, code, "{port} {path}");
    }
}

/// A proxy that rejects every request; the receiver gets the requested targets.
async fn proxy() -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (asked, targets) = mpsc::channel(100);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream = BufReader::new(stream);
            let mut line = String::new();
            stream.read_line(&mut line).await.unwrap();
            let target = line.split(' ').nth(1).unwrap_or_default().to_owned();
            let _ =
                stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n").await;
            asked.send(target).await.unwrap();
        }
    });
    (url, targets)
}

#[tokio::test]
async fn cluster_keys_are_fetched_without_a_proxy() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let token = file("token", "t");
    let auth = file(
        "auth.yaml",
        &format!(
            "issuers:
- {{name: cluster, issuer: c, audiences: [a], jwks: {{url: 'https://cluster.invalid/', bearer_token_file: {token}}}}}
- {{name: idp, issuer: i, audiences: [a], jwks: {{url: 'https://idp.invalid/'}}}}
rules: [{{issuer: idp, role: user}}]
"
        ),
    );
    let key = file("handle.key", &"7".repeat(32));
    let (proxy, mut targets) = proxy().await;
    let running =
        start(&["--auth", &auth, "--handle-keys", &key], &[("HTTPS_PROXY", &proxy)]).await;

    let metrics = format!("http://{}/metrics", running.admin);
    let failed =
        |issuer| format!("plugin_jwks_fetches_total{{issuer=\"{issuer}\",result=\"error\"}}");
    let both = async {
        loop {
            let text = reqwest::get(&metrics).await.unwrap().text().await.unwrap();
            if text.contains(&failed("cluster")) && text.contains(&failed("idp")) {
                return;
            }
        }
    };
    timeout(Duration::from_secs(20), both).await.expect("both keys are fetched within the timeout");
    let mut asked = Vec::new();
    while let Ok(target) = targets.try_recv() {
        asked.push(target);
    }
    assert!(
        !asked.is_empty() && asked.iter().all(|target| target == "idp.invalid:443"),
        "{asked:?}"
    );
}
