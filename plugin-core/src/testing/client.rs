//! One client for every protocol, so that a test reads the same for all.

use std::{fmt, net::SocketAddr, time::Duration};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt as _};
use http::Method;
use prost::Message as _;
use prost_types::Struct;
use serde_json::{Value as Json, json};
use tonic::{Request, Status, metadata::MetadataValue, transport::Channel};

use super::proto::{
    flyteidl::{
        admin::{
            CreateRequestHeader, CreateTaskRequest, DeleteTaskRequest, ExecuteTaskSyncRequest,
            GetTaskRequest, Resource, execute_task_sync_request::Part,
            execute_task_sync_response::Res,
        },
        core::{LiteralMap, TaskLog, task_execution},
        service::{
            async_agent_service_client::AsyncAgentServiceClient,
            sync_agent_service_client::SyncAgentServiceClient,
        },
    },
    flyteidl2::connector::async_connector_service_client::AsyncConnectorServiceClient,
};
use crate::wire;

/// A protocol that a service is called with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// gRPC as FlytePropeller 1.x uses it.
    Flyte1,
    /// gRPC as Flyte 2 uses it.
    Flyte2,
    /// REST.
    Rest,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Flyte1, Self::Flyte2, Self::Rest];

    /// Those with a call that executes a task: Flyte 2 has none.
    pub const SYNC: [Self; 2] = [Self::Flyte1, Self::Rest];

    /// Whether it is gRPC.
    #[must_use]
    pub fn is_grpc(self) -> bool {
        self != Self::Rest
    }
}

/// The error that a service answered a call with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallError {
    /// The gRPC or HTTP status code.
    pub code: i32,
    /// The error message.
    pub message: String,
}

/// The status of a job as a caller receives it, the same for every protocol.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// Flyte's name of the phase.
    pub phase: String,
    /// The message, after the error code of a failed job: `CODE: message`.
    pub message: String,
    /// The outputs as proto-JSON, or null.
    pub outputs: Json,
    /// Names and URIs.
    pub links: Vec<(String, String)>,
    /// The custom info, an object.
    pub custom_info: Json,
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flyte1 => "Flyte 1",
            Self::Flyte2 => "Flyte 2",
            Self::Rest => "REST",
        })
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the code {} and the message {:?}", self.code, self.message)
    }
}

impl fmt::Display for Observation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.message.as_str() {
            "" => write!(f, "{} without a message", self.phase),
            message => write!(f, "{} with the message {message:?}", self.phase),
        }
    }
}

/// A caller of a service.
#[derive(Clone)]
pub struct Client {
    dialect: Dialect,
    base: String,
    token: Option<String>,
    channel: Channel,
    http: reqwest::Client,
    timeout: Option<Duration>,
}

impl Client {
    /// Connects to the service at `address`, with or without a bearer token.
    ///
    /// # Panics
    /// When it cannot connect.
    #[expect(clippy::disallowed_methods, clippy::expect_used, reason = "a test's")]
    pub async fn connect(dialect: Dialect, address: SocketAddr, token: Option<String>) -> Self {
        let base = format!("http://{address}");
        let endpoint = Channel::from_shared(base.clone()).expect("a URL");
        let channel = endpoint.connect().await.expect("a connection");
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self { dialect, base, token, channel, http, timeout: None }
    }

    /// The same caller, whose calls have a deadline of `timeout`.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Creates a job for `task`, a CreateTaskRequest as proto-JSON, and returns its handle.
    ///
    /// # Errors
    /// The error that the service answers with.
    ///
    /// # Panics
    /// When `task` is not a CreateTaskRequest.
    #[expect(clippy::expect_used, reason = "a test's")]
    pub async fn create(&self, task: &Json) -> Result<Vec<u8>, CallError> {
        if self.dialect == Dialect::Rest {
            let answer = self.rest(Method::PUT, task, "", Some(task)).await?;
            return Ok(job_bytes(&answer["job_id"]));
        }
        let request = wire::from_proto_json_object(task).expect("a CreateTaskRequest");
        self.create_raw(request).await
    }

