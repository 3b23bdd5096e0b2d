//! The fake's gRPC, framed by hand, so that it can be wrong.

use std::{convert::Infallible, future::pending, time::Duration};

use axum::{
    body::{Body, BodyDataStream},
    extract::{Request, State},
    http::HeaderMap,
    response::{IntoResponse as _, Response},
};
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use futures_util::{StreamExt as _, stream};
use http_body_util::StreamBody;
use hyper::body::Frame;
use plugin_core::testing::{
    literal_map,
    proto::flyteidl::{
        admin::{
            Agent, CreateRequestHeader, CreateTaskRequest, CreateTaskResponse, DeleteTaskRequest,
            DeleteTaskResponse, ExecuteTaskSyncRequest, ExecuteTaskSyncResponse,
            ExecuteTaskSyncResponseHeader, GetAgentRequest, GetAgentResponse, GetTaskRequest,
            GetTaskResponse, ListAgentsRequest, ListAgentsResponse, Resource, State as AgentState,
            TaskCategory, execute_task_sync_request::Part, execute_task_sync_response::Res,
        },
        core::{LiteralMap, TaskLog, task_execution::Phase},
    },
};
use prost::Message;
use tokio::time::{sleep, timeout};
use tonic::{Code, Status as GrpcStatus};

use super::{
    ASYNC, Fake, Fault, LIMIT, SYNC, Shared,
    jobs::{Outcome, Status},
};

type Answered = Result<Vec<Bytes>, GrpcStatus>;

pub(super) async fn serve(State(fake): Shared, request: Request) -> Response {
    let is_grpc =
        request.headers().get("content-type").is_some_and(|kind| kind == "application/grpc");
    if !is_grpc {
        return http::StatusCode::NOT_FOUND.into_response();
    }
    let (service, method) = request.uri().path().rsplit_once('/').unwrap_or_default();
    let (service, method) = (service.to_owned(), method.to_owned());
    if service != "/grpc.health.v1.Health" && !fake.knows(request.headers()) {
        return answer(Err(GrpcStatus::unauthenticated("no token")));
    }
    let deadline = deadline(request.headers());
    let mut messages = Messages::of(&fake, request);
    let called = call(&fake, &service, &method, &mut messages);
    let answered = match fake.fault {
        Fault::DeadlineIsIgnored if method == "GetTask" => called.await,
        _ => timeout(deadline, called)
            .await
            .unwrap_or_else(|_| Err(GrpcStatus::deadline_exceeded("too late"))),
    };
    answer(answered)
}

fn deadline(headers: &HeaderMap) -> Duration {
    let value = headers.get("grpc-timeout").and_then(|value| value.to_str().ok());
    let millis = value.and_then(|value| value.strip_suffix('m')?.parse().ok()).unwrap_or(60_000);
    Duration::from_millis(millis)
}

fn answer(answered: Answered) -> Response {
    let (messages, status) = match answered {
        Ok(messages) => (messages, GrpcStatus::new(Code::Ok, "")),
        Err(status) => (Vec::new(), status),
    };
    let mut trailers = HeaderMap::new();
    status.add_header(&mut trailers).unwrap();
    let framed = messages.into_iter().map(|message| {
        let mut bytes = BytesMut::new();
        bytes.put_u8(0);
        bytes.put_u32(u32::try_from(message.len()).unwrap());
        bytes.extend_from_slice(&message);
        Ok::<_, Infallible>(Frame::data(bytes.freeze()))
    });
    let frames = framed.chain([Ok(Frame::trailers(trailers))]).collect::<Vec<_>>();
    let body = Body::new(StreamBody::new(stream::iter(frames)));
    let mut response = Response::new(body);
    response.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
    response
}

/// The messages of a request, as they come.
struct Messages {
    data: BodyDataStream,
    bytes: BytesMut,
    limit: usize,
    undecodable: Code,
}

impl Messages {
    fn of(fake: &Fake, request: Request) -> Self {
        Self {
            data: request.into_body().into_data_stream(),
            bytes: BytesMut::new(),
            limit: if fake.is(Fault::LargeMessageIsRead) { usize::MAX } else { LIMIT },
            undecodable: match fake.fault {
                Fault::WrongBytesAreInternal => Code::Internal,
                Fault::WrongBytesAreUnknown => Code::Unknown,
                _ => Code::InvalidArgument,
            },
        }
    }

    async fn next<M: Message + Default>(&mut self) -> Result<Option<M>, GrpcStatus> {
        let Some(message) = self.next_bytes().await? else { return Ok(None) };
        let decoded = M::decode(message);
        let wrong = |_| GrpcStatus::new(self.undecodable, "not the message");
        decoded.map(Some).map_err(wrong)
    }

