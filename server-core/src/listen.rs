//! The accept loop.
//!
//! Written here because tonic's server lifts hyper's limit on reset streams and closes old connections
//! without a GOAWAY, and `axum::serve` has no timeouts.

mod on_read;
mod peer;

use std::{
    fs::Permissions,
    io,
    net::SocketAddr,
    os::unix::fs::{FileTypeExt as _, PermissionsExt as _},
    path::Path,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use prometheus_client::metrics::counter::Counter;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::{BoxError, Service, ServiceExt as _};

pub use self::{on_read::OnRead, peer::Peer};
use crate::{Error, Result, tls::ServerCertificate};

/// How long a connection may take to send its first bytes; an idle one would hold a permit.
const FIRST_BYTES: Duration = Duration::from_secs(5);
/// The length of HTTP/2's connection preface.
const PREFACE_BYTES: usize = 24;
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
const KEEP_ALIVE: Duration = Duration::from_secs(60);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);
const MAX_STREAMS: u32 = 250;
/// Connecting to a socket requires write permission.
const SOCKET_MODE: u32 = 0o666;

/// A source of connections.
#[derive(Debug)]
pub enum Listener {
    /// A TCP port.
    Tcp(TcpListener),
    /// A Unix domain socket.
    Unix(UnixListener),
}

/// How connections are served.
#[derive(Clone)]
pub struct Connections {
    /// The most connections open at once; further ones wait in the kernel's backlog.
    pub max: usize,
    /// The longest life of a connection; unlimited if absent.
    pub age: Option<Duration>,
    /// How long a connection's calls may take after that.
    pub grace: Duration,
    /// The certificate for TLS; plain HTTP if absent.
    pub tls: Option<Arc<ServerCertificate>>,
    /// Counts accepted connections.
    pub accepted: Counter,
    /// Ends the accept loop and shuts every connection down gracefully.
    pub stop: CancellationToken,
    /// Runs the connections; shutdown waits for them.
    pub tasks: TaskTracker,
}

/// An accepted connection.
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Listener {
    /// Listens on a TCP port. Also returns the local address, whose port differs from that of `address`
    /// if that is 0.
    ///
    /// # Errors
    /// `Unavailable` that names the address.
    pub async fn tcp(address: SocketAddr) -> Result<(Self, SocketAddr)> {
        let bound = async {
            let listener = TcpListener::bind(address).await?;
            let local = listener.local_addr()?;
            Ok((Self::Tcp(listener), local))
        };
        bound.await.map_err(|error| cannot_listen(address, error))
    }

    /// Listens on a Unix domain socket. Replaces a stale socket, which no process listens on, but no other
    /// file. Every user that can reach the path may connect, as with a port.
    ///
    /// # Errors
    /// `Unavailable` that names the path.
    pub async fn unix(path: &Path) -> Result<Self> {
        if is_stale(path).await {
            // If it cannot be removed, binding fails with the reason.
            let _ = tokio::fs::remove_file(path).await;
        }
        let bound = async {
            let listener = UnixListener::bind(path)?;
            // With the umask's permissions, callers of other users could not connect.
            tokio::fs::set_permissions(path, Permissions::from_mode(SOCKET_MODE)).await?;
            Ok(Self::Unix(listener))
        };
        bound.await.map_err(|error| cannot_listen(path.display(), error))
    }

    async fn accept(&self) -> Stream {
        /// Without a pause the loop would spin while the process is out of file descriptors.
        const PAUSE: Duration = Duration::from_millis(100);
        loop {
            let accepted = match self {
                Self::Tcp(listener) => listener.accept().await.map(|(tcp, _)| Stream::Tcp(tcp)),
                Self::Unix(listener) => listener.accept().await.map(|(unix, _)| Stream::Unix(unix)),
            };
            match accepted {
                Ok(stream) => return stream,
                Err(error) if is_about_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(PAUSE).await;
                }
            }
        }
    }
}

/// Whether `path` is a socket that no process listens on. Connecting alone is not proof: other files
/// refuse, too.
async fn is_stale(path: &Path) -> bool {
    let metadata = tokio::fs::symlink_metadata(path).await;
    let is_socket = metadata.is_ok_and(|metadata| metadata.file_type().is_socket());
    let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    is_socket && UnixStream::connect(path).await.is_err_and(refused)
}

