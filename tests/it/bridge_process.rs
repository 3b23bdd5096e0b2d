//! The bridge's program: replicas that end, and traces.

use std::{path::PathBuf, sync::Arc, time::Duration};

use http::HeaderMap;
use plugin_core::testing::Dialect;
use serde_json::{Value as Json, json};
use tempfile::TempDir;
use tests::fakes::{
    connector::{Connectors, Flyte},
    jobs::{Jobs, Keys},
    plugin_server::PluginServer,
};
use tokio::time::{sleep, timeout};

use crate::{program::Running, startup::collector};

const SOON: Duration = Duration::from_millis(20);

/// A process behind the bridge.
enum Process {
    Connectors(Connectors),
    Server(PluginServer),
}

impl Process {
    async fn connectors(flyte: Flyte) -> Self {
        Self::Connectors(Connectors::start(flyte, &["task"], &[]).await)
    }

    async fn server() -> Self {
        let server = PluginServer::start().await;
        let plugins = json!({"plugins": [{"task_type": "task"}]});
        server.answer(http::Method::GET, "/plugins/v1", 200, plugins);
        Self::Server(server)
    }

    fn create_in(&self, jobs: &Arc<Jobs>) {
        match self {
            Self::Connectors(connectors) => connectors.create_in(jobs),
            Self::Server(server) => server.create_in(jobs),
        }
    }

    /// The headers of each create.
    fn creates(&self) -> Vec<HeaderMap> {
        match self {
            Self::Connectors(connectors) => {
                connectors.calls("CreateTask").into_iter().map(|call| call.headers).collect()
            }
            Self::Server(server) => {
                let creates = server.received(&http::Method::PUT);
                creates.into_iter().map(|create| create.headers).collect()
            }
        }
    }

    fn socket(&self) -> PathBuf {
        match self {
            Self::Connectors(connectors) => connectors.socket(),
            Self::Server(server) => server.socket(),
        }
    }
}

/// What replicas of the bridge share.
struct Replicas {
    process: Process,
    dir: TempDir,
}

impl Replicas {
    fn of(process: Process) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("handle.key"), [7; 32]).unwrap();
        Self { process, dir }
    }

    /// Another replica, ready.
    async fn start(&self, args: &[&str], variables: &[(&str, &str)]) -> Running {
        let upstream = format!("--upstream=unix:{}", self.process.socket().display());
        let keys = format!("--handle-keys={}", self.dir.path().join("handle.key").display());
        let line = [&*upstream, &*keys, "--task-types=task", "--insecure-no-auth"];
        let line = [&line[..], &["--drain-delay=0s"], args].concat();
        let replica = Running::start("bridge", &line, variables).await;
        while get(&replica.admin, "/readyz").await != "ok\n" {
            sleep(SOON).await;
        }
        replica
    }
}

async fn get(address: &str, path: &str) -> String {
    let response = reqwest::get(format!("http://{address}{path}")).await.unwrap();
    response.text().await.unwrap()
}

async fn promise(replica: &Running) -> Json {
    let listed: Json = serde_json::from_str(&get(&replica.api, "/plugins/v1").await).unwrap();
    listed["plugins"][0]["repeated_create"].clone()
}

fn task() -> Json {
    json!({"template": {"type": "task"}, "output_prefix": "s3://b/1"})
}

async fn until(condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            sleep(SOON).await;
        }
    };
    timeout(Duration::from_secs(10), waiting).await.expect("in time");
}

/// Kills `replica` after the process has started the job of a create, and before it has answered.
async fn kill_within_create(replica: Running, jobs: &Arc<Jobs>, dialect: Dialect) {
    jobs.hold();
    let (client, again) = (replica.client(dialect).await, replica.client(dialect).await);
    let task = task();
    let creates = async { tokio::join!(client.create(&task), again.create(&task)) };
    let killed = async {
        until(|| jobs.count() == 1).await;
        // The second create joins the first.
        while !get(&replica.admin, "/metrics").await.contains("plugin_joined_creates_total 1") {
            sleep(SOON).await;
        }
        replica.kill().await;
    };
    let ((first, second), ()) = tokio::join!(creates, killed);
    assert!(first.is_err() && second.is_err(), "its answer is lost");
    jobs.release();
}

#[tokio::test]
async fn a_repeat_at_another_replica_finds_the_job_if_the_process_looks_for_the_key() {
    const IDEMPOTENT: &[&str] = &["--idempotent-task-types=task"];
    for (process, args, dialect) in [
        (Process::server().await, &[][..], Dialect::Flyte2),
        (Process::connectors(Flyte::V1).await, IDEMPOTENT, Dialect::Flyte1),
        (Process::connectors(Flyte::V2).await, IDEMPOTENT, Dialect::Flyte2),
    ] {
        let jobs = Arc::new(Jobs::new(Keys::Kept));
        process.create_in(&jobs);
        let replicas = Replicas::of(process);
        let first = replicas.start(args, &[]).await;
        let second = replicas.start(args, &[]).await;
        assert_eq!(promise(&second).await, "up_to_plugin", "{dialect}");
        Box::pin(kill_within_create(first, &jobs, dialect)).await;
        second.client(dialect).await.create(&task()).await.unwrap();
        assert_eq!(replicas.process.creates().len(), 2, "{dialect}: both were sent");
        assert_eq!(jobs.count(), 1, "{dialect}");
        let metrics = get(&second.admin, "/metrics").await;
        assert!(!metrics.contains("plugin_creates_without_idempotency_total{"), "{metrics}");
    }
}

