//! The bridge, with connectors on a socket that answer as Flyte's do.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use bridge::Bridge;
use futures_util::future::join_all;
use plugin_core::testing::{
    Client, Dialect, Observation, TestService, logs,
    proto::flyteidl::admin::{CreateTaskRequest, CreateTaskResponse, GetTaskRequest, TaskCategory},
    spawn_raw,
};
use prost::Message as _;
use serde_json::{Value as Json, json};
use tests::fakes::connector::{Connectors, Flyte, executed, got};
use tonic::{Code, transport::Channel};

use crate::raw;

const CREATE: [(Dialect, &str, &str); 2] = [
    (
        Dialect::Flyte1,
        "/flyteidl.service.AsyncAgentService/CreateTask",
        "/flyteidl.service.AsyncAgentService/GetTask",
    ),
    (
        Dialect::Flyte2,
        "/flyteidl2.connector.AsyncConnectorService/CreateTask",
        "/flyteidl2.connector.AsyncConnectorService/GetTask",
    ),
];

/// A field that no version of Flyte has: the number 99, a string.
const UNKNOWN: &[u8] = &[0x9a, 0x06, 0x05, b'l', b'a', b't', b'e', b'r'];

const TRACEBACK: &str = "failed to get task:\nTraceback (most recent call last):\n  File \"c.py\", line 7\n    \
                         token = 'canary-in-traceback'\nKeyError: 'no such job'\n";

/// A bridge before `connectors`, ready.
async fn bridge(connectors: &Connectors, args: &[&str]) -> TestService {
    let upstream = format!("--upstream=unix:{}", connectors.socket().display());
    // Connectors of Flyte 2 have no sync tasks.
    let sync: &[&str] =
        if connectors.flyte() == Flyte::V1 { &["--sync-task-types=ask"] } else { &[] };
    let line = [&[upstream.as_str(), "--task-types=sleep"], sync, args].concat();
    let service = spawn_raw::<Bridge>(&line).await;
    while service.admin_text("/readyz").await != "ok\n" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    service
}

async fn connectors(flyte: Flyte) -> Connectors {
    let sync: &[&str] = if flyte == Flyte::V1 { &["ask"] } else { &[] };
    let connectors = Connectors::start(flyte, &["sleep", "webhook"], sync).await;
    connectors.create_as(b"{\"job\": 1}");
    connectors.answer("GetTask", [Ok(got(&resource(2, &[])))]);
    connectors
}

/// A `Resource` in `phase`, with further encoded fields.
fn resource(phase: u8, more: &[u8]) -> Vec<u8> {
    [&[5 << 3, phase], more].concat()
}

