//! One client for every protocol, so that a test reads the same for all.

use std::{net::SocketAddr, time::Duration};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use futures_util::stream::{self, Stream, StreamExt as _};
use http::Method;
use serde_json::{Value as Json, json};
use tonic::{Request, Status, metadata::MetadataValue, transport::Channel};

use super::proto::{
    flyteidl::{
        admin::{
            CreateRequestHeader, CreateTaskRequest, DeleteTaskRequest, ExecuteTaskSyncRequest,
            GetTaskRequest, Resource, execute_task_sync_request::Part,
            execute_task_sync_response::Res,
        },
        core::task_execution,
        service::{
            async_agent_service_client::AsyncAgentServiceClient,
            sync_agent_service_client::SyncAgentServiceClient,
        },
    },
    flyteidl2::connector::async_connector_service_client::AsyncConnectorServiceClient,
};
use crate::wire;

/// How a caller speaks to a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// gRPC as FlytePropeller 1.x speaks it.
    Flyte1,
    /// gRPC as Flyte 2 speaks it.
    Flyte2,
    /// REST.
    Rest,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Flyte1, Self::Flyte2, Self::Rest];

    /// Those that can execute a task at once: Flyte 2 cannot.
    pub const SYNC: [Self; 2] = [Self::Flyte1, Self::Rest];

    /// Whether it is gRPC.
    #[must_use]
    pub fn is_grpc(self) -> bool {
        self != Self::Rest
    }
}

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// gRPC's status code, or HTTP's.
    pub code: i32,
    /// What the caller reads.
    pub message: String,
}

/// Where a job stands, the same for every protocol.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// Flyte's name of the phase.
    pub phase: String,
    /// The text; over gRPC a failure's code stands before it.
    pub message: String,
    /// The outputs as proto-JSON, or null.
    pub outputs: Json,
    /// Names and URIs.
    pub links: Vec<(String, String)>,
    /// The facts.
    pub custom_info: Json,
}

/// A caller.
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
    /// A caller of the service at `address`, with or without a token.
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

    /// The same caller, who waits no longer than `timeout`.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Submits `task`, a CreateTaskRequest as proto-JSON, and answers with its handle.
    ///
    /// # Errors
    /// What the service refuses it with.
    ///
    /// # Panics
    /// When `task` is no such request.
    #[expect(clippy::expect_used, reason = "a test's")]
    pub async fn create(&self, task: &Json) -> Result<Vec<u8>, Refusal> {
        if self.dialect == Dialect::Rest {
            let answer = self.rest(Method::PUT, task, "", Some(task)).await?;
            return Ok(job_bytes(&answer["job_id"]));
        }
        let request = wire::from_proto_json(task).expect("a CreateTaskRequest");
        self.create_raw(request).await
    }

    /// Submits a request as it is, over gRPC.
    ///
    /// # Errors
    /// What the service refuses it with.
    pub async fn create_raw(&self, request: CreateTaskRequest) -> Result<Vec<u8>, Refusal> {
        let request = self.grpc(request);
        let created = match self.dialect {
            Dialect::Flyte2 => {
                AsyncConnectorServiceClient::new(self.channel.clone()).create_task(request).await
            }
            _ => AsyncAgentServiceClient::new(self.channel.clone()).create_task(request).await,
        };
        Ok(created.map_err(refusal)?.into_inner().resource_meta.to_vec())
    }

    /// Looks at the job of `handle`; `task` says of which type it is.
    ///
    /// # Errors
    /// What the service refuses it with.
    pub async fn get(&self, task: &Json, handle: &[u8]) -> Result<Seen, Refusal> {
        if self.dialect == Dialect::Rest {
            let answer = self.rest(Method::GET, task, &job_query(handle), None).await?;
            return Ok(Seen::from_rest(&answer));
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
        let resource = got.map_err(refusal)?.into_inner().resource.unwrap_or_default();
        Ok(Seen::from_grpc(&resource))
    }

    /// Stops the job of `handle`.
    ///
    /// # Errors
    /// What the service refuses it with.
    pub async fn delete(&self, task: &Json, handle: &[u8]) -> Result<(), Refusal> {
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
        deleted.map(drop).map_err(refusal)
    }

    /// Executes `task`, a CreateTaskRequest as proto-JSON, as propeller does: a header, the inputs and
    /// the end of the stream.
    ///
    /// # Errors
    /// What the service refuses it with.
    ///
    /// # Panics
    /// When `task` is no such request, or the answer is no header and the end.
    pub async fn execute(&self, task: &Json) -> Result<Seen, Refusal> {
        if self.dialect == Dialect::Rest {
            let answer = self.rest(Method::POST, task, "", Some(task)).await?;
            return Ok(Seen::from_rest(&answer));
        }
        self.execute_raw(stream::iter(sync_parts(task))).await
    }

    /// Executes a stream of messages as it is, over Flyte 1's gRPC; the first message of the answer.
    ///
    /// # Errors
    /// What the service refuses it with.
    ///
    /// # Panics
    /// When the answer has no header, or no end after it.
    #[expect(clippy::expect_used, reason = "a test's")]
    pub async fn execute_raw(
        &self,
        parts: impl Stream<Item = Part> + Send + 'static,
    ) -> Result<Seen, Refusal> {
        let request = parts.map(|part| ExecuteTaskSyncRequest { part: Some(part) });
        let mut client = SyncAgentServiceClient::new(self.channel.clone());
        let answer = client.execute_task_sync(self.grpc(request)).await.map_err(refusal)?;
        let mut answer = answer.into_inner();
        let first = answer.message().await.map_err(refusal)?.expect("a message");
        assert_eq!(answer.message().await.map_err(refusal)?, None, "one message and the end");
        let Some(Res::Header(header)) = first.res else { panic!("no header: {first:?}") };
        Ok(Seen::from_grpc(&header.resource.expect("a resource")))
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
    ) -> Result<Json, Refusal> {
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
        Err(Refusal { code: status.as_u16().into(), message })
    }
}