    async fn only<M: Message + Default>(&mut self) -> Result<M, GrpcStatus> {
        let message = self.next().await?;
        message.ok_or_else(|| GrpcStatus::invalid_argument("no message"))
    }

    async fn next_bytes(&mut self) -> Result<Option<Bytes>, GrpcStatus> {
        loop {
            if self.bytes.len() >= 5 {
                let length = (&self.bytes[1..5]).get_u32() as usize;
                if length > self.limit {
                    return Err(GrpcStatus::resource_exhausted("too large"));
                }
                if self.bytes.len() >= 5 + length {
                    self.bytes.advance(5);
                    return Ok(Some(self.bytes.split_to(length).freeze()));
                }
            }
            match self.data.next().await {
                Some(Ok(data)) => self.bytes.extend_from_slice(&data),
                _ => return Ok(None),
            }
        }
    }
}

async fn call(fake: &Fake, service: &str, method: &str, messages: &mut Messages) -> Answered {
    match (service, method) {
        ("/grpc.health.v1.Health", "Check") => {
            let status = if fake.is(Fault::NotServing) { 2 } else { 1 };
            Ok(vec![Bytes::copy_from_slice(&[8, status])])
        }
        (_, "ListAgents" | "ListConnectors") => {
            messages.only::<ListAgentsRequest>().await?;
            one(&ListAgentsResponse { agents: agents(fake) })
        }
        (_, "GetAgent" | "GetConnector") => agent(fake, &messages.only().await?),
        (_, "CreateTask") => create(fake, &messages.only().await?).await,
        (_, "GetTask") => get(fake, &messages.only().await?).await,
        (_, "DeleteTask") => delete(fake, &messages.only().await?),
        (_, "ExecuteTaskSync") => execute(fake, messages).await,
        (_, "GetTaskLogs") if fake.is(Fault::LogsHang) => {
            sleep(Duration::from_secs(60)).await;
            pending().await
        }
        _ => Err(GrpcStatus::unimplemented("no such method")),
    }
}

fn one(message: &impl Message) -> Answered {
    Ok(vec![message.encode_to_vec().into()])
}

fn agents(fake: &Fake) -> Vec<Agent> {
    let agent = |name: &str, is_sync| Agent {
        name: format!("{name} agent"),
        supported_task_types: vec![name.to_owned()],
        is_sync,
        supported_task_categories: vec![TaskCategory { name: name.to_owned(), version: 0 }],
    };
    let mut agents = vec![agent(ASYNC, false), agent(SYNC, true)];
    match fake.fault {
        Fault::TypeWithoutCategory => agents[0].supported_task_types.push("other".to_owned()),
        Fault::TwoVersions => {
            agents[0]
                .supported_task_categories
                .push(TaskCategory { name: ASYNC.to_owned(), version: 1 });
        }
        _ => {}
    }
    agents
}

fn agent(fake: &Fake, request: &GetAgentRequest) -> Answered {
    let agents = agents(fake);
    match agents.iter().find(|agent| agent.name == request.name) {
        Some(agent) => one(&GetAgentResponse { agent: Some(agent.clone()) }),
        None if fake.is(Fault::UnknownAgentIsFound) => {
            one(&GetAgentResponse { agent: Some(agents[0].clone()) })
        }
        None => Err(GrpcStatus::not_found("no such agent")),
    }
}

async fn create(fake: &Fake, request: &CreateTaskRequest) -> Answered {
    let created = |handle: Vec<u8>| one(&CreateTaskResponse { resource_meta: handle.into() });
    match fake.create(request).await {
        Outcome::Accepted(number) => created(fake.handle(number)),
        // A handle that leads to the refusal.
        Outcome::Refused(message) => created(format!("refused/{message}").into_bytes()),
        other => Err(error(&other)),
    }
}

fn error<T>(outcome: &Outcome<T>) -> GrpcStatus {
    match outcome {
        Outcome::NotFound => GrpcStatus::not_found("no such type"),
        Outcome::Invalid(message) => GrpcStatus::invalid_argument(message.as_str()),
        Outcome::Unavailable => GrpcStatus::unavailable("try again"),
        Outcome::Accepted(_) | Outcome::Refused(_) => unreachable!("no error"),
    }
}

