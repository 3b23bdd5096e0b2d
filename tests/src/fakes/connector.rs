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
use http::HeaderMap;
use plugin_core::testing::proto::flyteidl::admin::{
    Agent, CreateTaskResponse, ListAgentsResponse, TaskCategory,
};
use prost::Message as _;
use tempfile::TempDir;
use tokio::{
    net::UnixListener,
    runtime::{Builder, Runtime},
};
use tonic::Code;

use super::jobs::Jobs;

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
    /// Its metadata.
    pub headers: HeaderMap,
}

impl Call {
    /// The value of `name` in its metadata.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// A process of connectors.
pub struct Connectors {
    dir: TempDir,
    state: Arc<Stage>,
    /// Of its own, so that it ends with every connection.
    serving: Option<Runtime>,
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
    /// What answers creates instead.
    jobs: Option<Arc<Jobs>>,
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
    #[expect(clippy::expect_used, reason = "a test's")]
    pub async fn start(flyte: Flyte, jobs: &[&str], sync: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let agents = [agent(jobs, false), agent(sync, true)];
        let agents = agents.into_iter().filter(|agent| !agent.supported_task_types.is_empty());
        let listed = ListAgentsResponse { agents: agents.collect() };
        let state = Arc::new(Stage { flyte, script: Mutex::default() });
        let mut connectors = Self { dir, state, serving: None };
        connectors.restart();
        let list = if flyte == Flyte::V1 { "ListAgents" } else { "ListConnectors" };
        connectors.answer(list, [Ok(listed.encode_to_vec())]);
        connectors.answer("DeleteTask", [Ok(Vec::new())]);
        connectors
    }

    /// Ends the process, and every connection with it.
    pub fn stop(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.shutdown_background();
        }
    }

    /// Starts the process again.
    ///
    /// # Panics
    /// When the socket cannot be bound.
    #[expect(clippy::expect_used, reason = "a test's")]
    pub fn restart(&mut self) {
        self.stop();
        let mut builder = Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build().expect("a runtime");
        // The socket of the process before is still there.
        let _ = std::fs::remove_file(self.socket());
        let socket = {
            let _entered = runtime.enter();
            UnixListener::bind(self.socket()).expect("a socket")
        };
        let router = Router::new().fallback(serve).with_state(Arc::clone(&self.state));
        runtime.spawn(async move { axum::serve(socket, router).await.expect("never ends") });
        self.serving = Some(runtime);
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
        self.answer("CreateTask", [Ok(created(meta))]);
    }

    /// Answers creates with `jobs`.
    pub fn create_in(&self, jobs: &Arc<Jobs>) {
        self.state.script().jobs = Some(Arc::clone(jobs));
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
        self.stop();
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

/// A `CreateTaskResponse` with `meta`.
fn created(meta: &[u8]) -> Vec<u8> {
    CreateTaskResponse { resource_meta: meta.to_vec().into() }.encode_to_vec()
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
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let messages = messages(to_bytes(body, 64 << 20).await.expect("a body"));
    let is_other = path.starts_with("/flyteidl2.") != (stage.flyte == Flyte::V2);
    let method = path.rsplit('/').next().unwrap_or_default().to_owned();
    let call = Call { path, messages, headers: parts.headers };
    let key = call.header("x-idempotency-key").unwrap_or_default().to_owned();
    let (answer, jobs) = stage.script().receive(&method, call);
    let answer = match jobs.filter(|_| method == "CreateTask" && !is_other) {
        Some(jobs) => Some(Ok(created(jobs.create(&key).await.to_string().as_bytes()))),
        None => answer,
    };
    match answer.filter(|_| !is_other) {
        Some(Ok(message)) => answered(&message),
        Some(Err((code, details))) => failed(code, details),
        None => failed(Code::Unimplemented, "Method not found!"),
    }
}

impl Script {
    /// The scripted answer to `call` of `method`, and what answers creates.
    fn receive(&mut self, method: &str, call: Call) -> (Option<Answer>, Option<Arc<Jobs>>) {
        self.calls.push(call);
        let answers = self.answers.iter_mut().find(|(name, _)| *name == method);
        let answer = answers.and_then(|(_, answers)| match answers.len() {
            1 => answers.front().cloned(),
            _ => answers.pop_front(),
        });
        (answer, self.jobs.clone())
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
