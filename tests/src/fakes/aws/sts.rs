//! A fake STS, whose roles are assumed with trusted tokens or by known identities.
//!
//! Requests are checked against AWS's model, and the signature of AssumeRole is verified. It issues
//! [`Identity::temporary`] keys, one after another.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, SystemTime},
};

use anyhow::Result;
use axum::{
    Router,
    body::Bytes,
    extract::State,
    response::{IntoResponse as _, Response},
    routing::post,
};
use http::{HeaderMap, Method, StatusCode, Uri, header};
use plugin_core::jiff::Timestamp;
use serde_json::{Map, Value};

use super::{Identity, Model, Received, lock, shape, signature};
use crate::fakes::server::{Gate, Server};

/// A role that was assumed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assumed {
    /// Its ARN.
    pub role: String,
    /// The name of the session.
    pub session: String,
    /// The external id that was sent.
    pub external_id: Option<String>,
    /// The access key of who assumed it; `None` for a web identity.
    pub by: Option<String>,
}

/// A running fake.
pub struct FakeSts {
    shared: Arc<Shared>,
    server: Server,
}

struct Shared {
    regions: Vec<String>,
    state: Mutex<Fake>,
    /// Shut while responses are held back.
    gate: Gate,
}

struct Fake {
    /// The token of the web identity that is trusted.
    token: String,
    external_id: Option<String>,
    identities: BTreeMap<String, Identity>,
    lifetime: Duration,
    refusal: Option<Refusal>,
    requests: usize,
    assumed: Vec<Assumed>,
    breaches: Vec<String>,
}

impl FakeSts {
    /// Starts a fake of the STS of `region`.
    ///
    /// # Errors
    /// If no port is free.
    pub async fn start(region: &str) -> Result<Self> {
        let state = Mutex::new(Fake {
            token: String::new(),
            external_id: None,
            identities: BTreeMap::new(),
            lifetime: Duration::from_secs(3600),
            refusal: None,
            requests: 0,
            assumed: Vec::new(),
            breaches: Vec::new(),
        });
        let regions = vec![region.to_owned()];
        let shared = Arc::new(Shared { regions, state, gate: Gate::default() });
        let router = Router::new().route("/", post(answer)).with_state(Arc::clone(&shared));
        let server = Server::start(SocketAddr::from(([127, 0, 0, 1], 0)), router).await?;
        Ok(Self { shared, server })
    }

    /// `http://127.0.0.1:port`.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Trusts web identities with `token` alone.
    pub fn trust(&self, token: &str) {
        token.clone_into(&mut self.state().token);
    }

    /// Lets `identity` assume roles.
    pub fn know(&self, identity: Identity) {
        self.state().identities.insert(identity.access_key.clone(), identity);
    }

    /// Refuses AssumeRole without this external id, as a role's trust policy may.
    pub fn require_external_id(&self, id: &str) {
        self.state().external_id = Some(id.to_owned());
    }

    /// Refuses all requests from now on.
    pub fn refuse(&self, status: u16, code: &str, message: &str) {
        self.state().refusal = Some(refusal(status, code, message));
    }

    /// Issues keys for this long from now on.
    pub fn issue_for(&self, lifetime: Duration) {
        self.state().lifetime = lifetime;
    }

    /// Holds back responses.
    pub fn hold(&self) {
        self.shared.gate.shut();
    }

    /// Releases the responses that were held back.
    pub fn release(&self) {
        self.shared.gate.open();
    }

    /// The number of requests.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.state().requests
    }

    /// The roles that were assumed, in order.
    #[must_use]
    pub fn assumed(&self) -> Vec<Assumed> {
        self.state().assumed.clone()
    }

    /// What did not fit AWS's model so far.
    #[must_use]
    pub fn breaches(&self) -> Vec<String> {
        self.state().breaches.clone()
    }

    fn state(&self) -> MutexGuard<'_, Fake> {
        lock(&self.shared.state)
    }
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let received = Received { method: &method, uri: &uri, headers: &headers, body: &body };
    let answer = {
        let mut state = lock(&shared.state);
        state.requests += 1;
        state.serve(received, &shared.regions)
    };
    shared.gate.pass().await;
    answer.unwrap_or_else(|refusal| refusal.response())
}

#[derive(Clone)]
struct Refusal(u16, String, String);

fn refusal(status: u16, code: &str, message: impl Into<String>) -> Refusal {
    Refusal(status, code.to_owned(), message.into())
}

impl Fake {
    fn serve(&mut self, received: Received<'_>, regions: &[String]) -> Result<Response, Refusal> {
        let mut input = form(received.body);
        let action = input.remove("Action").unwrap_or_default();
        let action = action.as_str().unwrap_or_default().to_owned();
        self.check(&action, input.clone(), received.headers)?;
        if let Some(refusal) = &self.refusal {
            return Err(refusal.clone());
        }
        let by = match action.as_str() {
            "AssumeRole" => Some(self.check_caller(received, regions, &input)?),
            _ => self.check_token(&input, received.headers).map(|()| None)?,
        };
        let member = |name: &str| input.get(name).and_then(Value::as_str).map(str::to_owned);
        let role = member("RoleArn").unwrap_or_default();
        let session = member("RoleSessionName").unwrap_or_default();
        self.assumed.push(Assumed { role, session, external_id: member("ExternalId"), by });
        Ok(self.issue(&action))
    }

