//! `ExecuteTaskSync`: a header and the inputs come in, and how the task ended goes out.

use std::time::Duration;

use futures_util::stream::{self, BoxStream, StreamExt as _};
use server_core::{Error, Kind, Result};
use tokio::time::{timeout, timeout_at};
use tonic::{Request, Response, Status, Streaming};

use super::Server;
use crate::{
    verbs::Incoming,
    wire::{
        proto::flyteidl::{
            admin::{
                CreateRequestHeader, CreateTaskRequest, ExecuteTaskSyncRequest,
                ExecuteTaskSyncResponse, ExecuteTaskSyncResponseHeader,
                execute_task_sync_request::Part, execute_task_sync_response::Res,
            },
            core::LiteralMap,
            service::sync_agent_service_server::SyncAgentService,
        },
        resource,
    },
};

/// How long the stream may take to end after the inputs.
///
/// Older propellers end it only when they have their answer (flyteorg/flyte#5884), so its end is not
/// waited for; but what was sent together with the inputs is there by then.
const MORE_WITHIN: Duration = Duration::from_millis(50);

#[tonic::async_trait]
impl SyncAgentService for Server {
    type ExecuteTaskSyncStream = BoxStream<'static, Result<ExecuteTaskSyncResponse, Status>>;

    async fn execute_task_sync(
        &self,
        request: Request<Streaming<ExecuteTaskSyncRequest>>,
    ) -> Result<Response<Self::ExecuteTaskSyncStream>, Status> {
        let incoming = Incoming::of(request.extensions())?;
        let deadline = incoming.deadline.leaving_time_to_answer();
        let read = timeout_at(deadline.instant(), read(request.into_inner())).await;
        let request = read.unwrap_or_else(|_| Err(never_came().into()))?;
        // All is known before the head goes out: the layers then see a failure as that of a unary call.
        let executed = self.verbs.execute(&incoming, request, None).await?;
        let header = ExecuteTaskSyncResponseHeader { resource: Some(resource(&executed.status)) };
        let answer = ExecuteTaskSyncResponse { res: Some(Res::Header(header)) };
        Ok(Response::new(stream::iter([Ok(answer)]).boxed()))
    }
}

/// Reads the request, as far as callers send one: a header, and the inputs once.
async fn read(mut stream: Streaming<ExecuteTaskSyncRequest>) -> Result<CreateTaskRequest, Status> {
    let stream = &mut stream;
    let header = match next(stream).await? {
        Some(Part::Header(header)) => header,
        Some(Part::Inputs(_)) => {
            return Err(Error::invalid("inputs: came before the header").into());
        }
        None => return Err(Error::invalid("header: missing; the stream ended before it").into()),
    };
    // No guess is made that there are none: they may be on their way.
    let inputs = match next(stream).await? {
        Some(Part::Inputs(inputs)) => {
            refuse_more(stream).await?;
            Some(inputs)
        }
        Some(Part::Header(_)) => return Err(Error::invalid("header: came twice").into()),
        None => None,
    };
    Ok(submission(header, inputs))
}

/// Flyte never sends inputs in parts, and where the last one would be cannot be told from a stream that
/// stays open: running with some of them would be worse than not running.
async fn refuse_more(stream: &mut Streaming<ExecuteTaskSyncRequest>) -> Result<(), Status> {
    match timeout(MORE_WITHIN, next(stream)).await {
        Ok(Ok(Some(_))) => {
            Err(Error::invalid("inputs: more came after them; send all inputs in one message")
                .into())
        }
        Ok(Err(status)) => Err(status),
        Ok(Ok(None)) | Err(_) => Ok(()),
    }
}

async fn next(stream: &mut Streaming<ExecuteTaskSyncRequest>) -> Result<Option<Part>, Status> {
    match stream.message().await? {
        Some(ExecuteTaskSyncRequest { part: Some(part) }) => Ok(Some(part)),
        Some(ExecuteTaskSyncRequest { part: None }) => {
            Err(Error::invalid("part: a message has neither header nor inputs").into())
        }
        None => Ok(None),
    }
}

fn never_came() -> Error {
    Error::new(Kind::DeadlineExceeded, "the inputs did not come in time")
}

fn submission(header: CreateRequestHeader, inputs: Option<LiteralMap>) -> CreateTaskRequest {
    CreateTaskRequest {
        inputs,
        template: header.template,
        output_prefix: header.output_prefix,
        task_execution_metadata: header.task_execution_metadata,
        connection: None,
    }
}
