//! Fakes of what gives keys to programs on machines of AWS: the instance metadata service (IMDSv2), and the
//! container credentials of ECS and EKS Pod Identity.
//!
//! From the EC2 user guide, "Use the Instance Metadata Service" and "Retrieve security credentials from instance
//! metadata", and the AWS SDKs and Tools reference guide, "Container credential provider". They issue
//! [`Identity::temporary`] keys, one after another.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, SystemTime},
};

use anyhow::Result;
use axum::{
    Router,
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, Method, StatusCode, Uri, header};
use plugin_core::jiff::Timestamp;
use serde_json::{Value, json};

use super::{Identity, lock};
use crate::fakes::server::{Gate, Server};

// The token of a session with the instance metadata service.
const SESSION: &str = "AQAEANcanary-of-the-instance==";
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";

struct Shared {
    state: Mutex<Fake>,
    /// Shut while responses are held back.
    gate: Gate,
}

#[derive(Default)]
struct Fake {
    /// Of the instance: the role that it has.
    role: Option<String>,
    /// Of the container: the authorization that is required.
    authorization: String,
    /// What is answered instead of keys or a token.
    refusal: Option<(u16, String)>,
    requests: Vec<String>,
    issued: usize,
}

impl Fake {
    fn issue(&mut self, more: Value) -> Value {
        self.issued += 1;
        let Identity { access_key, secret, session_token, .. } = Identity::temporary(self.issued);
        let expires = SystemTime::now() + Duration::from_secs(6 * 3600);
        let expires = Timestamp::try_from(expires).map(|at| at.to_string()).unwrap_or_default();
        let mut keys = json!({
            "AccessKeyId": access_key,
            "SecretAccessKey": secret,
            "Token": session_token,
            "Expiration": expires,
        });
        if let (Some(keys), Value::Object(more)) = (keys.as_object_mut(), more) {
            keys.extend(more);
        }
        keys
    }

    fn take_refusal(&self) -> Option<Response> {
        let (status, body) = self.refusal.clone()?;
        Some(text(status, body))
    }
}

fn text(status: u16, body: impl Into<String>) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, "text/plain")], body.into()).into_response()
}

async fn start(router: Router<Arc<Shared>>, state: Fake) -> Result<(Arc<Shared>, Server)> {
    let shared = Arc::new(Shared { state: Mutex::new(state), gate: Gate::default() });
    let router = router.with_state(Arc::clone(&shared));
    let server = Server::start(SocketAddr::from(([127, 0, 0, 1], 0)), router).await?;
    Ok((shared, server))
}

/// An instance metadata service, version 2 alone.
pub struct FakeInstance {
    shared: Arc<Shared>,
    server: Server,
}

impl FakeInstance {
    /// Starts the service of an instance with `role`.
    ///
    /// # Errors
    /// If no port is free.
    pub async fn start(role: Option<&str>) -> Result<Self> {
        let state = Fake { role: role.map(str::to_owned), ..Fake::default() };
        let (shared, server) = start(Router::new().fallback(instance), state).await?;
        Ok(Self { shared, server })
    }

    /// `http://127.0.0.1:port`.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Refuses tokens from now on.
    pub fn refuse_tokens(&self, status: u16) {
        self.state().refusal = Some((status, "refused, as scripted".to_owned()));
    }

    /// Holds back responses, as an instance does whose hop limit is too small.
    pub fn hold(&self) {
        self.shared.gate.shut();
    }

    /// The requests so far: method and path, with `v1` where there was no token.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.state().requests.clone()
    }

    fn state(&self) -> MutexGuard<'_, Fake> {
        lock(&self.shared.state)
    }
}

async fn instance(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let answer = lock(&shared.state).instance(&method, uri.path(), &headers);
    shared.gate.pass().await;
    answer
}

impl Fake {
    fn instance(&mut self, method: &Method, path: &str, headers: &HeaderMap) -> Response {
        let value = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        if *method == Method::PUT && path == "/latest/api/token" {
            self.requests.push(format!("{method} {path}"));
            if let Some(refusal) = self.take_refusal() {
                return refusal;
            }
            let seconds = value("x-aws-ec2-metadata-token-ttl-seconds");
            let seconds = seconds.and_then(|seconds| seconds.parse::<u32>().ok());
            let is_valid = seconds.is_some_and(|seconds| (1..=21600).contains(&seconds));
            return if is_valid { text(200, SESSION) } else { text(400, "") };
        }
        let has_token = value("x-aws-ec2-metadata-token") == Some(SESSION);
        self.requests.push(format!("{method} {path}{}", if has_token { "" } else { " v1" }));
        let name = path.strip_prefix(ROLES);
        match (has_token, name, self.role.clone()) {
            (false, ..) => text(401, ""),
            (true, Some(""), Some(role)) => text(200, role),
            (true, Some(name), Some(role)) if name == role => {
                let more = json!({
                    "Code": "Success", "Type": "AWS-HMAC", "LastUpdated": "2026-01-01T00:00:00Z",
                });
                text(200, self.issue(more).to_string())
            }
            _ => text(404, ""),
        }
    }
}

/// The endpoint of a container's keys.
pub struct FakeContainer {
    shared: Arc<Shared>,
    server: Server,
}

impl FakeContainer {
    /// Starts an endpoint that requires `authorization`.
    ///
    /// # Errors
    /// If no port is free.
    pub async fn start(authorization: &str) -> Result<Self> {
        let state = Fake { authorization: authorization.to_owned(), ..Fake::default() };
        let (shared, server) = start(Router::new().fallback(container), state).await?;
        Ok(Self { shared, server })
    }

    /// The URL of the keys.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}/v1/credentials", self.server.url())
    }

    /// Requires `authorization` from now on.
    pub fn require(&self, authorization: &str) {
        authorization.clone_into(&mut self.state().authorization);
    }

    /// Answers all requests with this.
    pub fn answer(&self, status: u16, body: &str) {
        self.state().refusal = Some((status, body.to_owned()));
    }

    /// The requests so far: method and path.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.state().requests.clone()
    }

    fn state(&self) -> MutexGuard<'_, Fake> {
        lock(&self.shared.state)
    }
}

async fn container(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let mut state = lock(&shared.state);
    state.requests.push(format!("{method} {uri}"));
    let authorization = headers.get(header::AUTHORIZATION).map(http::HeaderValue::as_bytes);
    if let Some(refusal) = state.take_refusal() {
        return refusal;
    }
    if (method, uri.path()) != (Method::GET, "/v1/credentials") {
        return text(404, "");
    }
    if authorization != Some(state.authorization.as_bytes()) {
        return text(401, "invalid token");
    }
    text(200, state.issue(json!({ "AccountId": "111122223333" })).to_string())
}
