//! Calls over gRPC, message by message: what tonic's channel would hide (who ended a call, and when) is what is
//! checked.

mod frames;

use std::{convert::Infallible, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, Request, Response, header};
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    client::conn::http2,
    rt::{Read, Write},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use secrecy::{ExposeSecret as _, SecretString};
use server_core::tls::client_config;
use tokio::{
    net::TcpStream,
    task::JoinSet,
    time::{Instant, timeout_at},
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, pki_types::ServerName},
};
use tonic::{Code, Status};
use url::Url;

use self::frames::{Frames, framed};
use crate::error::StartError;

/// The largest answer that is read, in bytes.
pub(crate) const MAX_ANSWER: usize = 4 << 20;

/// A call that got no answer of its protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Silence {
    /// Nothing came in time.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// The connection, or what came over it, is broken.
    #[error("{0}")]
    Broken(String),
}

/// How the request's stream of messages ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// After the last message.
    Closed,
    /// Never: the caller waits for the answer first.
    Open,
}

/// The messages of a request.
#[derive(Debug, Clone)]
pub(crate) enum Messages {
    /// These, of which the first may be followed by others.
    All(Vec<Bytes>),
    /// One of so many zero bytes.
    Zeros(usize),
}

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct GrpcCall<'a> {
    /// `/package.Service/Method`.
    pub(crate) path: &'a str,
    pub(crate) messages: Messages,
    pub(crate) ending: Ending,
    pub(crate) token: Option<&'a SecretString>,
    /// The deadline that the service is told.
    pub(crate) timeout: Duration,
    /// How long to wait for it.
    pub(crate) patience: Duration,
}

/// What a service answered.
#[derive(Debug, Clone)]
pub(crate) struct GrpcReply {
    pub(crate) messages: Vec<Bytes>,
    /// `None` if the answer did not end in time, although it had begun.
    pub(crate) status: Option<Status>,
    pub(crate) headers: HeaderMap,
}

/// A service's gRPC. Each call has a connection of its own, so that none suffers from what another did to it.
pub(crate) struct Grpc {
    url: Url,
    tls: Option<Arc<ClientConfig>>,
}

type Body = UnsyncBoxBody<Bytes, Infallible>;

impl Grpc {
    /// The gRPC of the service at `url`.
    pub(crate) async fn new(url: Url, ca_file: Option<&Path>) -> Result<Self, StartError> {
        let tls = match url.scheme() {
            "https" => Some(client_config(ca_file).await.map_err(|error| StartError::Flag {
                flag: "--ca-file",
                reason: error.to_string(),
            })?),
            _ => None,
        };
        Ok(Self { url, tls })
    }

    /// Makes a call.
    pub(crate) async fn call(&self, call: GrpcCall<'_>) -> Result<GrpcReply, Silence> {
        let patience = call.patience;
        let until = Instant::now() + patience;
        let mut connection = JoinSet::new();
        let answered = timeout_at(until, self.send(call, &mut connection)).await;
        let answer = answered.map_err(|_| Silence::TimedOut(patience))??;
        let reply = read(answer, until).await?;
        match reply.status {
            None if reply.messages.is_empty() => Err(Silence::TimedOut(patience)),
            _ => Ok(reply),
        }
    }

    async fn send(
        &self,
        call: GrpcCall<'_>,
        connection: &mut JoinSet<()>,
    ) -> Result<Response<Incoming>, Silence> {
        let stream = self.connect().await?;
        let mut sender = match &self.tls {
            Some(tls) => opened(self.secured(tls, stream).await?, connection).await?,
            None => opened(TokioIo::new(stream), connection).await?,
        };
        sender.send_request(self.request(&call)?).await.map_err(broken)
    }

    async fn connect(&self) -> Result<TcpStream, Silence> {
        let (host, port) = (self.host(), self.url.port_or_known_default().unwrap_or_default());
        let stream = TcpStream::connect((host, port)).await;
        let stream = stream.map_err(|error| Silence::Broken(format!("cannot connect: {error}")))?;
        stream.set_nodelay(true).map_err(broken)?;
        Ok(stream)
    }

