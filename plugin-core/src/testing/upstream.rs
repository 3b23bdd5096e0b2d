//! A scripted upstream on a free port of loopback.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{Router, body::Body, extract::State, response::Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, StatusCode};
use serde::Deserialize;
use serde_json::Value as Json;
use tokio::{net::TcpListener, sync::Semaphore, task::JoinHandle, time::Instant};

/// An upstream's answer to one request.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The HTTP status, 200 by default.
    #[serde(default = "ok")]
    pub status: u16,
    /// Response headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body, null by default.
    #[serde(default)]
    pub body: Json,
}

fn ok() -> u16 {
    200
}

impl Answer {
    /// `body` with `status`.
    #[must_use]
    pub fn new(status: u16, body: Json) -> Self {
        Self { status, headers: BTreeMap::new(), body }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(super) fn response(&self) -> Response {
        let mut response = Response::new(Body::from(self.body.to_string()));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or_default();
        for (name, value) in &self.headers {
            if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse()) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

/// A request that an upstream received. Its `Display` is the method and the target.
#[derive(Debug, Clone)]
pub struct ReceivedRequest {
    /// The method.
    pub method: Method,
    /// The path with its query.
    pub target: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// When it arrived.
    pub at: Instant,
}

impl ReceivedRequest {
    /// The body as JSON; null if it is not JSON.
    #[must_use]
    pub fn json(&self) -> Json {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

impl fmt::Display for ReceivedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.target)
    }
}

#[derive(Default)]
struct Script {
    answers: VecDeque<Answer>,
    received: Vec<ReceivedRequest>,
}

/// An upstream that answers from a script and records the requests it receives.
pub struct Upstream {
    address: SocketAddr,
    shared: Shared,
    server: JoinHandle<()>,
}

#[derive(Clone)]
struct Shared {
    script: Arc<Mutex<Script>>,
    /// Has [`OPEN`] permits while answers are sent, and none while they are held.
    gate: Arc<Semaphore>,
}

const OPEN: usize = Semaphore::MAX_PERMITS / 2;

impl Upstream {
    /// Starts an upstream that answers 500 until [`answer_with`](Self::answer_with) is called.
    ///
    /// # Panics
    /// When loopback has no free port.
    #[expect(clippy::disallowed_methods, reason = "the server ends with the test")]
    #[expect(clippy::expect_used, reason = "a test's")]
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound port");
        let shared = Shared { script: Arc::default(), gate: Arc::new(Semaphore::new(OPEN)) };
        let router = Router::new().fallback(answer).with_state(shared.clone());
        let server = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Self { address, shared, server }
    }

    /// `http://127.0.0.1:port`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers the next requests with `answers` in order, and all later ones with the last of them.
    pub fn answer_with(&self, answers: impl IntoIterator<Item = Answer>) {
        self.shared.script().answers = answers.into_iter().collect();
    }

    /// Holds all answers back until [`release`](Self::release).
    pub fn hold(&self) {
        self.shared.gate.forget_permits(OPEN);
    }

    /// Sends the answers that were held, and later ones at once.
    pub fn release(&self) {
        self.shared.gate.add_permits(OPEN);
    }

    /// The requests received since the last [`take_received`](Self::take_received).
    #[must_use]
    pub fn received(&self) -> Vec<ReceivedRequest> {
        self.shared.script().received.clone()
    }

    /// The requests received since the last call, which are then forgotten.
    #[must_use]
    pub fn take_received(&self) -> Vec<ReceivedRequest> {
        std::mem::take(&mut self.shared.script().received)
    }

    /// How many requests were received since the last [`take_received`](Self::take_received).
    #[must_use]
    pub fn count(&self) -> usize {
        self.shared.script().received.len()
    }

    /// Waits until `count` requests have arrived.
    ///
    /// # Panics
    /// When they do not arrive within 30 seconds.
    pub async fn wait_for(&self, count: usize) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.count() < count {
            assert!(
                Instant::now() < deadline,
                "the upstream received {} of {count} requests within 30 s",
                self.count()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Script {
    fn next(&mut self) -> Answer {
        let next = match self.answers.len() {
            0 | 1 => self.answers.front().cloned(),
            _ => self.answers.pop_front(),
        };
        next.unwrap_or_else(|| Answer::new(500, Json::from("the test scripted no answer")))
    }
}

async fn answer(
    State(shared): State<Shared>,
    method: Method,
    uri: http::Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let request =
        ReceivedRequest { method, target: uri.to_string(), headers, body, at: Instant::now() };
    let next = {
        let mut script = shared.script();
        script.received.push(request);
        script.next()
    };
    // While answers are held there is no permit to acquire.
    drop(shared.gate.acquire().await);
    next.response()
}
