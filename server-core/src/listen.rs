//! The accept loop.
//!
//! Ours, because tonic's server lifts hyper's limit on reset streams and ends old connections without
//! a GOAWAY, and `axum::serve` has no timeouts at all.

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

/// How long a connection may take to say anything; a silent one holds a slot for nothing.
const FIRST_BYTES: Duration = Duration::from_secs(5);
/// As many bytes as HTTP/2's preface has.
const PREFACE_BYTES: usize = 24;
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
const KEEP_ALIVE: Duration = Duration::from_secs(60);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);
const MAX_STREAMS: u32 = 250;
/// Connecting takes the right to write.
const SOCKET_MODE: u32 = 0o666;

/// Where connections come from.
#[derive(Debug)]
pub enum Listener {
    /// A port.
    Tcp(TcpListener),
    /// A socket in the file system.
    Unix(UnixListener),
}

/// How connections are served.
#[derive(Clone)]
pub struct Connections {
    /// How many are open at once; the next waits in the kernel's queue.
    pub max: usize,
    /// How long a connection lives; for ever if absent.
    pub age: Option<Duration>,
    /// How long its calls may go on after that.
    pub grace: Duration,
    /// Speaks TLS with this certificate; plain HTTP if absent.
    pub tls: Option<Arc<ServerCertificate>>,
    /// Counts them.
    pub accepted: Counter,
    /// Ends the accept loop, and asks every connection to finish.
    pub stop: CancellationToken,
    /// What shutdown waits for.
    pub tasks: TaskTracker,
}

/// A connection that was accepted.
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Listener {
    /// Listens on a port; its address, too, which tells the port where `address` left it open.
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

    /// Listens on a socket in the file system, in place of one that nobody listens on any more; any
    /// other file stays. Whoever reaches the socket may connect, as with a port.
    ///
    /// # Errors
    /// `Unavailable` that names the path.
    pub async fn unix(path: &Path) -> Result<Self> {
        if is_abandoned(path).await {
            // Where it cannot be removed, binding fails and says so.
            let _ = tokio::fs::remove_file(path).await;
        }
        let bound = async {
            let listener = UnixListener::bind(path)?;
            // Left to the umask, a caller of another user could not connect.
            tokio::fs::set_permissions(path, Permissions::from_mode(SOCKET_MODE)).await?;
            Ok(Self::Unix(listener))
        };
        bound.await.map_err(|error| cannot_listen(path.display(), error))
    }

    async fn accept(&self) -> Stream {
        /// Accepting again at once would spin while file descriptors are short.
        const PAUSE: Duration = Duration::from_millis(100);
        loop {
            let accepted = match self {
                Self::Tcp(listener) => listener.accept().await.map(|(tcp, _)| Stream::Tcp(tcp)),
                Self::Unix(listener) => listener.accept().await.map(|(unix, _)| Stream::Unix(unix)),
            };
            match accepted {
                Ok(stream) => return stream,
                Err(error) if is_connections_own(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    sleep(PAUSE).await;
                }
            }
        }
    }
}

/// Whether `path` is a socket that nobody listens on. Connecting alone does not tell: any file refuses.
async fn is_abandoned(path: &Path) -> bool {
    let found = tokio::fs::symlink_metadata(path).await;
    let is_socket = found.is_ok_and(|found| found.file_type().is_socket());
    let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    is_socket && UnixStream::connect(path).await.is_err_and(refused)
}

fn cannot_listen(address: impl std::fmt::Display, error: io::Error) -> Error {
    Error::unavailable(format!("cannot listen on {address}: {error}")).with_source(error)
}

fn is_connections_own(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}

/// What answers requests; an axum `Router` is one. A request that it fails is reset, with the reason of
/// HTTP/2 that its error has as a source.
pub trait Answers:
    Service<Request<Incoming>, Response = Response<Self::Body>, Error: Into<BoxError>, Future: Send>
    + Clone
    + Send
    + 'static
{
    /// What answers are made of.
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
    let slots = Arc::new(Semaphore::new(connections.max.min(Semaphore::MAX_PERMITS)));
    let accepting = async {
        loop {
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
                return;
            };
            let stream = listener.accept().await;
            connections.accepted.inc();
            let connection = connections.clone().serve_one(stream, service.clone());
            connections.tasks.spawn(async move {
                connection.await;
                drop(slot);
            });
        }
    };
    connections.stop.run_until_cancelled(accepting).await;
}

impl Connections {
    async fn serve_one(self, stream: Stream, service: impl Answers) {
        match stream {
            Stream::Tcp(stream) => {
                // Answers are small; waiting to fill a packet only adds latency.
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
            Some(Ok(Err(error))) => tracing::debug!(%error, "a TLS handshake failed"),
            Some(Err(_)) => tracing::debug!("a TLS handshake was not finished in time"),
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
            () = silent(&read) => return,
            () = self.aged() => {}
            () = self.stop.cancelled() => {}
        }
        // Two GOAWAYs: no call is lost that was under way when the first was sent.
        connection.as_mut().graceful_shutdown();
        let _ = timeout(self.grace, connection).await;
    }

    /// Ends after the connection's age, give or take a tenth, so that connections made together do
    /// not end together.
    async fn aged(&self) {
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

/// Ends once a connection has not even sent a preface in time.
async fn silent(read: &AtomicUsize) {
    sleep(FIRST_BYTES).await;
    if read.load(Ordering::Relaxed) >= PREFACE_BYTES {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests;
