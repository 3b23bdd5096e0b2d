//! Sync plugins, tested with one whose behaviour its task determines.

mod conformance;
mod stream;

use std::time::Duration;

use http::Method;
use plugin_core::{
    Context, Error, Http, HttpBuilder, Kind, Phase, Result, Status, SyncPlugin, Task, TaskType,
    Value,
    testing::{Answer, Client, Dialect, TestService, Upstream, spawn_sync},
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value as Json, json};

/// A sync plugin that behaves as `custom` says.
struct Oracle {
    http: Http,
}

#[derive(Debug, clap::Args)]
struct Settings {}

#[derive(Deserialize, JsonSchema)]
struct Wish {
    answer: String,
}

impl SyncPlugin for Oracle {
    const TASK_TYPES: &'static [TaskType] =
        &[TaskType::new("oracle", 1), TaskType::new("limited", 0)];
    type Settings = Settings;
    type Custom = Wish;

    fn new(_: Settings, http: HttpBuilder) -> Result<Self> {
        Ok(Self { http: http.build("https://oracle.example")? })
    }

    async fn execute(&self, cx: &Context, task: Task<Wish>) -> Result<Status> {
        match task.custom.answer.as_str() {
            "panic" => panic!("as asked"),
            "hang" => std::future::pending().await,
            "refuse" => {
                let refusal = Error::new(Kind::FailedPrecondition, "no such model").upstream();
                return Err(refusal.with_code("NO_MODEL"));
            }
            "busy" => {
                let busy = Error::new(Kind::ResourceExhausted, "too many questions").upstream();
                return Err(busy.with_retry_after(Duration::from_secs(7)));
            }
            "outage" => return Err(Error::unavailable("no connection").upstream()),
            "target" => cx.caller().check_target("another")?,
            "retryable" => return Ok(Status::new(Phase::RetryableFailed).message("preempted")),
            "running" => {
                let half = Some(Value::Integer(1));
                return Ok(Status::new(Phase::Running).output("half", half));
            }
            "unknown" => return Ok(Status::unknown_state("dreaming")),
            "call" => drop(self.http.post(&["ask"]).send(cx).await?),
            _ => {}
        }
        Ok(Status::new(Phase::Succeeded)
            .message("answered")
            .link("Oracle", "https://oracle.example/1")
            .info("inputs", Some(task.inputs.iter().count()))
            .output("key", Some(Value::String(cx.idempotency_key().hex()))))
    }
}

fn task(answer: &str) -> Json {
    json!({
        "template": {"type": "oracle", "task_type_version": 1, "custom": {"answer": answer}},
        "output_prefix": "s3://b/1",
    })
}

async fn service() -> TestService {
    spawn_sync::<Oracle>(&["--request-timeout=4s"]).await
}

async fn for_each_dialect(test: impl AsyncFn(&TestService, Client, Dialect)) {
    for dialect in Dialect::SYNC {
        let service = service().await;
        let client = service.client(dialect, "propeller").await;
        test(&service, client, dialect).await;
    }
}

/// The status and body of a call of `method` on `path`.
async fn rest(
    service: &TestService,
    method: Method,
    path: &str,
    body: Option<Json>,
) -> (u16, Json) {
    let url = format!("http://{}{path}", service.api());
    let mut request = reqwest::Client::new().request(method, url);
    request = request.bearer_auth(service.token("propeller"));
    if let Some(body) = body {
        request = request.json(&body);
    }
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test]
async fn task_is_executed_in_one_call() {
    let mut answers = Vec::new();
    for dialect in Dialect::SYNC {
        let service = service().await;
        let client = service.client(dialect, "propeller").await;
        let mut task = task("yes");
        task["inputs"] = json!({"literals": {"a": {"scalar": {"primitive": {"integer": "1"}}}}});
        let seen = client.execute(&task).await.unwrap();
        assert_eq!(seen.phase, "SUCCEEDED");
        assert_eq!(seen.message, "answered");
        assert_eq!(seen.links, [("Oracle".to_owned(), "https://oracle.example/1".to_owned())]);
        assert_eq!(seen.custom_info, json!({"inputs": 1}));
        let key = &seen.outputs["literals"]["key"]["scalar"]["primitive"]["string_value"];
        assert_eq!(key.as_str().unwrap().len(), 64);
        assert_eq!(service.metric("flyte_connector_requests_success_total").await, 1.0);
        let metrics = service.admin_text("/metrics").await;
        assert!(metrics.contains("operation=\"execute\""));
        answers.push(seen);
    }
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test]
async fn rest_response_matches_a_get_of_a_finished_job() {
    let service = service().await;
    let body = json!({"custom": {"answer": "yes"}});
    let (status, answer) = rest(&service, Method::POST, "/plugins/v1/oracle/1", Some(body)).await;
    assert_eq!(status, 200);
    let names = answer.as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>();
    let expected = [
        "custom_info",
        "error_code",
        "job_spec",
        "job_state",
        "log_links",
        "message",
        "output_values",
        "outputs",
        "phase",
    ];
    assert_eq!(names, expected, "and no job_id");
    assert_eq!(answer["job_state"], "succeed");
    assert_eq!(answer["job_spec"]["task_type"], "oracle");
    assert_eq!(answer["job_spec"]["job"], Json::Null);
}