    /// Creates a job over gRPC, with the request as it is.
    ///
    /// # Errors
    /// The error that the service answers with.
    pub async fn create_raw(&self, request: CreateTaskRequest) -> Result<Vec<u8>, CallError> {
        let request = self.grpc(request);
        let created = match self.dialect {
            Dialect::Flyte2 => {
                AsyncConnectorServiceClient::new(self.channel.clone()).create_task(request).await
            }
            _ => AsyncAgentServiceClient::new(self.channel.clone()).create_task(request).await,
        };
        Ok(created.map_err(call_error)?.into_inner().resource_meta.to_vec())
    }

    /// Gets the status of the job of `handle`; REST takes the task type from `task`.
    ///
    /// # Errors
    /// The error that the service answers with.
    pub async fn get(&self, task: &Json, handle: &[u8]) -> Result<Observation, CallError> {
        if self.dialect == Dialect::Rest {
            let answer = self.rest(Method::GET, task, &job_query(handle), None).await?;
            return Ok(Observation::from_rest(&answer));
        }
        let request = self.grpc(GetTaskRequest {
            resource_meta: handle.to_vec().into(),
            ..GetTaskRequest::default()
        });
        let got = match self.dialect {
            Dialect::Flyte2 => {
                AsyncConnectorServiceClient::new(self.channel.clone()).get_task(request).await
            }
            _ => AsyncAgentServiceClient::new(self.channel.clone()).get_task(request).await,
        };
        let resource = got.map_err(call_error)?.into_inner().resource.unwrap_or_default();
        Ok(Observation::from_grpc(&resource))
    }

    /// Deletes the job of `handle`; REST takes the task type from `task`.
    ///
    /// # Errors
    /// The error that the service answers with.
    pub async fn delete(&self, task: &Json, handle: &[u8]) -> Result<(), CallError> {
        if self.dialect == Dialect::Rest {
            return self.rest(Method::DELETE, task, &job_query(handle), None).await.map(drop);
        }
        let request = self.grpc(DeleteTaskRequest {
            resource_meta: handle.to_vec().into(),
            ..DeleteTaskRequest::default()
        });
        let deleted = match self.dialect {
            Dialect::Flyte2 => {
                AsyncConnectorServiceClient::new(self.channel.clone()).delete_task(request).await
            }
            _ => AsyncAgentServiceClient::new(self.channel.clone()).delete_task(request).await,
        };
        deleted.map(drop).map_err(call_error)
    }

    /// Executes `task`, a CreateTaskRequest as proto-JSON, as propeller does: it sends a header, the
    /// inputs and the end of the stream.
    ///
    /// # Errors
    /// The error that the service answers with.
    ///
    /// # Panics
    /// When `task` is not a CreateTaskRequest, or the response is not a header and then the end of the
    /// stream.
    pub async fn execute(&self, task: &Json) -> Result<Observation, CallError> {
        if self.dialect == Dialect::Rest {
            let answer = self.rest(Method::POST, task, "", Some(task)).await?;
            return Ok(Observation::from_rest(&answer));
        }
        self.execute_raw(stream::iter(sync_parts(task))).await
    }

    /// Executes a stream of messages as it is, over Flyte 1's gRPC, and returns the first message of
    /// the response.
    ///
    /// # Errors
    /// The error that the service answers with.
    ///
    /// # Panics
    /// When the response is not a header and then the end of the stream.
    #[expect(clippy::expect_used, reason = "a test's")]
    pub async fn execute_raw(
        &self,
        parts: impl Stream<Item = Part> + Send + 'static,
    ) -> Result<Observation, CallError> {
        let request = parts.map(|part| ExecuteTaskSyncRequest { part: Some(part) });
        let mut client = SyncAgentServiceClient::new(self.channel.clone());
        let answer = client.execute_task_sync(self.grpc(request)).await.map_err(call_error)?;
        let mut answer = answer.into_inner();
        let first = answer.message().await.map_err(call_error)?.expect("a message");
        assert_eq!(
            answer.message().await.map_err(call_error)?,
            None,
            "the stream ends after one message"
        );
        let Some(Res::Header(header)) = first.res else {
            panic!("the first message is not a header: {first:?}")
        };
        Ok(Observation::from_grpc(&header.resource.expect("a resource")))
    }

