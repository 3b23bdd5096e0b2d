//! `ExecuteTaskSync`: receives a header and the inputs, and sends the outcome of the task.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use prost::Message;
use server_core::{Error, Kind, Result};
use tokio::time::{timeout, timeout_at};
use tonic::{Request, Response, Status, Streaming};

use super::Server;
use crate::{
    verbs::Incoming,
    wire::{
        Encoded, Submitted,
        proto::flyteidl::{
            admin::{
                CreateRequestHeader, CreateTaskRequest, ExecuteTaskSyncRequest,
                ExecuteTaskSyncResponse, ExecuteTaskSyncResponseHeader,
                execute_task_sync_request::Part, execute_task_sync_response::Res,
            },
            service::sync_agent_service_server::SyncAgentService,
        },
        resource,
    },
};

/// How long to wait for the end of the stream after the inputs.
///
/// Older propellers end it only when they have the response (flyteorg/flyte#5884), so the end is not
/// required; but anything sent together with the inputs arrives within this time.
const END_TIMEOUT: Duration = Duration::from_millis(50);

#[tonic::async_trait]
impl SyncAgentService for Server {
    type ExecuteTaskSyncStream = BoxStream<'static, Result<ExecuteTaskSyncResponse, Status>>;

    async fn execute_task_sync(
        &self,
        mut request: Request<Streaming<ExecuteTaskSyncRequest>>,
    ) -> Result<Response<Self::ExecuteTaskSyncStream>, Status> {
        let incoming = Incoming::of(request.extensions_mut())?;
        let deadline = incoming.deadline.leaving_time_to_answer();
        let read = timeout_at(deadline.instant(), read(request.into_inner())).await;
        let request = read.unwrap_or_else(|_| Err(timed_out().into()))?;
        // The outcome is known before the response head is sent, so the gate sees failures as those of
        // a unary call.
        let executed = self.verbs.execute(&incoming, request, None).await?;
        let header = ExecuteTaskSyncResponseHeader { resource: Some(resource(&executed.status)) };
        let answer = ExecuteTaskSyncResponse { res: Some(Res::Header(header)) };
        Ok(Response::new(stream::iter([Ok(answer)]).boxed()))
    }
}

/// Reads the request: a header, and the inputs at most once.
async fn read(mut stream: Streaming<ExecuteTaskSyncRequest>) -> Result<Submitted, Status> {
    let stream = &mut stream;
    let header = match next(stream).await? {
        Some(Part::Header(header)) => header,
        Some(Part::Inputs(_)) => {
            return Err(Error::invalid("inputs: received before the header").into());
        }
        None => return Err(Error::invalid("header: missing; the stream ended before it").into()),
    };
    // Inputs are waited for until the stream ends: they may be on their way.
    let inputs = match next(stream).await? {
        Some(Part::Inputs(inputs)) => {
            refuse_more(stream).await?;
            Some(inputs)
        }
        Some(Part::Header(_)) => return Err(Error::invalid("header: received twice").into()),
        None => None,
    };
    Ok(submission(header, inputs)?)
}

/// Flyte never sends inputs in parts. On a stream that stays open there is no telling which part is the
/// last, and the task must not run with incomplete inputs.
async fn refuse_more(stream: &mut Streaming<ExecuteTaskSyncRequest>) -> Result<(), Status> {
    match timeout(END_TIMEOUT, next(stream)).await {
        Ok(Ok(Some(_))) => Err(Error::invalid(
            "inputs: received in several messages; send all inputs in one message",
        )
        .into()),
        Ok(Err(status)) => Err(status),
        Ok(Ok(None)) | Err(_) => Ok(()),
    }
}

async fn next(stream: &mut Streaming<ExecuteTaskSyncRequest>) -> Result<Option<Part>, Status> {
    match stream.message().await? {
        Some(ExecuteTaskSyncRequest { part: Some(part) }) => Ok(Some(part)),
        Some(ExecuteTaskSyncRequest { part: None }) => {
            Err(Error::invalid("part: the message has neither header nor inputs").into())
        }
        None => Ok(None),
    }
}

fn timed_out() -> Error {
    Error::new(Kind::DeadlineExceeded, "timed out waiting for the inputs")
}

fn submission(header: Bytes, inputs: Option<Bytes>) -> Result<Submitted> {
    let CreateRequestHeader { template, output_prefix, task_execution_metadata } =
        decoded("header", header.clone())?;
    let request = CreateTaskRequest {
        inputs: inputs.clone().map(|inputs| decoded("inputs", inputs)).transpose()?,
        template,
        output_prefix,
        task_execution_metadata,
        connection: None,
    };
    Ok(Submitted { request: Box::new(request), encoded: Encoded::Header(header, inputs) })
}

fn decoded<M: Message + Default>(part: &str, encoded: Bytes) -> Result<M> {
    M::decode(encoded)
        .map_err(|error| Error::invalid(format!("{part}: could not be decoded")).with_source(error))
}
