//! The core's behaviour for every plugin, tested with one that misbehaves on request.

use std::time::Duration;

use plugin_core::{
    Context, Error, HttpBuilder, Kind, Phase, Plugin, Result, Status, Task, TaskType,
    testing::{Client, Dialect, TestService, spawn},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

struct Moody;

#[derive(Debug, clap::Args)]
struct Settings {}

#[derive(Deserialize, Serialize, JsonSchema)]
struct Mood {
    create: Option<String>,
    get: Option<String>,
    delete: Option<String>,
}

async fn act(cx: &Context, mood: Option<&str>) -> Result<()> {
    match mood {
        Some("panic") => panic!("as asked"),
        Some("hang") => std::future::pending().await,
        Some("refuse") => Err(Error::new(Kind::FailedPrecondition, "no such warehouse").upstream()),
        Some("gone") => Err(Error::not_found("the job is gone")),
        Some("forbid") => Err(Error::new(Kind::PermissionDenied, "no rights").upstream()),
        Some("target") => cx.caller().check_target("another"),
        Some("secret") => cx.secret("api_token").await.map(drop),
        _ => Ok(()),
    }
}

impl Plugin for Moody {
    const TASK_TYPES: &'static [TaskType] =
        &[TaskType::new("moody", 0), TaskType::new("limited", 3)];
    type Settings = Settings;
    type Custom = Mood;
    type Meta = Mood;

    fn new(_: Settings, _: HttpBuilder) -> Result<Self> {
        Ok(Self)
    }

    async fn create(&self, cx: &Context, task: Task<Mood>) -> Result<Mood> {
        act(cx, task.custom.create.as_deref()).await?;
        if task.custom.create.as_deref() == Some("fat") {
            return Ok(Mood { get: Some("x".repeat(2000)), ..task.custom });
        }
        Ok(task.custom)
    }

    async fn get(&self, cx: &Context, meta: Mood) -> Result<Status> {
        act(cx, meta.get.as_deref()).await?;
        Ok(Status::new(Phase::Running))
    }

    async fn delete(&self, cx: &Context, meta: Mood) -> Result<()> {
        act(cx, meta.delete.as_deref()).await
    }
}

fn task(mood: Json) -> Json {
    json!({"template": {"type": "moody", "custom": mood}, "output_prefix": "s3://b/1"})
}

async fn service() -> TestService {
    spawn::<Moody>(&["--request-timeout=2s"]).await
}

async fn for_each_dialect(test: impl AsyncFn(&TestService, Client, Dialect)) {
    for dialect in Dialect::ALL {
        let service = service().await;
        let client = service.client(dialect, "propeller").await;
        test(&service, client, dialect).await;
    }
}

#[tokio::test]
async fn panic_fails_only_its_call() {
    for_each_dialect(async |service, client, dialect| {
        let internal = if dialect.is_grpc() { 13 } else { 500 };
        let refused = client.create(&task(json!({"create": "panic"}))).await.unwrap_err();
        assert_eq!((refused.code, refused.message.as_str()), (internal, "internal error"));
        let task = task(json!({"get": "panic", "delete": "panic"}));
        let handle = client.create(&task).await.unwrap();
        assert_eq!(
            client.get(&task, &handle).await.unwrap().phase,
            "RUNNING",
            "the job has not failed"
        );
        assert_eq!(client.delete(&task, &handle).await.unwrap_err().code, internal);
        assert_eq!(service.metric("plugin_panics_total").await, 3.0);
    })
    .await;
}

#[tokio::test]
async fn hanging_plugin_is_answered_at_the_deadline() {
    for_each_dialect(async |_, client, dialect| {
        let late = if dialect.is_grpc() { 4 } else { 503 };
        let hasty = client.clone().with_timeout(Duration::from_secs(1));
        let refused = hasty.create(&task(json!({"create": "hang"}))).await.unwrap_err();
        assert_eq!(refused.code, late);
        assert!(refused.message.contains("still being submitted"), "{}", refused.message);
        let mut other = task(json!({"get": "hang", "delete": "hang"}));
        other["output_prefix"] = json!("s3://b/2");
        let handle = client.create(&other).await.unwrap();
        assert_eq!(hasty.get(&other, &handle).await.unwrap().phase, "RUNNING");
        assert_eq!(hasty.delete(&other, &handle).await.unwrap_err().code, late);
    })
    .await;
}

#[tokio::test]
async fn overload_rejects_creates_and_answers_polls_from_memory() {
    let service = spawn::<Moody>(&["--max-requests=1", "--request-timeout=4s"]).await;
    let hanging = service.client(Dialect::Flyte1, "propeller").await;
    let hang = task(json!({"create": "hang"}));
    let mut other = task(json!({}));
    other["output_prefix"] = json!("s3://b/2");
    let handle = hanging.create(&other).await.unwrap();
    let refused = async {
        // Wait until the hanging call has started.
        while service.metric("http_server_active_requests").await < 1.0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        for dialect in Dialect::ALL {
            let client = service.client(dialect, "propeller").await;
            let refused = client.create(&other).await.unwrap_err();
            assert!([14, 503].contains(&refused.code), "{refused:?}");
            assert!(refused.message.contains("overloaded"), "{}", refused.message);
            let hasty = client.with_timeout(Duration::from_secs(1));
            let seen = hasty.get(&other, &handle).await.unwrap();
            assert_eq!(seen.phase, "RUNNING");
            assert!(seen.message.starts_with("last known state"), "{seen}");
            let waited = hasty.delete(&other, &handle).await.unwrap_err();
            assert!(waited.message.contains("overloaded"), "{waited:?}");
        }
        let health = crate::raw::call(
            tonic::transport::Channel::from_shared(format!("http://{}", service.api()))
                .unwrap()
                .connect()
                .await
                .unwrap(),
            "/grpc.health.v1.Health/Check",
            Vec::new(),
            None,
        );
        assert!(health.await.is_ok());
    };
    tokio::select! {
        answered = hanging.create(&hang) => panic!("{answered:?}"),
        () = refused => {}
    }
    assert!(service.metric("plugin_shed_requests_total").await >= 3.0);
}

#[tokio::test]
async fn new_job_that_was_deleted_is_gone_when_the_vendor_does_not_list_it() {
    for_each_dialect(async |_, client, _| {
        let task = task(json!({"get": "gone"}));
        let handle = client.create(&task).await.unwrap();
        let seen = client.get(&task, &handle).await.unwrap();
        assert_eq!(seen.phase, "QUEUED", "the vendor may list it later");
        client.delete(&task, &handle).await.unwrap();
        let seen = client.get(&task, &handle).await.unwrap();
        assert_eq!((&*seen.phase, &*seen.message), ("FAILED", "the job is gone"));
        let anew = client.create(&task).await.unwrap();
        let seen = client.get(&task, &anew).await.unwrap();
        assert_eq!(seen.phase, "QUEUED", "it is another job");
    })
    .await;
}

#[tokio::test]
async fn service_may_have_several_versioned_task_types() {
    for_each_dialect(async |_, client, dialect| {
        let not_found = if dialect.is_grpc() { 5 } else { 404 };
        for (name, version, served) in
            [("moody", 0, true), ("limited", 3, true), ("limited", 0, false), ("moody", 3, false)]
        {
            let task = json!({
                "template": {"type": name, "task_type_version": version, "custom": {}},
                "output_prefix": format!("s3://{name}"),
            });
            match client.create(&task).await {
                Ok(_) => assert!(served, "{name} {version}"),
                Err(refused) => {
                    assert!(!served, "{name} {version}");
                    assert_eq!(refused.code, not_found);
                    let served = "available: limited version 3, moody version 0";
                    assert!(refused.message.ends_with(served), "{}", refused.message);
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn rules_limit_task_types_and_targets() {
    for dialect in Dialect::ALL {
        let service = service().await;
        let client = service.client(dialect, "limited").await;
        let forbidden = if dialect.is_grpc() { 7 } else { 403 };
        let moody = client.create(&task(json!({}))).await.unwrap_err();
        assert_eq!(moody.code, forbidden);
        let mut allowed = task(json!({}));
        allowed["template"]["type"] = json!("limited");
        allowed["template"]["task_type_version"] = json!(3);
        assert!(client.create(&allowed).await.is_ok());
        allowed["template"]["custom"] = json!({"create": "target"});
        allowed["output_prefix"] = json!("s3://b/2");
        let target = client.create(&allowed).await.unwrap_err();
        assert_eq!(target.code, forbidden, "the service's own error, not the vendor's");
        assert_eq!(target.message, "your token does not allow the target another");
    }
}

#[tokio::test]
async fn missing_secret_error_lists_the_locations() {
    for_each_dialect(async |_, client, dialect| {
        let task = task(json!({"create": "secret"}));
        let message = match client.create(&task).await {
            Ok(handle) => client.get(&task, &handle).await.unwrap().message,
            Err(refused) => refused.message,
        };
        for part in ["secret api_token not found", "_FSEC_API_TOKEN", "/secrets/api_token"] {
            assert!(message.contains(part), "{dialect:?}: {message}");
        }
    })
    .await;
}

#[tokio::test]
async fn missing_job_fails_its_task_and_can_be_deleted() {
    for_each_dialect(async |service, client, dialect| {
        let task = task(json!({"get": "gone", "delete": "gone"}));
        let young = client.create(&task).await.unwrap();
        assert_eq!(
            client.get(&task, &young).await.unwrap().phase,
            "QUEUED",
            "the vendor may not list it yet"
        );
        let unavailable = if dialect.is_grpc() { 14 } else { 503 };
        let again = client.delete(&task, &young).await.unwrap_err();
        assert_eq!(again.code, unavailable, "it may still start");

        let old = service.aged(&young, Duration::from_secs(60));
        let seen = client.get(&task, &old).await.unwrap();
        assert_eq!((seen.phase.as_str(), seen.message.as_str()), ("FAILED", "the job is gone"));
        assert!(client.delete(&task, &old).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn vendor_permission_error_does_not_fail_the_task() {
    for_each_dialect(async |_, client, dialect| {
        let task = task(json!({"get": "forbid", "delete": "forbid"}));
        let handle = client.create(&task).await.unwrap();
        assert_eq!(client.get(&task, &handle).await.unwrap().phase, "RUNNING");
        let unavailable = if dialect.is_grpc() { 14 } else { 503 };
        assert_eq!(client.delete(&task, &handle).await.unwrap_err().code, unavailable);
    })
    .await;
}

#[tokio::test]
async fn abandoned_create_keeps_its_permit() {
    let service = spawn::<Moody>(&["--max-requests=1", "--request-timeout=20s"]).await;
    let client = service.client(Dialect::Flyte1, "propeller").await;
    let hasty = client.clone().with_timeout(Duration::from_secs(1));
    assert!(hasty.create(&task(json!({"create": "hang"}))).await.is_err());
    let mut other = task(json!({}));
    other["output_prefix"] = json!("s3://b/2");
    let refused = client.create(&other).await.unwrap_err();
    assert!(refused.message.contains("overloaded"), "{refused:?}");
}

#[tokio::test]
async fn job_whose_handle_would_be_too_large_is_stopped() {
    for (delete, outcome) in [(None, "was stopped"), (Some("refuse"), "may still run")] {
        for_each_dialect(async |_, client, _| {
            let task = task(json!({"create": "fat", "delete": delete}));
            let message = match client.create(&task).await {
                Ok(handle) => {
                    let seen = client.get(&task, &handle).await.unwrap();
                    assert_eq!(seen.phase, "FAILED");
                    client.delete(&task, &handle).await.unwrap();
                    seen.message
                }
                Err(refused) => {
                    assert_eq!(refused.code, 422);
                    refused.message
                }
            };
            assert!(message.contains(&format!("the job {outcome}")), "{message}");
        })
        .await;
    }
}