    /// The host; an IPv6 address without the brackets of URLs.
    fn host(&self) -> &str {
        let host = self.url.host_str().unwrap_or_default();
        host.trim_start_matches('[').trim_end_matches(']')
    }

    async fn secured(
        &self,
        tls: &Arc<ClientConfig>,
        stream: TcpStream,
    ) -> Result<TokioIo<tokio_rustls::client::TlsStream<TcpStream>>, Silence> {
        let name = ServerName::try_from(self.host().to_owned()).map_err(broken)?;
        let secured = TlsConnector::from(Arc::clone(tls)).connect(name, stream).await;
        let secured = secured.map_err(|error| Silence::Broken(format!("TLS: {error}")))?;
        Ok(TokioIo::new(secured))
    }

    fn request(&self, call: &GrpcCall<'_>) -> Result<Request<Body>, Silence> {
        let uri = self.url.join(call.path).map_err(broken)?;
        let mut request = Request::post(uri.as_str())
            .header(header::CONTENT_TYPE, "application/grpc")
            .header(header::TE, "trailers")
            .header(header::USER_AGENT, "plugin-conformance")
            .header("grpc-timeout", format!("{}m", call.timeout.as_millis()));
        if let Some(token) = call.token {
            let value = format!("Bearer {}", token.expose_secret());
            request = request.header(header::AUTHORIZATION, value);
        }
        request.body(body(&call.messages, call.ending)).map_err(broken)
    }
}

/// An HTTP/2 connection over `stream`, driven by a task of `connection`.
async fn opened<S>(
    stream: S,
    connection: &mut JoinSet<()>,
) -> Result<http2::SendRequest<Body>, Silence>
where
    S: Read + Write + Unpin + Send + 'static,
{
    let (sender, driver) = http2::handshake(TokioExecutor::new(), stream).await.map_err(broken)?;
    connection.spawn(async move {
        // Its end shows in the call.
        let _ = driver.await;
    });
    Ok(sender)
}

fn body(messages: &Messages, ending: Ending) -> Body {
    let frames = stream::iter(framed(messages)).map(|bytes| Ok(Frame::data(bytes)));
    match ending {
        Ending::Closed => BodyExt::boxed_unsync(StreamBody::new(frames)),
        Ending::Open => BodyExt::boxed_unsync(StreamBody::new(frames.chain(stream::pending()))),
    }
}

async fn read(answer: Response<Incoming>, until: Instant) -> Result<GrpcReply, Silence> {
    let (head, mut body) = answer.into_parts();
    if head.status != http::StatusCode::OK {
        return Err(Silence::Broken(format!("HTTP {} where gRPC has 200", head.status.as_u16())));
    }
    let mut frames = Frames::default();
    // An answer without messages has its status in its headers.
    let mut status = Status::from_header_map(&head.headers);
    while status.is_none() {
        let Ok(frame) = timeout_at(until, body.frame()).await else { break };
        let Some(frame) = frame else {
            status = Some(Status::new(Code::Unknown, "the answer ended without a status"));
            break;
        };
        match frame.map_err(broken)?.into_data() {
            Ok(data) => frames.add(&data)?,
            Err(other) => status = other.trailers_ref().and_then(Status::from_header_map),
        }
    }
    let messages = match status {
        Some(_) => frames.take()?,
        // What came in time may end anywhere.
        None => frames.take().unwrap_or_default(),
    };
    Ok(GrpcReply { messages, status, headers: head.headers })
}

/// An error with its causes, which have the reason.
pub(crate) fn broken(error: impl std::error::Error) -> Silence {
    let mut reason = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !reason.contains(&inner_text) {
            reason = format!("{reason}: {inner_text}");
        }
        cause = inner.source();
    }
    Silence::Broken(reason)
}