#[tokio::test]
async fn permanent_error_fails_the_task_with_the_vendors_message() {
    for_each_dialect(async |service, client, dialect| {
        let failure = client.execute(&task("refuse")).await;
        if dialect.is_grpc() {
            let seen = failure.unwrap();
            assert_eq!(seen.phase, "FAILED");
            assert_eq!(seen.message, "NO_MODEL: no such model");
        } else {
            let refused = failure.unwrap_err();
            assert_eq!((refused.code, refused.message.as_str()), (422, "no such model"));
            let body = Some(task("refuse"));
            let (_, problem) = rest(service, Method::POST, "/plugins/v1/oracle/1", body).await;
            assert_eq!(problem["error_code"], "NO_MODEL");
        }
    })
    .await;
}

#[tokio::test]
async fn transient_error_is_returned_for_flyte_to_retry() {
    for_each_dialect(async |_, client, dialect| {
        let grpc = dialect.is_grpc();
        for (answer, code, message) in [
            ("busy", if grpc { 8 } else { 429 }, "too many questions"),
            ("outage", if grpc { 14 } else { 503 }, "no connection"),
            ("panic", if grpc { 13 } else { 500 }, "internal error"),
        ] {
            let failed = client.execute(&task(answer)).await.unwrap_err();
            assert_eq!((failed.code, failed.message.as_str()), (code, message));
        }
    })
    .await;
}

#[tokio::test]
async fn retryable_failure_is_passed_on() {
    for_each_dialect(async |_, client, _| {
        let seen = client.execute(&task("retryable")).await.unwrap();
        assert_eq!((seen.phase.as_str(), seen.message.as_str()), ("RETRYABLE_FAILED", "preempted"));
    })
    .await;
}

#[tokio::test]
async fn non_terminal_phase_is_a_failure() {
    for_each_dialect(async |service, client, _| {
        let running = "the plugin for oracle returned the non-terminal phase RUNNING";
        for (answer, why) in [("running", running), ("unknown", "in the unknown state dreaming")] {
            let seen = client.execute(&task(answer)).await.unwrap();
            assert_eq!(seen.phase, "FAILED");
            let message = format!("NOT_TERMINAL: {why}");
            assert!(seen.message.starts_with(&message), "{}", seen.message);
            assert_eq!(seen.outputs, Json::Null);
        }
        assert_eq!(service.metric("plugin_unknown_states_total").await, 1.0);
    })
    .await;
}

#[tokio::test]
async fn hanging_execution_ends_at_the_earlier_deadline() {
    for_each_dialect(async |service, client, dialect| {
        let late = if dialect.is_grpc() { 4 } else { 503 };
        let hasty = client.clone().with_timeout(Duration::from_secs(2));
        for client in [hasty, client] {
            let failed = client.execute(&task("hang")).await.unwrap_err();
            assert_eq!(failed.code, late);
            assert_eq!(failed.message, "the task did not finish before the deadline");
        }
        assert_eq!(
            service.metric("plugin_joined_creates_total").await,
            0.0,
            "the first execution has ended"
        );
    })
    .await;
}

#[tokio::test]
async fn invalid_custom_names_the_field() {
    for_each_dialect(async |_, client, dialect| {
        let mut wrong = task("yes");
        wrong["template"]["custom"] = json!({"answer": 1});
        let message = match client.execute(&wrong).await {
            Ok(seen) => {
                assert_eq!((dialect, seen.phase.as_str()), (Dialect::Flyte1, "FAILED"));
                seen.message
            }
            Err(refused) => {
                assert_eq!(refused.code, 400);
                refused.message
            }
        };
        assert!(message.starts_with("custom.answer: invalid type"), "{message}");
    })
    .await;
}

#[tokio::test]
async fn rules_apply_to_execute() {
    for dialect in Dialect::SYNC {
        let service = service().await;
        let forbidden = if dialect.is_grpc() { 7 } else { 403 };
        let reader = service.client(dialect, "reader").await;
        let refused = reader.execute(&task("yes")).await.unwrap_err();
        assert_eq!(
            (refused.code, refused.message.as_str()),
            (forbidden, "your token does not allow execute")
        );
        let limited = service.client(dialect, "limited").await;
        assert_eq!(limited.execute(&task("yes")).await.unwrap_err().code, forbidden);
        let mut allowed = task("target");
        allowed["template"]["type"] = json!("limited");
        allowed["template"]["task_type_version"] = json!(0);
        let refused = limited.execute(&allowed).await.unwrap_err();
        assert_eq!(refused.message, "your token does not allow the target another");
        assert_eq!(refused.code, forbidden);
    }
}

