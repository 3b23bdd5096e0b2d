//! Connects to a replica: TCP, TLS and HTTP/2.

use std::{fmt, future::Future, io, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    Request, header,
    uri::{Authority, Scheme},
};
use http_body_util::{Either, Full};
use hyper::{body::Incoming, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use server_core::{listen::OnRead, tls::Authorities};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::oneshot,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream, rustls::pki_types::ServerName};

use crate::args::Target;

/// The timeout of TCP, TLS and HTTP/2, each.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// The interval of pings. A replica that does not answer one within the timeout is considered dead.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// The maximum size of a response's headers, in bytes. They include the message of an error, which with
/// hyper's default of 16 KiB could fail the call.
const MAX_HEADERS: u32 = 1 << 20;
/// How many bytes of a response arrive before its caller reads them.
const STREAM_WINDOW: u32 = 64 << 10;
/// Room for the windows of more streams than a connection ever has, so that responses nobody reads hold up
/// no others. It is a limit, not an allocation.
const CONNECTION_WINDOW: u32 = 1 << 30;
/// A gRPC message of no bytes: not compressed, and its length.
const EMPTY_MESSAGE: &[u8] = &[0; 5];
/// The type of a SETTINGS frame in HTTP/2.
const SETTINGS: u8 = 4;

/// Sends calls over a connection.
pub(crate) type Sender = http2::SendRequest<Payload>;
/// The body of a request: a caller's, or our own.
pub(crate) type Payload = Either<Incoming, Full<Bytes>>;
/// Drives a connection; it completes when no further call can start on it. Running calls continue, because
/// hyper runs them in separate tasks.
pub(crate) type Connection = Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>;

/// Connects to the replicas of one target.
#[derive(Clone)]
pub(crate) struct Dialer {
    host: String,
    scheme: Scheme,
    authority: Authority,
    tls: Option<Arc<Authorities>>,
}

/// The reason why there is no connection, which propeller logs.
#[derive(Debug)]
pub(crate) struct NoConnection(pub(crate) String);

impl fmt::Display for NoConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<io::Error> for NoConnection {
    fn from(error: io::Error) -> Self {
        Self(match error.kind() {
            io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
            _ => error.to_string(),
        })
    }
}

impl Dialer {
    pub(crate) fn new(target: &Target, tls: Option<Arc<Authorities>>) -> Self {
        // URLs write IPv6 addresses in brackets.
        let host = target.host.trim_start_matches('[').trim_end_matches(']');
        let (scheme, authority) = (target.scheme.clone(), target.authority.clone());
        Self { host: host.to_owned(), scheme, authority, tls }
    }

    /// Asks a replica for its health, so that it does not close a connection that has had no call. Any
    /// answer will do.
    pub(crate) async fn greet(&self, mut sender: Sender) {
        let uri = format!("{}://{}/grpc.health.v1.Health/Check", self.scheme, self.authority);
        let request = Request::post(uri)
            .header(header::CONTENT_TYPE, "application/grpc")
            .header(header::TE, "trailers")
            .body(Either::Right(Full::from(EMPTY_MESSAGE)));
        if let Ok(request) = request
            && let Err(error) = sender.send_request(request).await
        {
            tracing::debug!(%error, "a replica did not answer for its health");
        }
    }

    /// Connects to a replica that speaks HTTP/2.
    pub(crate) async fn dial(
        &self,
        address: SocketAddr,
    ) -> Result<(Sender, Connection), NoConnection> {
        let stream = with_timeout(TcpStream::connect(address)).await??;
        // Calls are small: waiting to fill a packet only adds latency.
        let _ = stream.set_nodelay(true);
        match &self.tls {
            Some(authorities) => handshake(self.secured(stream, authorities).await?).await,
            None => handshake(stream).await,
        }
    }

    async fn secured(
        &self,
        stream: TcpStream,
        authorities: &Authorities,
    ) -> Result<TlsStream<TcpStream>, NoConnection> {
        let name = ServerName::try_from(self.host.clone())
            .map_err(|error| NoConnection(format!("invalid TLS server name: {error}")))?;
        let securing = TlsConnector::from(authorities.config()).connect(name, stream);
        let secured = with_timeout(securing).await?;
        secured.map_err(|error| NoConnection(format!("TLS handshake failed: {error}")))
    }
}

async fn with_timeout<T>(connecting: impl Future<Output = T>) -> Result<T, NoConnection> {
    let connected = timeout(CONNECT_TIMEOUT, connecting).await;
    connected.map_err(|_| NoConnection("timed out connecting".to_owned()))
}

/// Connects with HTTP/2 and waits for the replica's first frame. Until then hyper only knows that the
/// connection was accepted, which the kernel also does for a hanging process, and a service mesh for one
/// that is gone.
async fn handshake<S>(stream: S) -> Result<(Sender, Connection), NoConnection>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, first_frame) = oneshot::channel();
    let stream = OnRead::new(stream, on_first_read(sender));
    let connected = builder().handshake(TokioIo::new(stream)).await;
    let (sender, connection) = connected.map_err(|error| NoConnection(error.to_string()))?;
    let mut connection: Connection = Box::pin(connection);
    let is_http2 = async {
        tokio::select! {
            settings = first_frame => settings == Ok(true),
            _ = &mut connection => false,
        }
    };
    match timeout(CONNECT_TIMEOUT, is_http2).await {
        Ok(true) => Ok((sender, connection)),
        Ok(false) | Err(_) => Err(NoConnection("the replica does not speak HTTP/2".to_owned())),
    }
}

fn builder() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(MAX_HEADERS);
    builder
}

/// Sends whether the first bytes are a SETTINGS frame, which RFC 9113 §3.4 requires a server to send first.
fn on_first_read(sender: oneshot::Sender<bool>) -> impl FnMut(&[u8]) {
    let mut sender = Some(sender);
    move |bytes| {
        if let Some(sender) = sender.take() {
            // If there are too few bytes to decide, assume that it is.
            let _ = sender.send(bytes.get(3).is_none_or(|kind| *kind == SETTINGS));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_connection_is_named_without_the_systems_number() {
        const ECONNREFUSED: i32 = 111;
        let refused = || io::Error::from_raw_os_error(ECONNREFUSED);
        assert_ne!(refused().to_string(), "connection refused");
        assert_eq!(NoConnection::from(refused()).to_string(), "connection refused");
    }
}