/// The README says so.
#[tokio::test]
async fn a_repeat_at_another_replica_starts_a_second_job_if_connectors_ignore_the_key() {
    for (flyte, dialect) in [(Flyte::V1, Dialect::Flyte1), (Flyte::V2, Dialect::Flyte2)] {
        let jobs = Arc::new(Jobs::new(Keys::Ignored));
        let process = Process::connectors(flyte).await;
        process.create_in(&jobs);
        let replicas = Replicas::of(process);
        let first = replicas.start(&[], &[]).await;
        let second = replicas.start(&[], &[]).await;
        assert_eq!(promise(&second).await, "remembered", "{dialect}");
        Box::pin(kill_within_create(first, &jobs, dialect)).await;
        let client = second.client(dialect).await;
        client.create(&task()).await.unwrap();
        assert_eq!(jobs.count(), 2, "{dialect}: nobody knows of the first");
        client.create(&task()).await.unwrap();
        assert_eq!(jobs.count(), 2, "{dialect}: this replica remembers its own");
        let expected =
            "plugin_creates_without_idempotency_total{task_type=\"task\",outcome=\"known\"} 1";
        let metrics = get(&second.admin, "/metrics").await;
        assert!(metrics.contains(expected), "{metrics}");
    }
}

#[tokio::test]
async fn an_idempotent_task_type_that_is_not_served_is_refused() {
    let args = ["--upstream=http://127.0.0.1:1", "--task-types=a", "--idempotent-task-types=a:1"];
    let args = [&crate::program::ANYWHERE[..], &args, &["--insecure-no-auth"]].concat();
    let (code, text) = crate::program::output("bridge", &args, &[]).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("has a:1, which --task-types has not"), "{text}");
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// Creates a job over REST, as a part of a trace.
async fn create_traced(replica: &Running) {
    let url = format!("http://{}/plugins/v1/task/0", replica.api);
    let body = json!({"custom": {}, "output_prefix": "s3://b/1"});
    let request = reqwest::Client::new().put(url).json(&body);
    let request = request.header("traceparent", format!("00-{TRACE}-{PARENT}-01"));
    let response = request.header("tracestate", "acme=1").send().await.unwrap();
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn each_call_continues_the_trace_with_its_own_span() {
    for process in [
        Process::server().await,
        Process::connectors(Flyte::V1).await,
        Process::connectors(Flyte::V2).await,
    ] {
        process.create_in(&Arc::new(Jobs::new(Keys::Kept)));
        let (endpoint, mut received) = collector().await;
        let replicas = Replicas::of(process);
        let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint)];
        let replica = replicas.start(&[], &variables).await;
        create_traced(&replica).await;
        assert_eq!(replica.terminate().await.0, Some(0));

        let headers = &replicas.process.creates()[0];
        let parent = headers["traceparent"].to_str().unwrap();
        let [version, trace, span, flags] = parent.split('-').collect::<Vec<_>>()[..] else {
            panic!("{parent}");
        };
        assert_eq!((version, trace, flags), ("00", TRACE, "01"));
        assert_ne!(span, PARENT);
        assert_eq!(headers["tracestate"], "acme=1");
        let mut spans = Vec::new();
        while let Ok(Some(batch)) = timeout(Duration::from_secs(1), received.recv()).await {
            spans.extend(batch);
        }
        assert!(is_id_of_a_span(&spans, span), "the call's own span is exported");
    }
}

/// Whether exported `spans` have one with this id: the field 2 of 8 bytes.
fn is_id_of_a_span(spans: &[u8], id: &str) -> bool {
    let id = u64::from_str_radix(id, 16).unwrap().to_be_bytes();
    let field = [&[2 << 3 | 2, 8], &id[..]].concat();
    spans.windows(field.len()).any(|window| window == field)
}

#[tokio::test]
async fn no_trace_is_sent_while_tracing_is_off() {
    for process in [Process::server().await, Process::connectors(Flyte::V1).await] {
        process.create_in(&Arc::new(Jobs::new(Keys::Kept)));
        let replicas = Replicas::of(process);
        let replica = replicas.start(&[], &[]).await;
        create_traced(&replica).await;
        let headers = &replicas.process.creates()[0];
        assert!(!headers.contains_key("traceparent") && !headers.contains_key("tracestate"));
    }
}