async fn get(fake: &Fake, request: &GetTaskRequest) -> Answered {
    let handle = &request.resource_meta;
    fake.unpickle(handle).await;
    let status = if let Some(message) = handle.strip_prefix(b"refused/") {
        Status::of("FAILED", &String::from_utf8_lossy(message))
    } else {
        match fake.open(handle) {
            Ok(number) => match fake.poll(number).await {
                Some(status) => status,
                None => return Err(GrpcStatus::unavailable("try again")),
            },
            Err(true) if fake.is(Fault::AlteredHandleIsAJob) => Status::of("RUNNING", ""),
            Err(false) if fake.is(Fault::GarbageIsAJob) => Status::of("RUNNING", ""),
            Err(false) if fake.is(Fault::GarbageIsInternal) => {
                return Err(GrpcStatus::internal("KeyError: 'job_id'"));
            }
            Err(_) => Status::of("FAILED", &fake.about_garbage()),
        }
    };
    one(&GetTaskResponse { resource: Some(resource(fake, &status)) })
}

fn resource(fake: &Fake, status: &Status) -> Resource {
    let state = match status.phase {
        _ if fake.is(Fault::StateDisagrees) => AgentState::RetryableFailure,
        "SUCCEEDED" => AgentState::Succeeded,
        "FAILED" => AgentState::PermanentFailure,
        _ => AgentState::Running,
    };
    let link = |(name, uri): &(&str, &str)| {
        let link =
            TaskLog { name: (*name).to_owned(), uri: (*uri).to_owned(), ..TaskLog::default() };
        link.encode_to_vec().into()
    };
    let outputs = status.outputs.as_ref().map(|outputs| literal_map(outputs).unwrap());
    Resource {
        state: state.into(),
        phase: Phase::from_str_name(status.phase).unwrap().into(),
        message: status.message.clone(),
        outputs: outputs.map(|outputs| outputs.encode_to_vec().into()),
        log_links: status.links.iter().map(link).collect(),
        custom_info: Some(info().encode_to_vec().into()),
        ..Resource::default()
    }
}

/// What REST has, too.
fn info() -> prost_types::Struct {
    let bytes = prost_types::Value { kind: Some(prost_types::value::Kind::NumberValue(2.0)) };
    prost_types::Struct { fields: [("bytes".to_owned(), bytes)].into() }
}

fn delete(fake: &Fake, request: &DeleteTaskRequest) -> Answered {
    match fake.open(&request.resource_meta) {
        Err(_) if fake.is(Fault::DeleteOfGarbageFails) => {
            return Err(GrpcStatus::invalid_argument("not a handle"));
        }
        Err(_) => {}
        Ok(number) => {
            fake.delete(number).map_err(|()| GrpcStatus::failed_precondition("it has ended"))?;
        }
    }
    one(&DeleteTaskResponse {})
}

async fn execute(fake: &Fake, messages: &mut Messages) -> Answered {
    let broken = || match fake.fault {
        Fault::BrokenStreamIsUnknown => GrpcStatus::unknown("KeyError"),
        _ => GrpcStatus::invalid_argument("no header"),
    };
    let first = messages.next::<ExecuteTaskSyncRequest>().await?.ok_or_else(broken)?;
    let Some(Part::Header(header)) = first.part else { return Err(broken()) };
    let header = CreateRequestHeader::decode(header).map_err(|_| broken())?;
    let inputs = messages.next::<ExecuteTaskSyncRequest>();
    let inputs = match fake.fault {
        Fault::InputsAreNotAwaited => {
            timeout(Duration::from_millis(100), inputs).await.unwrap_or(Ok(None))?
        }
        _ => inputs.await?,
    };
    if fake.is(Fault::HalfCloseIsAwaited) {
        messages.next_bytes().await?;
    }
    let inputs = inputs.and_then(|inputs| match inputs.part {
        Some(Part::Inputs(inputs)) => LiteralMap::decode(inputs).ok(),
        _ => None,
    });
    let task = CreateTaskRequest {
        inputs,
        template: header.template,
        output_prefix: header.output_prefix,
        task_execution_metadata: header.task_execution_metadata,
        connection: None,
    };
    executed(fake, &task)
}

fn executed(fake: &Fake, task: &CreateTaskRequest) -> Answered {
    let status = match fake.execute(task) {
        Outcome::Accepted(status) => status,
        Outcome::Refused(message) => Status::of("FAILED", &message),
        other => return Err(error(&other)),
    };
    let header = ExecuteTaskSyncResponseHeader { resource: Some(resource(fake, &status)) };
    let message = |res| Bytes::from(ExecuteTaskSyncResponse { res: Some(res) }.encode_to_vec());
    let header = message(Res::Header(header));
    Ok(match fake.fault {
        Fault::OutputsComeFirst => vec![message(Res::Outputs(LiteralMap::default())), header],
        _ => vec![header],
    })
}