/// The field `tag` of a message, with `bytes`.
fn field(tag: u8, bytes: &[u8]) -> Vec<u8> {
    [&[tag << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat()
}

fn task() -> Json {
    json!({
        "template": {"type": "sleep", "custom": {"seconds": 1}},
        "output_prefix": "s3://b/1",
    })
}

/// An encoded request whose template, inputs and metadata have a field that no version of Flyte has.
fn request() -> Vec<u8> {
    let template = [field(2, b"sleep"), field(4, UNKNOWN), UNKNOWN.to_vec()].concat();
    let parts = [field(1, UNKNOWN), field(2, &template), field(3, b"s3://b/1"), field(4, UNKNOWN)];
    parts.concat()
}

async fn channel(service: &TestService) -> Channel {
    Channel::from_shared(format!("http://{}", service.api())).unwrap().connect().await.unwrap()
}

async fn polled(client: &Client, handle: &[u8]) -> Observation {
    client.get(&task(), handle).await.unwrap()
}

#[tokio::test]
async fn tasks_and_statuses_pass_through_as_they_came() {
    for flyte in [Flyte::V1, Flyte::V2] {
        for (dialect, create, get) in CREATE {
            let connectors = connectors(flyte).await;
            let service = bridge(&connectors, &[]).await;
            let (channel, token) = (channel(&service).await, service.token("propeller"));
            let created =
                raw::call(channel.clone(), create, request(), Some(&token)).await.unwrap();
            let handle = CreateTaskResponse::decode(created).unwrap().resource_meta;

            let calls = connectors.calls("CreateTask");
            assert_eq!(calls[0].messages, [request()], "{flyte:?} {dialect:?}");
            assert_eq!(calls[0].path.starts_with("/flyteidl2."), flyte == Flyte::V2);
            assert_eq!(calls[0].header("x-idempotency-key").unwrap().len(), 64);

            let outputs = [field(1, &field(1, b"o0")), UNKNOWN.to_vec()].concat();
            let link = [field(1, b"https://a"), field(2, b"Log"), UNKNOWN.to_vec()].concat();
            let more = [field(2, &outputs), field(3, b"done"), field(4, &link)].concat();
            connectors.answer("GetTask", [Ok(got(&resource(3, &more)))]);
            let about = GetTaskRequest {
                resource_meta: handle,
                task_category: Some(TaskCategory { name: "sleep".to_owned(), version: 0 }),
                ..GetTaskRequest::default()
            };
            let seen = raw::call(channel, get, about.encode_to_vec(), Some(&token)).await.unwrap();
            for part in [field(2, &outputs), field(4, &link), field(3, b"done"), vec![5 << 3, 3]] {
                let is_there = seen.windows(part.len()).any(|window| window == part);
                assert!(is_there, "{flyte:?} {dialect:?}: {part:?} in {seen:?}");
            }
            let asked = GetTaskRequest::decode(connectors.calls("GetTask")[0].messages[0].clone());
            let asked = asked.unwrap();
            assert_eq!(asked.resource_meta, &b"{\"job\": 1}"[..]);
            assert_eq!((&*asked.task_type, &*asked.output_prefix), ("sleep", "s3://b/1"));
        }
    }
}

#[tokio::test]
async fn a_job_reads_alike_over_every_protocol() {
    let mut seen = Vec::new();
    for dialect in Dialect::ALL {
        let connectors = connectors(Flyte::V1).await;
        let service = bridge(&connectors, &[]).await;
        let client = service.client(dialect, "propeller").await;
        let handle = client.create(&task()).await.unwrap();
        assert_eq!(polled(&client, &handle).await.phase, "RUNNING");

        let literal = field(1, &field(1, &field(3, b"out")));
        let entry = [field(1, b"o0"), field(2, &literal)].concat();
        let link = [field(1, b"https://a"), field(2, b"Log")].concat();
        let more = [field(2, &field(1, &entry)), field(3, b"done"), field(4, &link)].concat();
        connectors.answer("GetTask", [Ok(got(&resource(3, &more)))]);
        let end = polled(&client, &handle).await;
        assert_eq!((&*end.phase, &*end.message), ("SUCCEEDED", "done"), "{dialect:?}");
        assert_eq!(end.links, [("Log".to_owned(), "https://a".to_owned())]);
        let output = &end.outputs["literals"]["o0"]["scalar"]["primitive"]["string_value"];
        assert_eq!(output, "out", "{dialect:?}");
        seen.push(end);
    }
    assert!(seen.iter().all(|end| *end == seen[0]), "{seen:?}");
}

#[tokio::test]
async fn a_repeated_create_starts_one_job() {
    let connectors = connectors(Flyte::V1).await;
    let service = bridge(&connectors, &[]).await;
    let client = service.client(Dialect::Flyte1, "propeller").await;
    let first = client.create(&task()).await.unwrap();
    let second = client.create(&task()).await.unwrap();
    assert_eq!(connectors.calls("CreateTask").len(), 1);
    for handle in [first, second] {
        assert_eq!(polled(&client, &handle).await.phase, "RUNNING");
    }
    let mut reused = task();
    reused["template"]["custom"]["seconds"] = json!(2);
    let handle = client.create(&reused).await.unwrap();
    let message = polled(&client, &handle).await.message;
    assert!(message.contains("another task was already submitted under this key"), "{message}");
    let mut other = task();
    other["output_prefix"] = json!("s3://b/2");
    client.create(&other).await.unwrap();
    assert_eq!(connectors.calls("CreateTask").len(), 2, "another attempt is another job");
}

#[tokio::test]
async fn of_different_tasks_with_one_key_at_once_one_is_submitted() {
    for dialect in Dialect::ALL {
        let connectors = connectors(Flyte::V1).await;
        let service = bridge(&connectors, &[]).await;
        let client = service.client(dialect, "propeller").await;
        let created = [1, 2, 3].map(|seconds| {
            let (client, mut task) = (&client, task());
            task["template"]["custom"]["seconds"] = json!(seconds);
            async move { client.create(&task).await }
        });
        let mut refusals = Vec::new();
        for created in join_all(created).await {
            match created {
                Ok(handle) => refusals.push(polled(&client, &handle).await.message),
                Err(error) => refusals.push(error.message),
            }
        }
        assert_eq!(connectors.calls("CreateTask").len(), 1, "{dialect:?}");
        let refused = "another task was already submitted under this key; use a different key";
        refusals.retain(|message| message.contains(refused));
        assert_eq!(refusals.len(), 2, "{dialect:?}");
    }
}

#[tokio::test]
async fn exceptions_are_no_verdict_and_their_traceback_stays_inside() {
    for dialect in Dialect::ALL {
        let connectors = connectors(Flyte::V1).await;
        let service = bridge(&connectors, &[]).await;
        let client = service.client(dialect, "propeller").await;
        connectors.answer("CreateTask", [Err((Code::Internal, TRACEBACK))]);
        let error = client.create(&task()).await.unwrap_err();
        let expected = if dialect == Dialect::Rest { 503 } else { Code::Unavailable as i32 };
        let message = "the connector failed: KeyError: 'no such job'";
        assert_eq!(error.code, expected, "{dialect:?}");
        assert!(error.message.ends_with(message), "{dialect:?}: {}", error.message);

        connectors.create_as(b"1");
        let handle = client.create(&task()).await.unwrap();
        assert_eq!(polled(&client, &handle).await.phase, "RUNNING");
        connectors.answer("GetTask", [Err((Code::Internal, TRACEBACK))]);
        let seen = polled(&client, &handle).await;
        assert_eq!(seen.phase, "RUNNING", "{dialect:?}");
        assert!(seen.message.ends_with(message), "{}", seen.message);
    }
    assert!(!logs().contains("canary-in-traceback"), "nothing below debug has it");
}

#[tokio::test]
async fn a_connector_that_fails_on_every_poll_ends_the_task() {
    let connectors = connectors(Flyte::V1).await;
    let service = bridge(&connectors, &["--refused-grace=300ms"]).await;
    let client = service.client(Dialect::Flyte1, "propeller").await;
    let handle = client.create(&task()).await.unwrap();
    connectors.answer("GetTask", [Err((Code::Internal, TRACEBACK))]);
    let mut seen = polled(&client, &handle).await;
    while seen.phase != "FAILED" {
        assert_eq!(seen.phase, "RUNNING");
        tokio::time::sleep(Duration::from_millis(50)).await;
        seen = polled(&client, &handle).await;
    }
    assert!(seen.message.contains("KeyError: 'no such job'"), "{}", seen.message);
}

#[tokio::test]
async fn connectors_that_are_down_end_no_task() {
    let connectors = connectors(Flyte::V1).await;
    let service = bridge(&connectors, &["--refused-grace=1ms"]).await;
    let client = service.client(Dialect::Flyte1, "propeller").await;
    let handle = client.create(&task()).await.unwrap();
    connectors.answer("GetTask", [Err((Code::Unavailable, "restarting"))]);
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert_eq!(polled(&client, &handle).await.phase, "RUNNING");
    }
    assert_eq!(service.admin_text("/readyz").await, "ok\n");
}

#[tokio::test]
async fn a_definitive_refusal_fails_the_task() {
    let connectors = connectors(Flyte::V1).await;
    let service = bridge(&connectors, &[]).await;
    let client = service.client(Dialect::Flyte1, "propeller").await;
    connectors.answer("CreateTask", [Err((Code::InvalidArgument, "no such model"))]);
    let handle = client.create(&task()).await.unwrap();
    let seen = polled(&client, &handle).await;
    assert_eq!(seen.phase, "FAILED");
    assert_eq!(seen.message, "no such model");
    assert_eq!(connectors.calls("GetTask").len(), 0);
}

#[tokio::test]
async fn phases_that_flyte_does_not_understand_are_translated() {
    for (phase, expected, message) in [
        (0, "RUNNING", "in the unknown state phase 0"),
        (99, "RUNNING", "in the unknown state phase 99"),
        (4, "FAILED", "the job was aborted"),
    ] {
        let connectors = connectors(Flyte::V1).await;
        let service = bridge(&connectors, &[]).await;
        let client = service.client(Dialect::Flyte1, "propeller").await;
        let handle = client.create(&task()).await.unwrap();
        connectors.answer("GetTask", [Ok(got(&resource(phase, &[])))]);
        let seen = polled(&client, &handle).await;
        assert_eq!((&*seen.phase, &*seen.message), (expected, message));
    }
}

#[tokio::test]
async fn a_job_that_succeeded_is_not_deleted() {
    for (phase, args, deletes) in
        [(2, &[][..], 1), (3, &[], 0), (3, &["--delete-succeeded"], 1), (5, &[], 1)]
    {
        let connectors = connectors(Flyte::V1).await;
        let service = bridge(&connectors, args).await;
        let client = service.client(Dialect::Flyte2, "propeller").await;
        let handle = client.create(&task()).await.unwrap();
        connectors.answer("GetTask", [Ok(got(&resource(phase, &[])))]);
        client.delete(&task(), &handle).await.unwrap();
        assert_eq!(connectors.calls("DeleteTask").len(), deletes, "{phase} {args:?}");
    }
}

#[tokio::test]
async fn no_bytes_of_a_caller_reach_a_connector_as_a_handle() {
    let connectors = connectors(Flyte::V1).await;
    let service = bridge(&connectors, &[]).await;
    let client = service.client(Dialect::Flyte1, "propeller").await;
    let pickle = b"\x80\x04\x95\x1e\0\0\0\0\0\0\0\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x04true\x94\x85\x94R\x94.";
    assert_eq!(polled(&client, pickle).await.phase, "FAILED");
    client.delete(&task(), pickle).await.unwrap();
    assert!(connectors.calls("GetTask").is_empty() && connectors.calls("DeleteTask").is_empty());
}

#[tokio::test]
async fn handles_have_room_for_what_connectors_keep_in_them() {
    for (length, fits) in [(12 << 10, true), (16 << 10, false)] {
        let connectors = connectors(Flyte::V1).await;
        let service = bridge(&connectors, &[]).await;
        let client = service.client(Dialect::Flyte1, "propeller").await;
        connectors.create_as(&vec![b'm'; length]);
        let handle = client.create(&task()).await.unwrap();
        let seen = polled(&client, &handle).await;
        assert_eq!(seen.phase, if fits { "RUNNING" } else { "FAILED" }, "{}", seen.message);
        assert_eq!(
            connectors.calls("DeleteTask").is_empty(),
            fits,
            "a job that no handle leads to"
        );
    }
}

#[tokio::test]
async fn what_a_connector_keeps_in_its_handle_is_shown_to_nobody() {
    let connectors = connectors(Flyte::V1).await;
    let service = bridge(&connectors, &[]).await;
    connectors.create_as(b"token=canary-in-meta");
    let client = service.client(Dialect::Rest, "propeller").await;
    let handle = client.create(&task()).await.unwrap();
    let job_id = BASE64_URL_SAFE_NO_PAD.encode(handle);
    let url = format!("http://{}/plugins/v1/sleep/0?job_id={job_id}", service.api());
    let request = reqwest::Client::new().get(url).bearer_auth(service.token("propeller"));
    let answer = request.send().await.unwrap().text().await.unwrap();
    assert!(answer.contains("RUNNING") && !answer.contains("canary-in-meta"), "{answer}");
    assert!(!logs().contains("canary-in-meta"));
}

#[tokio::test]
async fn only_named_task_types_are_served() {
    let connectors = connectors(Flyte::V1).await;
    let service = bridge(&connectors, &[]).await;
    for dialect in Dialect::ALL {
        let client = service.client(dialect, "propeller").await;
        let webhook = json!({"template": {"type": "webhook"}, "output_prefix": "s3://b/1"});
        let error = client.create(&webhook).await.unwrap_err();
        assert!(error.message.starts_with("unknown task type webhook"), "{}", error.message);
    }
    assert!(connectors.calls("CreateTask").is_empty());
}

#[tokio::test]
async fn a_service_without_its_connectors_is_not_ready() {
    let connectors = connectors(Flyte::V1).await;
    let upstream = format!("--upstream=unix:{}", connectors.socket().display());
    let service = spawn_raw::<Bridge>(&[&upstream, "--task-types=sleep,spark:1"]).await;
    let reason = loop {
        let reason = service.admin_text("/readyz").await;
        if !reason.contains("not answered") {
            break reason;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(reason.contains("do not have every task type"), "{reason}");
    assert!(logs().contains("spark:1"));
}

#[tokio::test]
async fn a_sync_task_is_executed_in_one_call() {
    let ask = json!({
        "template": {"type": "ask"},
        "inputs": {"literals": {"a": {"scalar": {"primitive": {"integer": "1"}}}}},
        "output_prefix": "s3://b/1",
    });
    for dialect in Dialect::SYNC {
        let connectors = connectors(Flyte::V1).await;
        let service = bridge(&connectors, &[]).await;
        let client = service.client(dialect, "propeller").await;
        connectors.answer("ExecuteTaskSync", [Ok(executed(&resource(3, &field(3, b"42"))))]);
        let seen = client.execute(&ask).await.unwrap();
        assert_eq!((&*seen.phase, &*seen.message), ("SUCCEEDED", "42"), "{dialect:?}");
        let messages = &connectors.calls("ExecuteTaskSync")[0].messages;
        assert_eq!(messages.len(), 2, "a header and the inputs");

        connectors.answer("ExecuteTaskSync", [Err((Code::Internal, TRACEBACK))]);
        let mut other = ask.clone();
        other["output_prefix"] = json!("s3://b/2");
        let seen = client.execute(&other).await.unwrap();
        assert_eq!(seen.phase, "RETRYABLE_FAILED");
        let message = "CONNECTOR_ERROR: the connector failed: KeyError: 'no such job'";
        assert_eq!(seen.message, message, "{dialect:?}");
    }
}

/// Propeller repeats an error at once and without end.
#[tokio::test]
async fn a_sync_task_whose_answer_cannot_be_read_fails() {
    let ask = json!({"template": {"type": "ask"}, "output_prefix": "s3://b/1"});
    for answer in [executed(&[0xff]), vec![0xff], Vec::new()] {
        let connectors = connectors(Flyte::V1).await;
        let service = bridge(&connectors, &[]).await;
        let client = service.client(Dialect::Flyte1, "propeller").await;
        connectors.answer("ExecuteTaskSync", [Ok(answer.clone())]);
        let seen = client.execute(&ask).await.unwrap();
        assert_eq!(seen.phase, "RETRYABLE_FAILED", "{answer:?}: {}", seen.message);
    }
}

/// What was checked is what is passed on.
#[tokio::test]
async fn a_part_that_came_twice_is_passed_on_twice() {
    let connectors = connectors(Flyte::V1).await;
    let service = bridge(&connectors, &[]).await;
    let (_, create, _) = CREATE[0];
    let named = field(2, &field(2, b"sleep"));
    let request = [named, field(3, b"s3://b/1"), field(2, &[0x82, 0x01, 0x00])].concat();
    let token = service.token("propeller");
    raw::call(channel(&service).await, create, request, Some(&token)).await.unwrap();
    let sent = CreateTaskRequest::decode(connectors.calls("CreateTask")[0].messages[0].clone());
    assert_eq!(sent.unwrap().template.unwrap().r#type, "sleep");
}

#[tokio::test]
async fn forbidden_secrets_refuse_the_task() {
    let connectors = connectors(Flyte::V2).await;
    let service = bridge(&connectors, &["--forbid-connection-secrets"]).await;
    let client = service.client(Dialect::Flyte2, "propeller").await;
    let handle = client.create_raw(with_secret()).await.unwrap();
    let seen = polled(&client, &handle).await;
    assert_eq!(seen.phase, "FAILED");
    assert!(seen.message.contains("forbids secret values in requests"), "{}", seen.message);
    assert!(connectors.calls("CreateTask").is_empty());
}

#[tokio::test]
async fn an_answer_that_is_too_large_ends_the_task() {
    let connectors = connectors(Flyte::V1).await;
    let service = bridge(&connectors, &[]).await;
    let client = service.client(Dialect::Flyte1, "propeller").await;
    let handle = client.create(&task()).await.unwrap();
    let outputs = vec![0; (4 << 20) + 10];
    let mut large = Vec::new();
    prost::encoding::bytes::encode(2, &outputs, &mut large);
    connectors.answer("GetTask", [Ok(got(&resource(3, &large)))]);
    let seen = polled(&client, &handle).await;
    assert!(seen.phase == "FAILED" && seen.message.starts_with("RESPONSE_TOO_LARGE"), "{seen:?}");
}

#[tokio::test]
async fn decorations_are_bounded() {
    let connectors = connectors(Flyte::V1).await;
    let service = bridge(&connectors, &[]).await;
    let client = service.client(Dialect::Flyte1, "propeller").await;
    let handle = client.create(&task()).await.unwrap();
    let link = field(4, &[field(1, b"https://a"), field(2, b"Log")].concat());
    connectors.answer("GetTask", [Ok(got(&resource(2, &link.repeat(10_000))))]);
    assert_eq!(polled(&client, &handle).await.links.len(), 50);
}

fn with_secret() -> CreateTaskRequest {
    let mut request = CreateTaskRequest {
        output_prefix: "s3://b/1".to_owned(),
        connection: Some(Default::default()),
        ..CreateTaskRequest::default()
    };
    request.template.get_or_insert_default().r#type = "sleep".to_owned();
    let secrets = &mut request.connection.as_mut().unwrap().secrets;
    secrets.insert("api_key".to_owned(), "canary-of-connection".to_owned());
    request
}

#[tokio::test]
async fn secrets_of_the_request_reach_the_connector() {
    let connectors = connectors(Flyte::V2).await;
    let service = bridge(&connectors, &[]).await;
    let client = service.client(Dialect::Flyte2, "propeller").await;
    client.create_raw(with_secret()).await.unwrap();
    let sent = connectors.calls("CreateTask")[0].messages[0].clone();
    let sent = CreateTaskRequest::decode(sent).unwrap();
    assert_eq!(sent.connection.unwrap().secrets["api_key"], "canary-of-connection");
    assert!(!logs().contains("canary-of-connection"));
}