fn cannot_listen(address: impl std::fmt::Display, error: io::Error) -> Error {
    Error::unavailable(format!("cannot listen on {address}: {error}")).with_source(error)
}

/// Whether an error of `accept` is about the one connection rather than the listener.
fn is_about_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}

/// A service that answers requests, for example an axum `Router`. When it returns an error, the request's
/// stream is reset with the HTTP/2 reason among the error's sources.
pub trait Answers:
    Service<Request<Incoming>, Response = Response<Self::Body>, Error: Into<BoxError>, Future: Send>
    + Clone
    + Send
    + 'static
{
    /// The body of responses.
    type Body: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static;
}

impl<S, B> Answers for S
where
    S: Service<Request<Incoming>, Response = Response<B>, Error: Into<BoxError>, Future: Send>
        + Clone
        + Send
        + 'static,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Body = B;
}

/// Serves `service` on `listener` until stopped.
pub async fn serve(listener: Listener, service: impl Answers, connections: Connections) {
    let permits = Arc::new(Semaphore::new(connections.max.min(Semaphore::MAX_PERMITS)));
    let accepting = async {
        loop {
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
                return;
            };
            let stream = listener.accept().await;
            connections.accepted.inc();
            let connection = connections.clone().serve_one(stream, service.clone());
            connections.tasks.spawn(async move {
                connection.await;
                drop(permit);
            });
        }
    };
    connections.stop.run_until_cancelled(accepting).await;
}

impl Connections {
    async fn serve_one(self, stream: Stream, service: impl Answers) {
        match stream {
            Stream::Tcp(stream) => {
                // Responses are small; waiting to fill a packet only adds latency.
                let _ = stream.set_nodelay(true);
                let peer = Peer { address: stream.peer_addr().ok(), ..Peer::default() };
                match self.tls.clone() {
                    Some(tls) => self.serve_tls(&tls, stream, peer, service).await,
                    None => self.serve_http(stream, peer, service).await,
                }
            }
            Stream::Unix(stream) => self.serve_http(stream, Peer::default(), service).await,
        }
    }

    async fn serve_tls(
        self,
        tls: &ServerCertificate,
        stream: TcpStream,
        mut peer: Peer,
        service: impl Answers,
    ) {
        let handshake = TlsAcceptor::from(tls.config()).accept(stream);
        let handshake = timeout(HANDSHAKE_TIMEOUT, handshake);
        match self.stop.run_until_cancelled(handshake).await {
            Some(Ok(Ok(stream))) => {
                let (_, session) = stream.get_ref();
                peer.certificates = session.peer_certificates().unwrap_or_default().into();
                self.serve_http(stream, peer, service).await;
            }
            Some(Ok(Err(error))) => tracing::debug!(%error, "TLS handshake failed"),
            Some(Err(_)) => tracing::debug!("TLS handshake timed out"),
            None => {}
        }
    }

    async fn serve_http(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        peer: Peer,
        service: impl Answers,
    ) {
        let service = service.map_request(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer.clone());
            request
        });
        let read = Arc::new(AtomicUsize::new(0));
        let io = TokioIo::new(OnRead::new(stream, counting(Arc::clone(&read))));
        let builder = builder();
        let mut connection = pin!(builder.serve_connection(io, TowerToHyperService::new(service)));
        tokio::select! {
            _ = connection.as_mut() => return,
            () = idle(&read) => return,
            () = self.expired() => {}
            () = self.stop.cancelled() => {}
        }
        // hyper sends two GOAWAYs, so that no call is lost that was on its way at the first.
        connection.as_mut().graceful_shutdown();
        let _ = timeout(self.grace, connection).await;
    }

    /// Completes after the maximum age, plus or minus a tenth, so that connections opened together do not
    /// end together.
    async fn expired(&self) {
        match self.age {
            Some(age) => sleep(age.mul_f64(rand::random_range(0.9..1.1))).await,
            None => std::future::pending().await,
        }
    }
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .max_concurrent_streams(MAX_STREAMS);
    builder
}

fn counting(read: Arc<AtomicUsize>) -> impl FnMut(&[u8]) {
    move |bytes| {
        read.fetch_add(bytes.len(), Ordering::Relaxed);
    }
}

/// Completes if a connection has not sent as much as a preface in time.
async fn idle(read: &AtomicUsize) {
    sleep(FIRST_BYTES).await;
    if read.load(Ordering::Relaxed) >= PREFACE_BYTES {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests;
