//! A connection to a replica, from TCP to HTTP/2.

use std::{fmt, future::Future, io, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

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

/// How long TCP, TLS and HTTP/2 may take, each.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A replica that has not answered a ping for both together is dead, whatever TCP says.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an answer's headers may be, in bytes. A refusal's message is one, and hyper's 16 KiB would
/// make a long one a broken call.
const MAX_HEADERS: u32 = 1 << 20;
/// The type of HTTP/2's frame of settings.
const SETTINGS: u8 = 4;

/// What sends calls over a connection.
pub(crate) type Sender = http2::SendRequest<Incoming>;
/// What the connection does meanwhile; it ends when no further call can begin on it. Calls that are
/// under way then go on: hyper runs them apart from it.
pub(crate) type Connection = Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>;

/// How replicas of one target are connected to.
#[derive(Clone)]
pub(crate) struct Dialer {
    host: String,
    tls: Option<Arc<Authorities>>,
}

/// Why there is no connection, for propeller's log.
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
        // As URLs write addresses of IPv6.
        let host = target.host.trim_start_matches('[').trim_end_matches(']');
        Self { host: host.to_owned(), tls }
    }

    /// Connects to a replica that speaks HTTP/2.
    pub(crate) async fn dial(
        &self,
        address: SocketAddr,
    ) -> Result<(Sender, Connection), NoConnection> {
        let stream = in_time(TcpStream::connect(address)).await??;
        // Calls are small; waiting to fill a packet only adds latency.
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
            .map_err(|error| NoConnection(format!("no name for TLS: {error}")))?;
        let securing = TlsConnector::from(authorities.config()).connect(name, stream);
        in_time(securing).await?.map_err(|error| NoConnection(format!("no TLS: {error}")))
    }
}

async fn in_time<T>(connecting: impl Future<Output = T>) -> Result<T, NoConnection> {
    let connected = timeout(CONNECT_TIMEOUT, connecting).await;
    connected.map_err(|_| NoConnection("no connection in time".to_owned()))
}

/// Waits for the replica's first frame: until then hyper only knows that somebody accepted, which the
/// kernel does for a process that hangs, and a mesh for one that is gone.
async fn handshake<S>(stream: S) -> Result<(Sender, Connection), NoConnection>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (tell, greeted) = oneshot::channel();
    let stream = OnRead::new(stream, once_greeted(tell));
    let connected = builder().handshake(TokioIo::new(stream)).await;
    let (sender, connection) = connected.map_err(|error| NoConnection(error.to_string()))?;
    let mut connection: Connection = Box::pin(connection);
    let greeting = async {
        tokio::select! {
            settings = greeted => settings == Ok(true),
            _ = &mut connection => false,
        }
    };
    match timeout(CONNECT_TIMEOUT, greeting).await {
        Ok(true) => Ok((sender, connection)),
        Ok(false) | Err(_) => Err(NoConnection("it does not speak HTTP/2".to_owned())),
    }
}

fn builder() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .max_header_list_size(MAX_HEADERS);
    builder
}

/// Tells whether what is read first are settings: RFC 9113 §3.4 has a server begin with them.
fn once_greeted(tell: oneshot::Sender<bool>) -> impl FnMut(&[u8]) {
    let mut tell = Some(tell);
    move |bytes| {
        if let Some(tell) = tell.take() {
            // Too few to tell are no frame of another type.
            let _ = tell.send(bytes.get(3).is_none_or(|kind| *kind == SETTINGS));
        }
    }
}