    /// Checks the request against the model. STS has the query protocol: members are fields of a form.
    fn check(
        &mut self,
        action: &str,
        mut input: Map<String, Value>,
        headers: &HeaderMap,
    ) -> Result<(), Refusal> {
        let content_type = headers.get(header::CONTENT_TYPE).map(http::HeaderValue::as_bytes);
        let is_form = content_type
            .is_some_and(|value| value.starts_with(b"application/x-www-form-urlencoded"));
        let version = input.remove("Version");
        let Some(operation) = Model::sts().operation(action).filter(|_| is_form) else {
            self.breaches.push(format!("{action:?} as {content_type:?}"));
            return Err(refusal(400, "InvalidAction", "Could not find operation"));
        };
        let problems = shape::check(Model::sts(), &operation.input, &Value::Object(input));
        let mut problems = problems.into_iter().map(|one| one.message).collect::<Vec<_>>();
        if version.as_ref().and_then(Value::as_str) != Some("2011-06-15") {
            problems.push(format!("Version is {version:?}"));
        }
        if problems.is_empty() {
            return Ok(());
        }
        let message = problems.join("; ");
        self.breaches.push(format!("{action}: {message}"));
        Err(refusal(400, "ValidationError", message))
    }

    /// Who signed the request, if the role trusts him.
    fn check_caller(
        &mut self,
        received: Received<'_>,
        regions: &[String],
        input: &Map<String, Value>,
    ) -> Result<String, Refusal> {
        let verified = signature::verify(received, "sts", regions, &self.identities);
        let caller = verified.map_err(|refused| {
            if refused.is_breach {
                self.breaches.push(format!("signature: {}", refused.message));
            }
            // In XML this is the code of an unknown key.
            let is_unknown = refused.code == "UnrecognizedClientException";
            let code = if is_unknown { "InvalidClientTokenId" } else { "SignatureDoesNotMatch" };
            refusal(403, code, refused.message)
        })?;
        let role = input.get("RoleArn").and_then(Value::as_str).unwrap_or_default();
        let external_id = input.get("ExternalId").and_then(Value::as_str);
        if self.external_id.is_some() && self.external_id.as_deref() != external_id {
            let message = format!(
                "User: arn:aws:sts::111122223333:assumed-role/outrigger/{caller} is not authorized to perform: \
                 sts:AssumeRole on resource: {role}"
            );
            return Err(refusal(403, "AccessDenied", message));
        }
        Ok(caller)
    }

    fn check_token(
        &mut self,
        input: &Map<String, Value>,
        headers: &HeaderMap,
    ) -> Result<(), Refusal> {
        if headers.contains_key(header::AUTHORIZATION) {
            self.breaches.push("a web identity's request is not signed".to_owned());
        }
        if input.get("WebIdentityToken").and_then(Value::as_str) == Some(&self.token) {
            return Ok(());
        }
        let message = "Token is expired. Current date/time 1767225600 must be before the expiration date/time";
        Err(refusal(400, "ExpiredTokenException", message))
    }

    /// The answer with the next keys.
    fn issue(&self, action: &str) -> Response {
        let Identity { access_key, secret, session_token, .. } =
            Identity::temporary(self.assumed.len());
        let expires = SystemTime::now() + self.lifetime;
        let expires = Timestamp::try_from(expires).map(|at| at.to_string()).unwrap_or_default();
        let token = session_token.unwrap_or_default();
        let xml = format!(
            "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n  <{action}Result>\n    \
             <AssumedRoleUser>\n      <AssumedRoleId>AROAEXAMPLE:outrigger</AssumedRoleId>\n    </AssumedRoleUser>\n    \
             <Credentials>\n      <AccessKeyId>{access_key}</AccessKeyId>\n      \
             <SecretAccessKey>{secret}</SecretAccessKey>\n      <SessionToken>{token}</SessionToken>\n      \
             <Expiration>{expires}</Expiration>\n    </Credentials>\n  </{action}Result>\n  <ResponseMetadata>\n    \
             <RequestId>4b7d2a1e-0000-4000-8000-000000000001</RequestId>\n  </ResponseMetadata>\n</{action}Response>\n"
        );
        respond(StatusCode::OK, xml)
    }
}

impl Refusal {
    fn response(self) -> Response {
        let Self(status, code, message) = self;
        let xml = format!(
            "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n  <Error>\n    <Type>Sender</Type>\n    \
             <Code>{code}</Code>\n    <Message>{message}</Message>\n  </Error>\n  \
             <RequestId>4b7d2a1e-0000-4000-8000-000000000001</RequestId>\n</ErrorResponse>\n"
        );
        respond(StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST), xml)
    }
}

fn respond(status: StatusCode, xml: String) -> Response {
    (status, [(header::CONTENT_TYPE, "text/xml")], xml).into_response()
}

fn form(body: &[u8]) -> Map<String, Value> {
    let pairs = url::form_urlencoded::parse(body);
    pairs.map(|(name, value)| (name.into_owned(), Value::String(value.into_owned()))).collect()
}
