//! Sends golden requests as their callers do: the original bytes, with the connection.

use bytes::Bytes;
use plugin_core::testing::{
    TestService,
    proto::flyteidl::admin::{
        CreateTaskResponse, DeleteTaskRequest, GetTaskRequest, GetTaskResponse, Resource,
    },
};
use prost::Message as _;
use tests::golden::{Flyte, Golden};
use tonic::{Status, transport::Channel};

use crate::raw;

/// A new connection to `service`.
pub(crate) async fn channel(service: &TestService) -> Channel {
    let url = format!("http://{}", service.api());
    Channel::from_shared(url).unwrap().connect().await.unwrap()
}

/// Calls `service` as the sender of `golden` does: propeller, or Flyte 2's executor.
async fn call(
    service: &TestService,
    golden: &Golden,
    of_v1: &'static str,
    of_v2: &'static str,
    message: Vec<u8>,
) -> Result<Bytes, Status> {
    let method = if golden.flyte == Flyte::V1 { of_v1 } else { of_v2 };
    let token = service.token("propeller");
    raw::call(channel(service).await, method, message, Some(&token)).await
}

/// Submits `golden` and returns the handle.
pub(crate) async fn send(service: &TestService, golden: &Golden) -> Result<Vec<u8>, Status> {
    let v1 = "/flyteidl.service.AsyncAgentService/CreateTask";
    let v2 = "/flyteidl2.connector.AsyncConnectorService/CreateTask";
    let answer = call(service, golden, v1, v2, golden.bytes.clone()).await?;
    Ok(CreateTaskResponse::decode(answer).unwrap().resource_meta.to_vec())
}

/// Polls the job once.
pub(crate) async fn poll(service: &TestService, golden: &Golden, handle: &[u8]) -> Resource {
    let v1 = "/flyteidl.service.AsyncAgentService/GetTask";
    let v2 = "/flyteidl2.connector.AsyncConnectorService/GetTask";
    let request = GetTaskRequest {
        resource_meta: handle.to_vec().into(),
        connection: golden.connection(),
        ..GetTaskRequest::default()
    };
    let answer = call(service, golden, v1, v2, request.encode_to_vec()).await.unwrap();
    GetTaskResponse::decode(answer).unwrap().resource.unwrap()
}

/// Polls the job until it has ended.
pub(crate) async fn poll_to_the_end(
    service: &TestService,
    golden: &Golden,
    handle: &[u8],
) -> Resource {
    for _ in 0..10 {
        let seen = poll(service, golden, handle).await;
        if !matches!(seen.phase().as_str_name(), "QUEUED" | "INITIALIZING" | "RUNNING") {
            return seen;
        }
    }
    panic!("{}: did not end", golden.name)
}

/// Deletes the job.
pub(crate) async fn stop(
    service: &TestService,
    golden: &Golden,
    handle: &[u8],
) -> Result<(), Status> {
    let v1 = "/flyteidl.service.AsyncAgentService/DeleteTask";
    let v2 = "/flyteidl2.connector.AsyncConnectorService/DeleteTask";
    let request = DeleteTaskRequest {
        resource_meta: handle.to_vec().into(),
        connection: golden.connection(),
        ..DeleteTaskRequest::default()
    };
    call(service, golden, v1, v2, request.encode_to_vec()).await.map(drop)
}
