//! The service that is checked, and calls to it.

mod flyte;

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use prost::Message;
use secrecy::SecretString;
use serde_json::Value as Json;
use tonic::{Code, Status};

pub(crate) use self::flyte::{Answer, Created, EXECUTE, job_path, method};
use crate::{
    args::Args,
    error::StartError,
    grpc::{Ending, Grpc, GrpcCall, GrpcReply, Messages, Silence},
    rest::{Rest, RestBody, RestCall, RestReply},
    status::CallError,
    watch::Watch,
};

/// How much longer than a deadline an answer is waited for.
const GRACE: Duration = Duration::from_secs(2);

/// Who makes a call.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Identity<'a> {
    /// The holder of the token of the command line, if there is one.
    Own,
    /// Nobody that the service can know.
    Nobody,
    /// The holder of this token.
    Bearer(&'a SecretString),
}

/// The service.
pub(crate) struct Target {
    grpc: Grpc,
    rest: Rest,
    admin: Option<Rest>,
    token: Option<SecretString>,
    pub(crate) timeout: Duration,
    pub(crate) watch: Watch,
}

impl Target {
    /// The service of the command line. Nothing is called.
    pub(crate) async fn new(args: &Args, token: Option<SecretString>) -> Result<Self, StartError> {
        let ca_file = args.ca_file.as_deref();
        let admin = args.admin_url.clone().map(|url| Rest::new(url, None)).transpose()?;
        Ok(Self {
            grpc: Grpc::new(args.url.clone(), ca_file).await?,
            rest: Rest::new(args.url.clone(), ca_file)?,
            admin,
            timeout: args.timeout,
            watch: Watch::new(token.as_ref(), args.canary_file.as_deref())?,
            token,
        })
    }

    /// The token of the command line.
    pub(crate) fn token(&self) -> Option<&SecretString> {
        self.token.as_ref()
    }

    fn token_of<'a>(&'a self, identity: Identity<'a>) -> Option<&'a SecretString> {
        match identity {
            Identity::Own => self.token(),
            Identity::Nobody => None,
            Identity::Bearer(token) => Some(token),
        }
    }

    /// A gRPC call as it is.
    pub(crate) async fn grpc(
        &self,
        path: &str,
        messages: Messages,
        ending: Ending,
    ) -> Result<GrpcReply, CallError> {
        self.grpc_as(Identity::Own, path, messages, ending, self.timeout).await
    }

    /// [`grpc`](Self::grpc) by `identity`, with a deadline.
    pub(crate) async fn grpc_as(
        &self,
        identity: Identity<'_>,
        path: &str,
        messages: Messages,
        ending: Ending,
        timeout: Duration,
    ) -> Result<GrpcReply, CallError> {
        let token = self.token_of(identity);
        let patience = timeout + GRACE;
        let call = GrpcCall { path, messages, ending, token, timeout, patience };
        let reply = self.grpc.call(call).await?;
        for message in &reply.messages {
            self.watch.look(path, message);
        }
        if let Some(status) = &reply.status {
            self.watch.look(path, status.message().as_bytes());
            self.watch.look(path, status.details());
        }
        self.watch.look(path, format!("{:?}", reply.headers).as_bytes());
        Ok(reply)
    }

    /// A call with one message, which is answered by one.
    pub(crate) async fn unary<R: Message + Default>(
        &self,
        path: &str,
        message: &impl Message,
    ) -> Result<R, CallError> {
        let messages = Messages::All(vec![message.encode_to_vec().into()]);
        let reply = self.grpc(path, messages, Ending::Closed).await?;
        let answers = successful(reply)?;
        let [answer] = &answers[..] else {
            let count = answers.len();
            return Err(Silence::Broken(format!("{count} messages where one belongs")).into());
        };
        let unreadable = |error| Silence::Broken(format!("not the answer's message: {error}"));
        Ok(R::decode(answer.clone()).map_err(unreadable)?)
    }

    /// A REST call as it is.
    pub(crate) async fn rest(
        &self,
        method: Method,
        path: &str,
        body: RestBody,
    ) -> Result<RestReply, CallError> {
        self.rest_as(Identity::Own, method, path, body, self.timeout).await
    }

    /// [`rest`](Self::rest) by `identity`, with a deadline.
    pub(crate) async fn rest_as(
        &self,
        identity: Identity<'_>,
        method: Method,
        path: &str,
        body: RestBody,
        timeout: Duration,
    ) -> Result<RestReply, CallError> {
        let token = self.token_of(identity);
        let patience = timeout + GRACE;
        let label = format!("{method} {}", path.split('?').next().unwrap_or_default());
        let call = RestCall { method, path, body, token, timeout, patience };
        let reply = self.rest.call(call).await?;
        self.watch.look(&label, &reply.body);
        self.watch.look(&label, format!("{:?}", reply.headers).as_bytes());
        Ok(reply)
    }

    /// A REST call that is answered with JSON.
    pub(crate) async fn rest_json(
        &self,
        method: Method,
        path: &str,
        body: Option<&Json>,
    ) -> Result<Json, CallError> {
        let body = body.map_or(RestBody::Empty, |json| RestBody::Json(json.to_string().into()));
        let reply = self.rest(method, path, body).await?;
        match reply.json() {
            Json::Null if reply.status == 200 => {
                Err(Silence::Broken("an answer that is not JSON".to_owned()).into())
            }
            json if (200..300).contains(&reply.status) => Ok(json),
            _ => Err(http_error(&reply)),
        }
    }

    /// What the admin port has at `path`; `None` if its URL is not known.
    pub(crate) async fn admin(&self, path: &str) -> Option<Result<RestReply, CallError>> {
        let admin = self.admin.as_ref()?;
        let (timeout, patience) = (self.timeout, self.timeout);
        let (method, body, token) = (Method::GET, RestBody::Empty, None);
        let call = RestCall { method, path, body, token, timeout, patience };
        let reply = admin.call(call).await;
        if let Ok(reply) = &reply {
            self.watch.look(path, &reply.body);
        }
        Some(reply.map_err(CallError::from))
    }
}

/// The error of a REST answer.
pub(crate) fn http_error(reply: &RestReply) -> CallError {
    let json = reply.json();
    let text = || String::from_utf8_lossy(&reply.body).into_owned();
    let message = json["message"].as_str().map_or_else(text, str::to_owned);
    CallError::Http { status: reply.status, message }
}

/// The messages of an answer that succeeded.
pub(crate) fn successful(reply: GrpcReply) -> Result<Vec<Bytes>, CallError> {
    match reply.status {
        Some(status) if status.code() == Code::Ok => Ok(reply.messages),
        Some(status) => Err(grpc_error(&status)),
        None => Err(Silence::Broken("the answer does not end".to_owned()).into()),
    }
}

/// The error of a gRPC answer.
pub(crate) fn grpc_error(status: &Status) -> CallError {
    CallError::Grpc { code: status.code(), message: status.message().to_owned() }
}
