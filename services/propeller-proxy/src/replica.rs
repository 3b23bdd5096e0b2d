//! One replica of a plugin, and the connection to it.

use std::{
    fmt, io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use hyper::{body::Incoming, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use plugin_core::tls::Authorities;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};
use tokio_rustls::{TlsConnector, rustls::pki_types::ServerName};
use tokio_util::sync::CancellationToken;

use crate::{args::Target, balance::Changes};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A replica that has not answered a ping for both together is dead, whatever TCP says.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// What lived so long may be made again at once.
const STABLE: Duration = Duration::from_secs(1);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest after a connection that came about and ended soon.
const SHORT_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What sends calls over a connection.
pub(crate) type Sender = http2::SendRequest<Incoming>;
/// What the connection does meanwhile; it ends when no further call can begin on it.
type Connection<S> = http2::Connection<TokioIo<S>, Incoming, TokioExecutor>;

/// One replica of a plugin.
pub(crate) struct Replica {
    pub(crate) address: SocketAddr,
    sender: ArcSwapOption<Sender>,
    /// Calls that have not ended.
    pending: AtomicUsize,
    /// The replica is no longer one.
    pub(crate) gone: CancellationToken,
}

/// Counts a call for as long as it lives.
pub(crate) struct Pending(Arc<Replica>);

impl Replica {
    pub(crate) fn new(address: SocketAddr, gone: CancellationToken) -> Self {
        let (sender, pending) = (ArcSwapOption::empty(), AtomicUsize::new(0));
        Self { address, sender, pending, gone }
    }

    /// What can send a call now, if it is connected.
    pub(crate) fn sender(&self) -> Option<Sender> {
        let sender = self.sender.load();
        sender.as_deref().filter(|sender| !sender.is_closed()).cloned()
    }

    pub(crate) fn pending(&self) -> usize {
        self.pending.load(Ordering::Relaxed)
    }

    pub(crate) fn begin(self: &Arc<Self>) -> Pending {
        self.pending.fetch_add(1, Ordering::Relaxed);
        Pending(Arc::clone(self))
    }

    /// Connects, and again whenever the connection ends, until the replica is gone.
    pub(crate) async fn keep_connected(self: Arc<Self>, dialer: Dialer, changes: Changes) {
        let mut pause = FIRST_PAUSE;
        while !self.gone.is_cancelled() {
            let began = Instant::now();
            let connected = self.gone.run_until_cancelled(dialer.dial(&self, &changes)).await;
            if let Some(Err(error)) = connected {
                tracing::debug!(replica = %self.address, %error, "no connection");
                changes.failed(&error);
            } else if began.elapsed() > STABLE {
                pause = FIRST_PAUSE;
                continue;
            } else {
                pause = pause.min(SHORT_PAUSE);
            }
            // Not all proxies at once.
            let jittered = pause.mul_f64(rand::random_range(0.5..1.0));
            self.gone.run_until_cancelled(sleep(jittered)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Lets calls use `sender` until the connection takes no more. Those that are under way then go on:
    /// hyper runs them apart from `connection`.
    async fn serve<S>(&self, sender: Sender, connection: Connection<S>, changes: &Changes)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.sender.store(Some(Arc::new(sender)));
        changes.connected();
        tracing::info!(replica = %self.address, "connected");
        let ended = self.gone.run_until_cancelled(connection).await;
        self.sender.store(None);
        changes.disconnected();
        let why = match ended {
            Some(Ok(())) => "the replica wants no more calls on it".to_owned(),
            Some(Err(error)) => error.to_string(),
            None => "the replica is none any more".to_owned(),
        };
        tracing::info!(replica = %self.address, why, "the connection ended");
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.0.pending.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How replicas of one target are connected to.
#[derive(Clone)]
pub(crate) struct Dialer {
    host: String,
    tls: Option<Arc<Authorities>>,
}

/// Why there is no connection, for propeller's log.
#[derive(Debug)]
pub(crate) struct NoConnection(String);

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

    /// Connects to `replica` and serves it until the connection ends.
    async fn dial(&self, replica: &Replica, changes: &Changes) -> Result<(), NoConnection> {
        let late = |_| NoConnection("no connection in time".to_owned());
        let stream = timeout(CONNECT_TIMEOUT, TcpStream::connect(replica.address)).await;
        let stream = stream.map_err(late)??;
        // Calls are small; waiting to fill a packet only adds latency.
        let _ = stream.set_nodelay(true);
        let Some(authorities) = &self.tls else {
            let (sender, connection) = handshake(stream).await?;
            replica.serve(sender, connection, changes).await;
            return Ok(());
        };
        let name = ServerName::try_from(self.host.clone())
            .map_err(|error| NoConnection(format!("no name for TLS: {error}")))?;
        let securing = TlsConnector::from(authorities.config()).connect(name, stream);
        let secured = timeout(CONNECT_TIMEOUT, securing).await.map_err(late)?;
        let secured = secured.map_err(|error| NoConnection(format!("no TLS: {error}")))?;
        let (sender, connection) = handshake(secured).await?;
        replica.serve(sender, connection, changes).await;
        Ok(())
    }
}

async fn handshake<S>(stream: S) -> Result<(Sender, Connection<S>), NoConnection>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| NoConnection(error.to_string()))
}
