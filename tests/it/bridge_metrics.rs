//! What the bridge counts of its calls to the process behind it.

use std::{sync::Arc, time::Duration};

use bridge::Bridge;
use http::Method;
use plugin_core::testing::{Dialect, TestService, spawn_raw};
use serde_json::{Value as Json, json};
use tests::fakes::{
    connector::{Connectors, Flyte, got},
    jobs::{Jobs, Keys},
    plugin_server::PluginServer,
};
use tokio::time::{sleep, timeout};
use tonic::Code;

async fn bridge(socket: &std::path::Path, args: &[&str]) -> TestService {
    let upstream = format!("--upstream=unix:{}", socket.display());
    let service = spawn_raw::<Bridge>(&[&[&*upstream, "--task-types=shout"], args].concat()).await;
    while service.admin_text("/readyz").await != "ok\n" {
        sleep(Duration::from_millis(20)).await;
    }
    service
}

fn task(attempt: u32) -> Json {
    json!({"template": {"type": "shout"}, "output_prefix": format!("s3://b/{attempt}")})
}

/// Waits until the metrics have all of `samples`.
async fn counted(service: &TestService, samples: &[&str]) {
    let mut text = String::new();
    let waiting = async {
        loop {
            text = service.admin_text("/metrics").await;
            if samples.iter().all(|sample| text.contains(sample)) {
                break;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    let outcome = timeout(Duration::from_secs(5), waiting).await;
    assert!(outcome.is_ok(), "not all of {samples:?} in\n{text}");
}

fn call(operation: &str, outcome: &str, count: u32) -> String {
    format!(
        "plugin_upstream_call_duration_seconds_count{{operation=\"{operation}\",outcome=\"{outcome}\"}} {count}"
    )
}

fn create_without_key(outcome: &str, count: u32) -> String {
    format!(
        "plugin_creates_without_idempotency_total{{task_type=\"shout\",outcome=\"{outcome}\"}} {count}"
    )
}

async fn connectors(flyte: Flyte) -> Connectors {
    let connectors = Connectors::start(flyte, &["shout"], &[]).await;
    connectors.create_as(b"1");
    // RUNNING.
    connectors.answer("GetTask", [Ok(got(&[5 << 3, 2]))]);
    connectors
}

#[tokio::test]
async fn calls_of_connectors_are_counted_by_operation_and_outcome() {
    for flyte in [Flyte::V1, Flyte::V2] {
        let connectors = connectors(flyte).await;
        let service = bridge(&connectors.socket(), &["--delete-succeeded"]).await;
        let client = service.client(Dialect::Flyte1, "propeller").await;
        let handle = client.create(&task(1)).await.unwrap();
        client.get(&task(1), &handle).await.unwrap();
        connectors.answer("GetTask", [Err((Code::Internal, "boom"))]);
        client.get(&task(1), &handle).await.unwrap();
        connectors.answer("GetTask", [Err((Code::Unavailable, "restarting"))]);
        client.get(&task(1), &handle).await.unwrap();
        connectors.answer("DeleteTask", [Err((Code::NotFound, "gone"))]);
        client.delete(&task(1), &handle).await.unwrap_err();
        let expected = [
            call("discover", "success", 1),
            call("create", "success", 1),
            call("get", "success", 1),
            call("get", "exception", 1),
            call("get", "failure", 1),
            call("delete", "refused", 1),
            create_without_key("known", 1),
        ];
        counted(&service, &expected.each_ref().map(String::as_str)).await;
        counted(&service, &[
            "http_client_request_duration_seconds_count{http_request_method=\"POST\",server_address=\"localhost\",http_response_status_code=\"200\",error_type=\"UNAVAILABLE\"} 1",
        ]).await;
    }
}

#[tokio::test]
async fn calls_of_a_server_of_plugins_are_counted_by_operation_and_outcome() {
    let server = PluginServer::start().await;
    let service = bridge(&server.socket(), &["--delete-succeeded"]).await;
    let client = service.client(Dialect::Rest, "propeller").await;
    let handle = client.create(&task(1)).await.unwrap();
    client.get(&task(1), &handle).await.unwrap();
    server.answer(Method::GET, "/plugins/v1/shout", 500, Json::Null);
    client.get(&task(1), &handle).await.unwrap();
    server.answer(Method::DELETE, "", 503, Json::Null);
    client.delete(&task(1), &handle).await.unwrap_err();
    let expected = [
        call("discover", "success", 1),
        call("create", "success", 1),
        call("get", "success", 1),
        call("get", "exception", 1),
        call("delete", "failure", 1),
    ];
    counted(&service, &expected.each_ref().map(String::as_str)).await;
    counted(&service, &[
        "http_client_request_duration_seconds_count{http_request_method=\"DELETE\",server_address=\"localhost\",http_response_status_code=\"503\",error_type=\"UNAVAILABLE\"} 1",
    ]).await;
    assert!(!service.admin_text("/metrics").await.contains("without_idempotency_total{"));
}

/// Its caller has an error that says that there is no job, and may have asked another replica.
#[tokio::test]
async fn a_create_whose_caller_left_while_it_waited_is_not_sent() {
    let connectors = connectors(Flyte::V1).await;
    let jobs = Arc::new(Jobs::new(Keys::Ignored));
    connectors.create_in(&jobs);
    jobs.hold();
    let service = bridge(&connectors.socket(), &["--connector-concurrency=1"]).await;
    let client = service.client(Dialect::Flyte1, "propeller").await;
    let impatient = client.clone().with_timeout(Duration::from_millis(300));
    let (first, second) = (task(1), task(2));
    let work = async {
        counted(&service, &["plugin_upstream_active_calls{operation=\"create\"} 1"]).await;
        let waits = ["plugin_upstream_waiting_calls{operation=\"create\"} 1"];
        let (left, ()) = tokio::join!(impatient.create(&second), counted(&service, &waits));
        left.unwrap_err();
        jobs.release();
    };
    let (created, ()) = tokio::join!(client.create(&first), work);
    created.unwrap();
    counted(
        &service,
        &[
            "plugin_upstream_active_calls{operation=\"create\"} 0",
            "plugin_upstream_waiting_calls{operation=\"create\"} 0",
        ],
    )
    .await;
    assert_eq!(jobs.count(), 1);
    client.create(&second).await.unwrap();
    assert_eq!(jobs.count(), 2, "its repeat is another attempt");
}

#[tokio::test]
async fn a_create_counts_as_unknown_if_nothing_says_whether_there_is_a_job() {
    for (answer, outcome) in [
        (Ok(vec![0xff]), "unknown"),
        (Err((Code::DeadlineExceeded, "")), "unknown"),
        (Err((Code::Internal, "no such model")), "known"),
        (Err((Code::InvalidArgument, "no such model")), "known"),
    ] {
        let connectors = connectors(Flyte::V1).await;
        let service = bridge(&connectors.socket(), &[]).await;
        let client = service.client(Dialect::Flyte1, "propeller").await;
        connectors.answer("CreateTask", [answer]);
        let _ = client.create(&task(1)).await;
        counted(&service, &[&create_without_key(outcome, 1)]).await;
    }
}

#[tokio::test]
async fn a_create_that_reached_no_process_does_not_count_as_sent() {
    let mut connectors = connectors(Flyte::V1).await;
    let service = bridge(&connectors.socket(), &[]).await;
    let client = service.client(Dialect::Flyte1, "propeller").await;
    let jobs = Arc::new(Jobs::new(Keys::Ignored));
    connectors.create_in(&jobs);
    jobs.hold();
    let first = task(1);
    let end = async {
        while jobs.count() == 0 {
            sleep(Duration::from_millis(20)).await;
        }
        connectors.stop();
    };
    let (lost, ()) = tokio::join!(client.create(&first), end);
    assert_eq!(lost.unwrap_err().code, Code::Unavailable as i32);
    counted(&service, &[&create_without_key("unknown", 1)]).await;
    client.create(&task(2)).await.unwrap_err();
    counted(&service, &[&create_without_key("unknown", 1), &call("create", "failure", 2)]).await;

    connectors.restart();
    jobs.release();
    client.create(&task(3)).await.unwrap();
    counted(&service, &[&create_without_key("known", 1)]).await;
}
