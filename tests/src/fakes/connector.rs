//! Connectors on a Unix socket, as `pyflyte serve connector` or `c0` serve them, with scripted answers.

use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    response::Response,
};
use plugin_core::testing::proto::flyteidl::admin::{
    Agent, CreateTaskResponse, ListAgentsResponse, TaskCategory,
};
use prost::Message as _;
use tempfile::TempDir;
use tokio::{net::UnixListener, task::JoinHandle};
use tonic::Code;

/// A version of Flyte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flyte {
    /// Flyte 1.
    V1,
    /// Flyte 2.
    V2,
}

/// An answer, or the code and details of an error.
pub type Answer = Result<Vec<u8>, (Code, &'static str)>;

/// A call that the connectors received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// gRPC's path, for example `/flyteidl.service.AsyncAgentService/GetTask`.
    pub path: String,
    /// Its messages, as they came.
    pub messages: Vec<Bytes>,
    /// The header `x-idempotency-key`.
    pub key: Option<String>,
}

/// A process of connectors.
pub struct Connectors {
    dir: TempDir,
    state: Arc<Stage>,
    serving: JoinHandle<()>,
}

struct Stage {
    flyte: Flyte,
    script: Mutex<Script>,
}

#[derive(Default)]
struct Script {
    calls: Vec<Call>,
    /// What the next calls of a method are answered with; the last one stays.
    answers: Vec<(&'static str, VecDeque<Answer>)>,
}

impl Stage {
    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connectors {
    /// Connectors of `flyte` for the task types `jobs` and `sync`, all of version 0.
    ///
    /// # Panics
    /// When the socket cannot be bound.
    #[expect(
        clippy::disallowed_methods,
        clippy::expect_used,
        reason = "a test's, and it ends with the fake"
    )]
    pub async fn start(flyte: Flyte, jobs: &[&str], sync: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let agents = [agent(jobs, false), agent(sync, true)];
        let agents = agents.into_iter().filter(|agent| !agent.supported_task_types.is_empty());
        let listed = ListAgentsResponse { agents: agents.collect() };
        let state = Arc::new(Stage { flyte, script: Mutex::default() });
        let socket = UnixListener::bind(dir.path().join("connectors.sock")).expect("a socket");
        let router = Router::new().fallback(serve).with_state(Arc::clone(&state));
        let serving = tokio::spawn(async move {
            axum::serve(socket, router).await.expect("never ends");
        });
        let connectors = Self { dir, state, serving };
        let list = if flyte == Flyte::V1 { "ListAgents" } else { "ListConnectors" };
        connectors.answer(list, [Ok(listed.encode_to_vec())]);
        connectors.answer("DeleteTask", [Ok(Vec::new())]);
        connectors
    }

    /// The version of Flyte that the connectors are written for.
    #[must_use]
    pub fn flyte(&self) -> Flyte {
        self.state.flyte
    }

    /// The socket's path.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("connectors.sock")
    }

    /// Answers the next calls of `method` with `answers`, and further ones with the last of them.
    pub fn answer(&self, method: &'static str, answers: impl IntoIterator<Item = Answer>) {
        let mut script = self.state.script();
        script.answers.retain(|(name, _)| *name != method);
        script.answers.push((method, answers.into_iter().collect()));
    }

    /// Answers creates with `meta`.
    pub fn create_as(&self, meta: &[u8]) {
        let created = CreateTaskResponse { resource_meta: meta.to_vec().into() };
        self.answer("CreateTask", [Ok(created.encode_to_vec())]);
    }

    /// The calls of `method` so far.
    #[must_use]
    pub fn calls(&self, method: &str) -> Vec<Call> {
        let calls = self.state.script().calls.clone();
        calls.into_iter().filter(|call| call.path.ends_with(&format!("/{method}"))).collect()
    }
}

impl Drop for Connectors {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn agent(types: &[&str], is_sync: bool) -> Agent {
    let category = |name: &&str| TaskCategory { name: (*name).to_owned(), version: 0 };
    Agent {
        name: format!("fake, sync: {is_sync}"),
        supported_task_types: types.iter().map(|name| (*name).to_owned()).collect(),
        is_sync,
        supported_task_categories: types.iter().map(category).collect(),
    }
}

/// A `GetTaskResponse` with an encoded `Resource`.
#[must_use]
pub fn got(resource: &[u8]) -> Vec<u8> {
    within(1, resource)
}

/// An `ExecuteTaskSyncResponse` whose header has an encoded `Resource`.
#[must_use]
pub fn executed(resource: &[u8]) -> Vec<u8> {
    within(1, &within(1, resource))
}

/// `message` as the field `tag` of another.
fn within(tag: u32, message: &[u8]) -> Vec<u8> {
    let mut outer = Vec::new();
    prost::encoding::bytes::encode(tag, &message.to_vec(), &mut outer);
    outer
}

#[expect(clippy::expect_used, reason = "a test's")]
async fn serve(State(stage): State<Arc<Stage>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let key = request.headers().get("x-idempotency-key");
    let key = key.map(|key| key.to_str().expect("a key").to_owned());
    let body = to_bytes(request.into_body(), 64 << 20).await.expect("a body");
    let is_other = path.starts_with("/flyteidl2.") != (stage.flyte == Flyte::V2);
    let method = path.rsplit('/').next().unwrap_or_default().to_owned();
    let mut script = stage.script();
    script.calls.push(Call { path, messages: messages(body), key });
    let answers = script.answers.iter_mut().find(|(name, _)| *name == method);
    let answer = answers.and_then(|(_, answers)| match answers.len() {
        1 => answers.front().cloned(),
        _ => answers.pop_front(),
    });
    match answer.filter(|_| !is_other) {
        Some(Ok(message)) => answered(&message),
        Some(Err((code, details))) => failed(code, details),
        None => failed(Code::Unimplemented, "Method not found!"),
    }
}

/// The messages of a gRPC body.
fn messages(mut body: Bytes) -> Vec<Bytes> {
    let mut messages = Vec::new();
    while let Some(length) = body.get(1..5).and_then(|length| length.try_into().ok()) {
        let length = u32::from_be_bytes(length) as usize;
        let mut message = body.split_to(5 + length);
        messages.push(message.split_off(5));
    }
    messages
}

#[expect(clippy::expect_used, clippy::cast_possible_truncation, reason = "a test's")]
fn answered(message: &[u8]) -> Response {
    let framed = [&[0], &(message.len() as u32).to_be_bytes()[..], message].concat();
    let frames = [
        http_body::Frame::data(Bytes::from(framed)),
        http_body::Frame::trailers([("grpc-status", "0")].into_iter().map(header).collect()),
    ];
    let frames = frames.map(Ok::<_, std::convert::Infallible>);
    let body = http_body_util::StreamBody::new(futures_util::stream::iter(frames));
    let response = Response::builder().header("content-type", "application/grpc");
    response.body(Body::new(body)).expect("a response")
}

#[expect(clippy::expect_used, reason = "a test's")]
fn header((name, value): (&'static str, &'static str)) -> (http::HeaderName, http::HeaderValue) {
    (http::HeaderName::from_static(name), value.parse().expect("a value"))
}

fn failed(code: Code, details: &str) -> Response {
    tonic::Status::new(code, details).into_http()
}