/// What ExecuteTaskSync sends for `task`, a CreateTaskRequest as proto-JSON: the header and the inputs.
///
/// # Panics
/// When `task` is no such request.
#[must_use]
#[expect(clippy::expect_used, reason = "a test's")]
pub fn sync_parts(task: &Json) -> [Part; 2] {
    let request = wire::from_proto_json(task).expect("a CreateTaskRequest");
    let header = CreateRequestHeader {
        template: request.template,
        output_prefix: request.output_prefix,
        task_execution_metadata: request.task_execution_metadata,
    };
    [Part::Header(header), Part::Inputs(request.inputs.unwrap_or_default())]
}

fn job_query(handle: &[u8]) -> String {
    format!("?job_id={}", BASE64_URL_SAFE_NO_PAD.encode(handle))
}

fn job_bytes(job_id: &Json) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD.decode(job_id.as_str().unwrap_or_default()).unwrap_or_default()
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn refusal(status: Status) -> Refusal {
    Refusal { code: status.code() as i32, message: status.message().to_owned() }
}

impl Seen {
    fn from_grpc(resource: &Resource) -> Self {
        let phase = task_execution::Phase::try_from(resource.phase).unwrap_or_default();
        let outputs = resource.outputs.as_ref().map(wire::to_proto_json);
        let info = resource.custom_info.clone().unwrap_or_default();
        let link =
            |link: &super::proto::flyteidl::core::TaskLog| (link.name.clone(), link.uri.clone());
        Self {
            phase: phase.as_str_name().to_owned(),
            message: resource.message.clone(),
            outputs: outputs.and_then(Result::ok).unwrap_or_default(),
            links: resource.log_links.iter().map(link).collect(),
            custom_info: wire::from_struct(&info),
        }
    }

    fn from_rest(answer: &Json) -> Self {
        let text = |json: &Json| json.as_str().unwrap_or_default().to_owned();
        let links = answer["log_links"].as_array().into_iter().flatten();
        let message = match answer["error_code"].as_str() {
            Some(code) => format!("{code}: {}", text(&answer["message"])),
            None => text(&answer["message"]),
        };
        Self {
            phase: text(&answer["phase"]),
            message,
            outputs: answer["outputs"].clone(),
            links: links.map(|link| (text(&link["name"]), text(&link["uri"]))).collect(),
            custom_info: match &answer["custom_info"] {
                Json::Object(info) => json!(info),
                _ => json!({}),
            },
        }
    }
}
