//! The message stream of `ExecuteTaskSync`.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use plugin_core::testing::{
    CallError, Client, Dialect, Observation,
    proto::flyteidl::admin::{
        GetAgentRequest, GetAgentResponse, ListAgentsResponse, execute_task_sync_request::Part,
    },
    sync_parts,
};
use prost::Message as _;
use serde_json::json;
use tokio::time::sleep;
use tonic::transport::Channel;

use super::{service, task};
use crate::raw;

const INVALID_ARGUMENT: i32 = 3;

/// A header, and inputs with one value.
fn parts() -> [Part; 2] {
    let mut task = task("yes");
    task["inputs"] = json!({"literals": {"a": {"scalar": {"primitive": {"integer": "1"}}}}});
    sync_parts(&task)
}

/// A stream of `parts` that stays open.
fn left_open(parts: impl IntoIterator<Item = Part>) -> impl Stream<Item = Part> + Send + 'static {
    stream::iter(parts.into_iter().collect::<Vec<_>>()).chain(stream::pending())
}

async fn execute(
    parts: impl Stream<Item = Part> + Send + 'static,
) -> Result<Observation, CallError> {
    let service = service().await;
    client(&service).await.execute_raw(parts).await
}

async fn client(service: &plugin_core::testing::TestService) -> Client {
    service.client(Dialect::Flyte1, "propeller").await
}

#[tokio::test]
async fn open_stream_is_answered() {
    let seen = execute(left_open(parts())).await.unwrap();
    assert_eq!((seen.phase.as_str(), &seen.custom_info), ("SUCCEEDED", &json!({"inputs": 1})));
}

#[tokio::test]
async fn open_streams_do_not_exhaust_the_connection() {
    let service = service().await;
    let client = client(&service).await;
    for _ in 0..300 {
        assert!(
            client.execute_raw(left_open(parts())).await.is_ok(),
            "more calls than HTTP/2 allows concurrent streams"
        );
    }
}

#[tokio::test]
async fn delayed_inputs_are_accepted() {
    let [header, inputs] = parts();
    let slow = stream::iter([header]).chain(stream::once(async {
        sleep(Duration::from_millis(300)).await;
        inputs
    }));
    let seen = execute(slow.chain(stream::pending())).await.unwrap();
    assert_eq!(seen.custom_info, json!({"inputs": 1}));
}

#[tokio::test]
async fn stream_with_only_a_header_has_no_inputs() {
    let [header, _] = parts();
    let seen = execute(stream::iter([header])).await.unwrap();
    assert_eq!((seen.phase.as_str(), &seen.custom_info), ("SUCCEEDED", &json!({"inputs": 0})));
}

#[tokio::test]
async fn missing_inputs_fail_at_the_deadline() {
    let [header, _] = parts();
    let service = service().await;
    let hasty = client(&service).await.with_timeout(Duration::from_secs(2));
    let refused = hasty.execute_raw(left_open([header])).await.unwrap_err();
    assert_eq!((refused.code, refused.message.as_str()), (4, "timed out waiting for the inputs"));
}

#[tokio::test]
async fn out_of_order_parts_are_rejected() {
    let more = || Part::Inputs(Bytes::new());
    let [header, inputs] = parts();
    for (parts, message) in [
        (vec![], "header: missing; the stream ended before it"),
        (vec![inputs.clone(), header.clone()], "inputs: received before the header"),
        (vec![header.clone(), header.clone()], "header: received twice"),
        (
            vec![header, inputs, more()],
            "inputs: received in several messages; send all inputs in one message",
        ),
    ] {
        for open in [false, true] {
            if open && parts.is_empty() {
                continue;
            }
            let refused = match open {
                true => execute(left_open(parts.clone())).await,
                false => execute(stream::iter(parts.clone())).await,
            };
            let refused = refused.unwrap_err();
            assert_eq!((refused.code, refused.message.as_str()), (INVALID_ARGUMENT, message));
        }
    }
}

#[tokio::test]
async fn oversized_messages_are_rejected() {
    let service =
        plugin_core::testing::spawn_sync::<super::Oracle>(&["--max-body-bytes=1000"]).await;
    let [_, inputs] = parts();
    let mut large = task("yes");
    large["template"]["custom"]["answer"] = json!("x".repeat(2000));
    let [header, _] = sync_parts(&large);
    let refused = client(&service).await.execute_raw(left_open([header, inputs])).await;
    assert_eq!(refused.unwrap_err().code, 11, "OUT_OF_RANGE, as for every message");
}

#[tokio::test]
async fn discovery_marks_the_plugin_as_sync() {
    let service = service().await;
    let token = service.token("propeller");
    let endpoint = Channel::from_shared(format!("http://{}", service.api())).unwrap();
    let channel = endpoint.connect().await.unwrap();
    for (list, get) in [
        (
            "/flyteidl.service.AgentMetadataService/ListAgents",
            "/flyteidl.service.AgentMetadataService/GetAgent",
        ),
        (
            "/flyteidl2.connector.ConnectorMetadataService/ListConnectors",
            "/flyteidl2.connector.ConnectorMetadataService/GetConnector",
        ),
    ] {
        let call = async |method, message| -> Bytes {
            raw::call(channel.clone(), method, message, Some(&token)).await.unwrap()
        };
        let agents = ListAgentsResponse::decode(call(list, Vec::new()).await).unwrap().agents;
        assert!(agents[0].is_sync);
        assert_eq!(agents[0].supported_task_types, ["limited", "oracle"]);
        let named = GetAgentRequest { name: agents[0].name.clone() }.encode_to_vec();
        let agent = GetAgentResponse::decode(call(get, named).await).unwrap().agent;
        assert_eq!(agent.as_ref(), agents.first());
    }
}

#[tokio::test]
async fn handle_of_another_service_fails_its_task() {
    let service = service().await;
    let client = client(&service).await;
    let elsewhere = crate::stage::Stage::set().await;
    let theirs = elsewhere.client(Dialect::Flyte1).await;
    let job = tests::golden::Golden::read(tests::golden::Flyte::V1, "bq_scalars").unwrap().json;
    let handle = theirs.create(&job).await.unwrap();
    // Flyte would retry after an error.
    let seen = client.get(&task("yes"), &handle).await.unwrap();
    assert_eq!(seen.phase, "FAILED");
    assert!(seen.message.contains("not served here"), "{}", seen.message);
    client.delete(&task("yes"), &handle).await.unwrap();
}
