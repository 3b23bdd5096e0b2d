//! Flyte's calls, the same for every protocol.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::Method;
use plugin_core::testing::{
    Dialect,
    proto::flyteidl::admin::{
        CreateRequestHeader, CreateTaskResponse, DeleteTaskRequest, DeleteTaskResponse,
        ExecuteTaskSyncRequest, ExecuteTaskSyncResponse, GetTaskRequest, GetTaskResponse,
        TaskCategory, execute_task_sync_request::Part, execute_task_sync_response::Res,
    },
};
use prost::Message as _;

use super::{Target, grpc_error, successful};
use crate::{
    grpc::{Ending, Messages, Silence},
    status::{CallError, JobStatus},
    task::Task,
};

/// The handle of a new job.
pub(crate) type Created = Result<Vec<u8>, CallError>;

/// The messages that a sync task was answered with.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// The status in the first message, if that is a header.
    pub(crate) header: Option<JobStatus>,
    /// How many other messages there are.
    pub(crate) others: usize,
    /// Whether the answer ended.
    pub(crate) ended: bool,
}

/// The path of `method` for jobs.
pub(crate) fn method(dialect: Dialect, method: &str) -> String {
    match dialect {
        Dialect::Flyte2 => format!("/flyteidl2.connector.AsyncConnectorService/{method}"),
        Dialect::Flyte1 | Dialect::Rest => {
            format!("/flyteidl.service.AsyncAgentService/{method}")
        }
    }
}

/// REST's path of a job: `handle` as a `job_id`.
pub(crate) fn job_path(type_path: &str, handle: &[u8]) -> String {
    format!("{type_path}?job_id={}", BASE64_URL_SAFE_NO_PAD.encode(handle))
}

impl Target {
    /// Creates a job.
    pub(crate) async fn create(&self, dialect: Dialect, task: &Task) -> Created {
        if dialect == Dialect::Rest {
            let answer = self.rest_json(Method::PUT, &task.type_path(), Some(&task.json)).await?;
            let job_id = answer["job_id"].as_str().unwrap_or_default();
            let handle = BASE64_URL_SAFE_NO_PAD.decode(job_id);
            let handle = handle.map_err(|_| "the job_id is not base64url without padding");
            let handle = handle.map_err(|reason| Silence::Broken(reason.to_owned()))?;
            self.watch.look("PUT", &handle);
            return Ok(handle);
        }
        let path = method(dialect, "CreateTask");
        let created = self.unary::<CreateTaskResponse>(&path, &task.request).await?;
        self.watch.look(&path, &created.resource_meta);
        Ok(created.resource_meta.to_vec())
    }

    /// The status of a job of the type of `task`.
    pub(crate) async fn get(
        &self,
        dialect: Dialect,
        task: &Task,
        handle: &[u8],
    ) -> Result<JobStatus, CallError> {
        if dialect == Dialect::Rest {
            let path = job_path(&task.type_path(), handle);
            return Ok(JobStatus::from_rest(&self.rest_json(Method::GET, &path, None).await?));
        }
        let request = GetTaskRequest {
            task_type: task.type_name().to_owned(),
            task_category: Some(category(task)),
            resource_meta: handle.to_vec().into(),
            output_prefix: task.request.output_prefix.clone(),
            ..GetTaskRequest::default()
        };
        let got = self.unary::<GetTaskResponse>(&method(dialect, "GetTask"), &request).await?;
        Ok(JobStatus::from_grpc(dialect, &got.resource.unwrap_or_default()))
    }

    /// Deletes a job of the type of `task`.
    pub(crate) async fn delete(
        &self,
        dialect: Dialect,
        task: &Task,
        handle: &[u8],
    ) -> Result<(), CallError> {
        if dialect == Dialect::Rest {
            let path = job_path(&task.type_path(), handle);
            return self.rest_json(Method::DELETE, &path, None).await.map(drop);
        }
        let request = DeleteTaskRequest {
            task_type: task.type_name().to_owned(),
            task_category: Some(category(task)),
            resource_meta: handle.to_vec().into(),
            ..DeleteTaskRequest::default()
        };
        let path = method(dialect, "DeleteTask");
        self.unary::<DeleteTaskResponse>(&path, &request).await.map(drop)
    }

    /// Executes a sync task over REST.
    pub(crate) async fn execute_rest(&self, task: &Task) -> Result<JobStatus, CallError> {
        let answer = self.rest_json(Method::POST, &task.type_path(), Some(&task.json)).await?;
        Ok(JobStatus::from_rest(&answer))
    }

    /// Executes a sync task over gRPC.
    pub(crate) async fn execute_grpc(
        &self,
        task: &Task,
        ending: Ending,
    ) -> Result<Answer, CallError> {
        let messages = Messages::All(sync_messages(task));
        let reply = self.grpc(EXECUTE, messages, ending).await?;
        let ended = reply.status.is_some();
        let messages = match &reply.status {
            // The header of an answer that does not end is an answer, too.
            None => reply.messages,
            Some(status) if status.code() != tonic::Code::Ok => return Err(grpc_error(status)),
            Some(_) => successful(reply)?,
        };
        let mut messages = messages.into_iter();
        let header = messages.next().and_then(header);
        Ok(Answer { header, others: messages.len(), ended })
    }
}

/// The method of sync tasks.
pub(crate) const EXECUTE: &str = "/flyteidl.service.SyncAgentService/ExecuteTaskSync";

/// The messages of a sync task: a header and the inputs.
fn sync_messages(task: &Task) -> Vec<Bytes> {
    let request = task.request.clone();
    let header = CreateRequestHeader {
        template: request.template,
        output_prefix: request.output_prefix,
        task_execution_metadata: request.task_execution_metadata,
    };
    let inputs = request.inputs.unwrap_or_default();
    let parts =
        [Part::Header(header.encode_to_vec().into()), Part::Inputs(inputs.encode_to_vec().into())];
    let message = |part| ExecuteTaskSyncRequest { part: Some(part) }.encode_to_vec().into();
    parts.into_iter().map(message).collect()
}

fn header(message: Bytes) -> Option<JobStatus> {
    let answer = ExecuteTaskSyncResponse::decode(message).ok()?;
    let Some(Res::Header(header)) = answer.res else { return None };
    Some(JobStatus::from_grpc(Dialect::Flyte1, &header.resource.unwrap_or_default()))
}

fn category(task: &Task) -> TaskCategory {
    TaskCategory { name: task.type_name().to_owned(), version: task.version() }
}
