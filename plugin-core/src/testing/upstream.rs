//! A scripted upstream on a free port of loopback.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{Router, body::Body, extract::State, response::Response};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use serde::Deserialize;
use serde_json::Value as Json;
use tokio::{net::TcpListener, sync::Semaphore, task::JoinHandle, time::Instant};

/// What an upstream answers to one request.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The status.
    #[serde(default = "ok")]
    pub status: u16,
    /// Headers beside the content type.
    #[serde(default)]
    pub headers: std::collections::BTreeMap<String, String>,
    /// The body.
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
        Self { status, headers: Default::default(), body }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.to_owned(), value.to_owned());
        self
    }
}

/// A request that an upstream received.
#[derive(Debug, Clone)]
pub struct Received {
    /// The method.
    pub method: Method,
    /// The path with its query.
    pub target: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// When it came.
    pub at: Instant,
}

impl Received {
    /// The body as JSON; null if it is none.
    #[must_use]
    pub fn json(&self) -> Json {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

#[derive(Default)]
struct Script {
    answers: VecDeque<Answer>,
    received: Vec<Received>,
}

/// An upstream that answers by a script and remembers what it was asked.
pub struct Upstream {
    address: SocketAddr,
    script: Arc<Mutex<Script>>,
    /// A permit for each answer that may go out; closed to let all pass.
    gate: Arc<Semaphore>,
    server: JoinHandle<()>,
}

#[derive(Clone)]
struct Shared {
    script: Arc<Mutex<Script>>,
    gate: Arc<Semaphore>,
}

const OPEN: usize = Semaphore::MAX_PERMITS / 2;

impl Upstream {
    /// Starts one that answers 500 until it is told what to say.
    ///
    /// # Panics
    /// When loopback has no free port.
    #[expect(clippy::disallowed_methods, reason = "the server ends with the test")]
    #[expect(clippy::expect_used, reason = "a test's")]
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound port");
        let script = Arc::<Mutex<Script>>::default();
        let gate = Arc::new(Semaphore::new(OPEN));
        let shared = Shared { script: Arc::clone(&script), gate: Arc::clone(&gate) };
        let router = Router::new().fallback(answer).with_state(shared);
        let server = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Self { address, script, gate, server }
    }

    /// `http://127.0.0.1:port`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers the next requests with `answers` in turn, and all later ones with the last of them.
    pub fn say(&self, answers: impl IntoIterator<Item = Answer>) {
        self.script().answers = answers.into_iter().collect();
    }

    /// Holds every answer back until [`release`](Self::release).
    pub fn hold(&self) {
        self.gate.forget_permits(OPEN);
    }

    /// Lets answers out again.
    pub fn release(&self) {
        self.gate.add_permits(OPEN);
    }

    /// What was asked since the last call.
    #[must_use]
    pub fn take_received(&self) -> Vec<Received> {
        std::mem::take(&mut self.script().received)
    }

    /// How much was asked since the last [`take_received`](Self::take_received).
    #[must_use]
    pub fn count(&self) -> usize {
        self.script().received.len()
    }

    /// Waits until `count` requests have come.
    ///
    /// # Panics
    /// When they do not come within half a minute.
    pub async fn wait_for(&self, count: usize) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.count() < count {
            assert!(Instant::now() < deadline, "{} of {count} requests came", self.count());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(
    State(shared): State<Shared>,
    method: Method,
    uri: http::Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let next = {
        let mut script = shared.script.lock().unwrap_or_else(PoisonError::into_inner);
        script.received.push(Received {
            method,
            target: uri.to_string(),
            headers,
            body,
            at: Instant::now(),
        });
        match script.answers.len() {
            0 => Answer::new(500, Json::String("nothing was scripted".to_owned())),
            1 => script.answers[0].clone(),
            _ => script.answers.pop_front().unwrap_or_else(|| Answer::new(500, Json::Null)),
        }
    };
    // Taken and given back: what is held waits here.
    drop(shared.gate.acquire().await);
    let mut response = Response::new(Body::from(next.body.to_string()));
    *response.status_mut() = StatusCode::from_u16(next.status).unwrap_or_default();
    for (name, value) in &next.headers {
        if let (Ok(name), Ok(value)) = (name.parse::<http::HeaderName>(), value.parse()) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
