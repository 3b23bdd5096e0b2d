//! The accept loop.
//!
//! Written here because tonic's server lifts hyper's limit on reset streams and closes old connections
//! without a GOAWAY, and `axum::serve` has no timeouts.

mod activity;
mod connection;
mod on_read;
mod peer;

use std::{
    collections::VecDeque,
    fs::Permissions,
    io,
    net::SocketAddr,
    os::unix::fs::{FileTypeExt as _, PermissionsExt as _},
    path::Path,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use prometheus_client::metrics::{counter::Counter, gauge::Gauge};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream},
    sync::Semaphore,
    task::AbortHandle,
    time::sleep,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::{BoxError, Service};

pub use self::{on_read::OnRead, peer::Peer};
use crate::{Error, Result, tls::ServerCertificate};

/// How long an HTTP/1.1 connection may be idle, unless a setting says otherwise: longer than the interval
/// of common polls, and than a load balancer keeps its own side open.
pub const HTTP1_IDLE: Duration = Duration::from_secs(75);
/// The interval of HTTP/2's pings and TCP's probes, and how long their answers may take.
const KEEP_ALIVE: Duration = Duration::from_secs(60);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// How many of TCP's probes may be lost.
const KEEP_ALIVE_PROBES: u32 = 4;
/// HTTP/2's limit on concurrent streams of a connection. A burst of calls over one connection, as of
/// propeller's polls, has to arrive: it is refused or answered here, but in its client's queue it would wait
/// until its deadline.
const MAX_STREAMS: u32 = 1000;
/// The most bytes of a request's headers: gRPC's metadata, tokens among it. hyper's default of 16 KiB is less
/// than gRPC's own servers accept. Over HTTP/1.1 hyper reads bodies in steps of at most as much, too.
const MAX_HEADERS: u32 = 64 << 10;
/// How many bytes of a request or response wait for whoever reads them.
const STREAM_WINDOW: u32 = 64 << 10;
/// A request that nobody reads must not hold up the others of its connection.
const CONNECTION_WINDOW: u32 = 64 * STREAM_WINDOW;
/// Connections that may wait to be accepted, if the kernel allows as many. Of those that it has no room for
/// it tells nobody: their clients believe that they are open.
const BACKLOG: u32 = 4096;
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
    /// The most connections open at once.
    pub max: usize,
    /// What happens once they are.
    pub when_full: WhenFull,
    /// The longest life of a connection; unlimited if absent.
    pub age: Option<Duration>,
    /// How long a connection's calls may take after that, or after [`stop`](Self::stop). What has no
    /// request in progress then closes at once.
    pub grace: Duration,
    /// How long an HTTP/1.1 connection may be idle between two requests.
    pub http1_idle: Duration,
    /// The certificate for TLS; plain HTTP if absent.
    pub tls: Option<Arc<ServerCertificate>>,
    /// Counts accepted connections.
    pub accepted: Counter,
    /// The number of open connections.
    pub open: Gauge,
    /// Ends the accept loop and shuts every connection down gracefully.
    pub stop: CancellationToken,
    /// Runs the connections; shutdown waits for them.
    pub tasks: TaskTracker,
}

/// What happens while as many connections are open as may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// Further ones wait in the kernel's backlog.
    Wait,
    /// The oldest is closed, whatever it is busy with: for short requests, which must not wait for clients
    /// that stay.
    CloseOldest,
}

/// The open connections that may be closed for others, the oldest first.
#[derive(Default)]
struct Oldest(VecDeque<AbortHandle>);

impl Oldest {
    fn push(&mut self, connection: AbortHandle) {
        self.0.retain(|open| !open.is_finished());
        self.0.push_back(connection);
    }

    fn close(&mut self) {
        if let Some(oldest) = self.0.pop_front() {
            oldest.abort();
        }
    }
}

/// Counts a connection as open until it is dropped.
struct Open(Gauge);

impl Open {
    fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
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
            let socket = match address {
                SocketAddr::V4(_) => TcpSocket::new_v4()?,
                SocketAddr::V6(_) => TcpSocket::new_v6()?,
            };
            // A restart need not wait until the kernel has forgotten the old connections.
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            let listener = socket.listen(BACKLOG)?;
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
    type Body: Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static;
}

impl<S, B> Answers for S
where
    S: Service<Request<Incoming>, Response = Response<B>, Error: Into<BoxError>, Future: Send>
        + Clone
        + Send
        + 'static,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    type Body = B;
}

/// Serves `service` on `listener` until stopped.
pub async fn serve(listener: Listener, service: impl Answers, connections: Connections) {
    let permits = Arc::new(Semaphore::new(connections.max.min(Semaphore::MAX_PERMITS)));
    let closes_oldest = connections.when_full == WhenFull::CloseOldest;
    let accepting = async {
        let mut oldest = Oldest::default();
        loop {
            // A connection that may close another is accepted first, so that none is closed for nobody.
            let early = if closes_oldest { Some(listener.accept().await) } else { None };
            if closes_oldest && permits.available_permits() == 0 {
                oldest.close();
            }
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
                return;
            };
            let stream = match early {
                Some(stream) => stream,
                None => listener.accept().await,
            };
            connections.accepted.inc();
            let open = Open::new(&connections.open);
            let connection = connections.clone().serve_one(stream, service.clone());
            let task = connections.tasks.spawn(async move {
                connection.await;
                drop((open, permit));
            });
            if closes_oldest {
                oldest.push(task.abort_handle());
            }
        }
    };
    connections.stop.run_until_cancelled(accepting).await;
}

#[cfg(test)]
mod tests;
