//! A server of plugins on a Unix socket, as an author in any language writes one: REST with plain JSON.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Router,
    body::{Bytes, to_bytes},
    extract::{Request, State},
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value as Json, json};
use tempfile::TempDir;
use tokio::{net::UnixListener, task::JoinHandle};

use super::jobs::Jobs;

/// A request that the server received.
#[derive(Debug, Clone)]
pub struct Received {
    /// The method.
    pub method: Method,
    /// The path and the query.
    pub target: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; null if there is none.
    pub body: Json,
}

/// A server with the plugins `shout` and, sync, `ask`.
pub struct PluginServer {
    dir: TempDir,
    state: Arc<Mutex<Script>>,
    serving: JoinHandle<()>,
}

#[derive(Default)]
struct Script {
    received: Vec<Received>,
    /// What requests whose method and target begin so are answered with.
    answers: Vec<(Method, &'static str, u16, String)>,
    /// What answers creates instead.
    jobs: Option<Arc<Jobs>>,
    /// What answers everything but the list instead.
    plugin: Option<Plugin>,
}

/// A plugin's code: the status and the body of an answer.
type Plugin = Arc<dyn Fn(&Received) -> (u16, Json) + Send + Sync>;

impl PluginServer {
    /// A server that has submitted and runs whatever it is given.
    ///
    /// # Panics
    /// When the socket cannot be bound.
    #[expect(
        clippy::disallowed_methods,
        clippy::expect_used,
        reason = "a test's, and it ends with the fake"
    )]
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let state = Arc::<Mutex<Script>>::default();
        let socket = UnixListener::bind(dir.path().join("plugin.sock")).expect("a socket");
        let router = Router::new().fallback(serve).with_state(Arc::clone(&state));
        let serving = tokio::spawn(async move {
            axum::serve(socket, router).await.expect("never ends");
        });
        let server = Self { dir, state, serving };
        let plugins = json!([
            {"task_type": "shout", "version": 0, "sync": false},
            {"task_type": "ask", "version": 0, "sync": true},
        ]);
        server.answer(Method::GET, "/plugins/v1/shout", 200, json!({"phase": "RUNNING"}));
        server.answer(Method::PUT, "", 200, json!({"job_id": {"id": 1}}));
        server.answer(Method::DELETE, "", 200, json!({}));
        let listed = json!({"plugins": plugins}).to_string();
        server.state().answers.push((Method::GET, "/plugins/v1", 200, listed));
        server
    }

    /// The socket's path.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("plugin.sock")
    }

    /// Answers `method` on targets that begin with `prefix`.
    #[expect(clippy::needless_pass_by_value, reason = "a test makes it for this")]
    pub fn answer(&self, method: Method, prefix: &'static str, status: u16, body: Json) {
        self.answer_text(method, prefix, status, body.to_string());
    }

    /// The same, with JSON as it is written: numbers may be longer than ours.
    pub fn answer_text(&self, method: Method, prefix: &'static str, status: u16, body: String) {
        self.state().answers.insert(0, (method, prefix, status, body));
    }

    /// Runs `plugin` for all calls but the list.
    pub fn run(&self, plugin: impl Fn(&Received) -> (u16, Json) + Send + Sync + 'static) {
        self.state().plugin = Some(Arc::new(plugin));
    }

    /// Answers creates with `jobs`.
    pub fn create_in(&self, jobs: &Arc<Jobs>) {
        self.state().jobs = Some(Arc::clone(jobs));
    }

    /// The requests with `method` so far, without those in other protocols.
    #[must_use]
    pub fn received(&self, method: &Method) -> Vec<Received> {
        let received = self.state().received.clone();
        let is_ours = |it: &Received| it.method == method && it.target.starts_with("/plugins");
        received.into_iter().filter(is_ours).collect()
    }

    fn state(&self) -> MutexGuard<'_, Script> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for PluginServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

#[expect(clippy::expect_used, reason = "a test's")]
async fn serve(State(state): State<Arc<Mutex<Script>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let target = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let body: Bytes = to_bytes(body, 64 << 20).await.expect("a body");
    let body = serde_json::from_slice(&body).unwrap_or_default();
    let received = Received { method: parts.method, target, headers: parts.headers, body };
    let (answer, jobs) = {
        let mut script = state.lock().unwrap_or_else(PoisonError::into_inner);
        script.received.push(received.clone());
        (script.answer(&received), script.jobs.clone())
    };
    if let Some(jobs) = jobs.filter(|_| received.method == Method::PUT) {
        let key = received.headers["idempotency-key"].to_str().expect("a key");
        let job = jobs.create(key).await;
        return axum::Json(json!({"job_id": {"id": job}})).into_response();
    }
    answer
}

impl Script {
    #[expect(clippy::expect_used, reason = "a test's")]
    fn answer(&self, received: &Received) -> Response {
        let Received { method, target, .. } = received;
        let plugin = self.plugin.as_ref().filter(|_| target.starts_with("/plugins/v1/"));
        if let Some((status, body)) = plugin.map(|plugin| plugin(received)) {
            let status = StatusCode::from_u16(status).expect("a status");
            return (status, axum::Json(body)).into_response();
        }
        let of_ours = |(own, prefix, ..): &&(Method, &'static str, u16, String)| {
            own == method && target.starts_with(prefix)
        };
        match self.answers.iter().find(of_ours) {
            Some((.., 204, _)) => StatusCode::NO_CONTENT.into_response(),
            Some((.., status, body)) => {
                let status = StatusCode::from_u16(*status).expect("a status");
                (status, [("content-type", "application/json")], body.clone()).into_response()
            }
            None => StatusCode::NOT_FOUND.into_response(),
        }
    }
}