    #[expect(clippy::expect_used, reason = "a test's")]
    fn grpc<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(token) = &self.token {
            let value: MetadataValue<_> = format!("Bearer {token}").parse().expect("a token");
            request.metadata_mut().insert("authorization", value);
        }
        if let Some(timeout) = self.timeout {
            request.set_timeout(timeout);
        }
        request
    }

    #[expect(clippy::expect_used, reason = "a test's")]
    async fn rest(
        &self,
        method: Method,
        task: &Json,
        query: &str,
        body: Option<&Json>,
    ) -> Result<Json, CallError> {
        let template = &task["template"];
        let task_type = template["type"].as_str().unwrap_or("none");
        let version = template["task_type_version"].as_i64().unwrap_or_default();
        let url = format!("{}/plugins/v1/{task_type}/{version}{query}", self.base);
        let mut request = self.http.request(method, url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(timeout) = self.timeout {
            request = request.header("x-request-timeout", format!("{}ms", timeout.as_millis()));
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.expect("an answer");
        let status = answer.status();
        let json: Json = answer.json().await.expect("JSON");
        if status.is_success() {
            return Ok(json);
        }
        let message = json["message"].as_str().unwrap_or_default().to_owned();
        Err(CallError { code: status.as_u16().into(), message })
    }
}

/// The messages that ExecuteTaskSync sends for `task`, a CreateTaskRequest as proto-JSON: the header and
/// the inputs.
///
/// # Panics
/// When `task` is not a CreateTaskRequest.
#[must_use]
#[expect(clippy::expect_used, reason = "a test's")]
pub fn sync_parts(task: &Json) -> [Part; 2] {
    let request = wire::from_proto_json_object(task).expect("a CreateTaskRequest");
    let header = CreateRequestHeader {
        template: request.template,
        output_prefix: request.output_prefix,
        task_execution_metadata: request.task_execution_metadata,
    };
    let inputs = request.inputs.unwrap_or_default();
    [Part::Header(header.encode_to_vec().into()), Part::Inputs(inputs.encode_to_vec().into())]
}

/// The outputs of `resource`.
///
/// # Panics
/// When they are no `LiteralMap`.
#[must_use]
#[expect(clippy::expect_used, reason = "a test's")]
pub fn outputs_of(resource: &Resource) -> Option<LiteralMap> {
    let outputs = resource.outputs.clone();
    outputs.map(|outputs| LiteralMap::decode(outputs).expect("a LiteralMap"))
}

/// The links of `resource`.
///
/// # Panics
/// When one is no `TaskLog`.
#[must_use]
#[expect(clippy::expect_used, reason = "a test's")]
pub fn links_of(resource: &Resource) -> Vec<TaskLog> {
    let link = |link: &Bytes| TaskLog::decode(link.clone()).expect("a TaskLog");
    resource.log_links.iter().map(link).collect()
}

fn job_query(handle: &[u8]) -> String {
    format!("?job_id={}", BASE64_URL_SAFE_NO_PAD.encode(handle))
}

fn job_bytes(job_id: &Json) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD.decode(job_id.as_str().unwrap_or_default()).unwrap_or_default()
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn call_error(status: Status) -> CallError {
    CallError { code: status.code() as i32, message: status.message().to_owned() }
}

impl Observation {
    fn from_grpc(resource: &Resource) -> Self {
        let phase = task_execution::Phase::try_from(resource.phase).unwrap_or_default();
        let outputs = outputs_of(resource).map(|outputs| wire::to_proto_json(&outputs));
        let info = Struct::decode(resource.custom_info.clone().unwrap_or_default());
        Self {
            phase: phase.as_str_name().to_owned(),
            message: resource.message.clone(),
            outputs: outputs.and_then(Result::ok).unwrap_or_default(),
            links: links_of(resource).into_iter().map(|link| (link.name, link.uri)).collect(),
            custom_info: wire::from_struct(&info.unwrap_or_default()),
        }
    }

    fn from_rest(answer: &Json) -> Self {
        let string = |json: &Json| json.as_str().unwrap_or_default().to_owned();
        let links = answer["log_links"].as_array().into_iter().flatten();
        let message = match answer["error_code"].as_str() {
            Some(code) => format!("{code}: {}", string(&answer["message"])),
            None => string(&answer["message"]),
        };
        Self {
            phase: string(&answer["phase"]),
            message,
            outputs: answer["outputs"].clone(),
            links: links.map(|link| (string(&link["name"]), string(&link["uri"]))).collect(),
            custom_info: match &answer["custom_info"] {
                Json::Object(info) => json!(info),
                _ => json!({}),
            },
        }
    }
}
