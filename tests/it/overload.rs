//! More polls at once than a vendor can answer in time.

use std::{sync::LazyLock, time::Duration};

use futures_util::future::join_all;
use plugin_core::{
    Context, Http, HttpBuilder, Phase, Plugin, Result, Status, Task, TaskType,
    testing::{Client, Dialect, TestService, spawn},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use tokio::{
    net::TcpListener,
    time::{Instant, sleep},
};

/// How long propeller waits for an answer.
const PROPELLERS_TIMEOUT: Duration = Duration::from_secs(10);
/// A debug build is ten times slower, and so is the client within it.
const POLLS: usize = if cfg!(debug_assertions) { 1000 } else { 10_000 };
/// How many clients call, as replicas of propeller do.
const CLIENTS: usize = 8;
/// How long the vendor takes for an answer: polls that all reach it would take 8 s or more.
const SLOW: Duration = Duration::from_millis(500);

/// A plugin whose vendor is polled job by job.
struct Slow {
    http: Http,
}

#[derive(Debug, clap::Args)]
struct Settings {}

#[derive(Deserialize, Serialize, JsonSchema)]
struct Nothing {}

impl Plugin for Slow {
    const TASK_TYPES: &'static [TaskType] = &[TaskType::new("slow", 0)];
    type Settings = Settings;
    type Custom = Nothing;
    type Meta = Nothing;

    fn new(_: Settings, http: HttpBuilder) -> Result<Self> {
        Ok(Self { http: http.build("https://api.slow.example/")? })
    }

    async fn create(&self, cx: &Context, _: Task<Nothing>) -> Result<Nothing> {
        self.http.post(&["jobs"]).idempotent().send(cx).await?;
        Ok(Nothing {})
    }

    async fn get(&self, cx: &Context, _: Nothing) -> Result<Status> {
        self.http.get(&["jobs", "1"]).send(cx).await?;
        Ok(Status::new(Phase::Running).message("seen"))
    }

    async fn delete(&self, cx: &Context, _: Nothing) -> Result<()> {
        self.http.delete(&["jobs", "1"]).send(cx).await.map(drop)
    }
}

/// A vendor that takes [`SLOW`] for every answer.
async fn vendor() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = axum::Router::new().fallback(async || {
        sleep(SLOW).await;
        "{}"
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

static TASK: LazyLock<Json> = LazyLock::new(
    || json!({"template": {"type": "slow", "custom": {}}, "output_prefix": "s3://b/1"}),
);

async fn stage(args: &[&str]) -> (TestService, Vec<u8>) {
    let endpoint = format!("--endpoint={}", vendor().await);
    let args = [endpoint.as_str()].into_iter().chain(args.iter().copied()).collect::<Vec<_>>();
    let service = spawn::<Slow>(&args).await;
    let handle = service.client(Dialect::Flyte1, "propeller").await.create(&TASK).await.unwrap();
    (service, handle)
}

async fn clients(service: &TestService) -> Vec<Client> {
    let client = |_| async {
        let client = service.client(Dialect::Flyte1, "propeller").await;
        client.with_timeout(PROPELLERS_TIMEOUT)
    };
    join_all((0..CLIENTS).map(client)).await
}

/// Polls the job of `handle` all at once. Returns how many polls reached the vendor.
async fn poll_all(service: &TestService, handle: &[u8]) -> usize {
    let clients = clients(service).await;
    let polls = (0..POLLS).map(|number| clients[number % CLIENTS].get(&TASK, handle));
    let mut seen = 0;
    for answer in join_all(polls).await {
        match answer {
            Ok(status) => {
                assert_eq!(status.phase, "RUNNING", "{status}");
                seen += usize::from(status.message == "seen");
            }
            // Propeller repeats these.
            Err(error) => assert_eq!(error.code, 14, "{error:?}"),
        }
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_polls_at_once_are_answered_in_time() {
    let (service, handle) = stage(&[]).await;
    let started = Instant::now();
    let seen = poll_all(&service, &handle).await;
    println!("{POLLS} polls: {:?}, {seen} of them reached the vendor", started.elapsed());
    assert!(seen >= 48, "{seen}");
    // In time, or the client would have said so. Once more, now that the service knows the vendor's pace.
    assert!(poll_all(&service, &handle).await >= 48);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn polls_beyond_the_limit_are_answered_from_memory() {
    let (service, handle) = stage(&["--max-requests=100"]).await;
    let seen = poll_all(&service, &handle).await;
    assert!((48..POLLS / 2).contains(&seen), "{seen}");
    assert!(service.metric("plugin_stale_answers_total").await >= (POLLS - seen) as f64);
    assert_eq!(service.metric("plugin_shed_requests_total").await, 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn creates_and_deletes_do_not_wait_behind_polls() {
    let (service, handle) = stage(&[]).await;
    let client = service.client(Dialect::Flyte1, "propeller").await;
    let hasty = client.with_timeout(Duration::from_secs(6));
    let calls = async {
        while service.metric("http_server_active_requests").await < 40.0 {
            sleep(Duration::from_millis(5)).await;
        }
        let mut another = TASK.clone();
        another["output_prefix"] = json!("s3://b/2");
        let (created, deleted) = tokio::join!(hasty.create(&another), hasty.delete(&TASK, &handle));
        created.unwrap();
        deleted.unwrap();
    };
    tokio::join!(poll_all(&service, &handle), calls);
}