#[tokio::test]
async fn unknown_task_type_lists_the_served_ones() {
    for_each_dialect(async |_, client, dialect| {
        let mut other = task("yes");
        other["template"]["task_type_version"] = json!(0);
        let refused = client.execute(&other).await.unwrap_err();
        assert_eq!(refused.code, if dialect.is_grpc() { 5 } else { 404 });
        let served = "available: limited version 0, oracle version 1";
        assert!(refused.message.ends_with(served), "{}", refused.message);
    })
    .await;
}

#[tokio::test]
async fn sync_plugin_has_no_jobs() {
    let service = service().await;
    let message = "task type oracle is synchronous and has no jobs";
    for dialect in Dialect::ALL {
        let client = service.client(dialect, "propeller").await;
        let not_found = if dialect.is_grpc() { 5 } else { 404 };
        let refused = client.create(&task("yes")).await.unwrap_err();
        assert_eq!(refused.code, not_found);
        assert!(refused.message.starts_with(message), "{}", refused.message);
    }
    for method in [Method::GET, Method::DELETE] {
        let (status, problem) =
            rest(&service, method, "/plugins/v1/oracle/1?job_id=e30", None).await;
        assert_eq!((status, problem["error_code"].as_str()), (404, Some("NOT_FOUND")));
        assert!(problem["detail"].as_str().unwrap().starts_with(message), "{problem}");
    }
}

#[tokio::test]
async fn async_plugin_cannot_be_executed() {
    let service = crate::stage::Stage::set().await.service;
    let task =
        json!({"template": {"type": "bigquery_query_job_task"}, "output_prefix": "s3://b/1"});
    for dialect in Dialect::SYNC {
        let client = service.client(dialect, "propeller").await;
        let refused = client.execute(&task).await.unwrap_err();
        assert_eq!(refused.code, if dialect.is_grpc() { 5 } else { 404 });
        let message = "task type bigquery_query_job_task is asynchronous and runs as a job";
        assert!(refused.message.starts_with(message), "{}", refused.message);
    }
}

#[tokio::test]
async fn listing_has_the_mode_of_each_type() {
    let service = service().await;
    let (_, listing) = rest(&service, Method::GET, "/plugins/v1", None).await;
    let plugins = listing["plugins"].as_array().unwrap();
    assert!(plugins.iter().all(|plugin| plugin["mode"] == "sync"), "{listing}");
    assert!(plugins.iter().all(|plugin| plugin["repeated_create"].is_null()), "{listing}");
    assert_eq!(plugins[1]["path"], "/plugins/v1/oracle/1");
    let (status, schema) = rest(&service, Method::GET, "/plugins/v1/oracle/1/schema", None).await;
    assert_eq!((status, schema["required"][0].as_str()), (200, Some("answer")));
}

#[tokio::test]
async fn shutdown_waits_for_running_executions() {
    let upstream = Upstream::start().await;
    upstream.answer_with([Answer::new(200, json!({}))]);
    upstream.hold();
    let service = spawn_sync::<Oracle>(&[&format!("--endpoint={}", upstream.url())]).await;
    let client = service.client(Dialect::Flyte1, "propeller").await;
    let (api, call) = (service.api(), task("call"));
    let stop = async {
        upstream.wait_for(1).await;
        let release = async {
            while tokio::net::TcpStream::connect(api).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            upstream.release();
        };
        tokio::join!(service.stop(), release);
    };
    let (executed, ()) = tokio::join!(client.execute(&call), stop);
    assert_eq!(executed.unwrap().phase, "SUCCEEDED");
}

#[tokio::test]
async fn executions_of_different_callers_are_separate() {
    let upstream = Upstream::start().await;
    upstream.answer_with([Answer::new(200, json!({}))]);
    upstream.hold();
    let service = spawn_sync::<Oracle>(&[&format!("--endpoint={}", upstream.url())]).await;
    let (ann, bob) =
        (service.client(Dialect::Rest, "ann").await, service.client(Dialect::Rest, "bob").await);
    let call = task("call");
    let release = async {
        upstream.wait_for(2).await;
        upstream.release();
    };
    let (first, second, ()) = tokio::join!(ann.execute(&call), bob.execute(&call), release);
    let key = |seen: plugin_core::testing::Observation| seen.outputs["literals"]["key"].clone();
    assert_ne!(key(first.unwrap()), key(second.unwrap()));
}

#[tokio::test]
async fn overload_rejects_executions() {
    let service = spawn_sync::<Oracle>(&["--max-requests=1", "--request-timeout=10s"]).await;
    let client = service.client(Dialect::Flyte1, "propeller").await;
    let refused = async {
        while service.metric("http_server_active_requests").await < 1.0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let mut other = task("yes");
        other["output_prefix"] = json!("s3://b/2");
        client.execute(&other).await.unwrap_err()
    };
    let hang = task("hang");
    tokio::select! {
        answered = client.execute(&hang) => panic!("{answered:?}"),
        refused = refused => assert!(refused.message.contains("overloaded"), "{refused:?}"),
    }
}
