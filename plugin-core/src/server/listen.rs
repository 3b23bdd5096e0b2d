//! The accept loop.
//!
//! Ours, because tonic's server lifts hyper's limit on reset streams and ends old connections without
//! a GOAWAY, and `axum::serve` has no timeouts at all.

use std::{
    io,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use prometheus_client::metrics::counter::Counter;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::sleep,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How long a connection may take to say anything; a silent one holds a slot for nothing.
const FIRST_BYTES: Duration = Duration::from_secs(5);
/// As many bytes as HTTP/2's preface has.
const PREFACE_BYTES: usize = 24;
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
const KEEP_ALIVE: Duration = Duration::from_secs(60);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);
const MAX_STREAMS: u32 = 250;

/// How connections are served.
#[derive(Clone)]
pub(super) struct Connections {
    pub(super) max: usize,
    /// How long a connection lives; for ever if absent.
    pub(super) age: Option<Duration>,
    /// How long its calls may go on after that.
    pub(super) grace: Duration,
    /// Counts them.
    pub(super) accepted: Counter,
    /// Ends the accept loop, and asks every connection to finish.
    pub(super) stop: CancellationToken,
    /// What shutdown waits for.
    pub(super) tasks: TaskTracker,
}

/// Serves `router` on `listener` until stopped.
pub(super) async fn serve(listener: TcpListener, router: Router, connections: Connections) {
    let slots = Arc::new(Semaphore::new(connections.max.min(Semaphore::MAX_PERMITS)));
    let accepting = async {
        loop {
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
                return;
            };
            let stream = accept(&listener).await;
            connections.accepted.inc();
            let connection = connections.clone().serve_one(stream, router.clone());
            connections.tasks.spawn(async move {
                connection.await;
                drop(slot);
            });
        }
    };
    connections.stop.run_until_cancelled(accepting).await;
}

async fn accept(listener: &TcpListener) -> TcpStream {
    /// Accepting again at once would spin while file descriptors are short.
    const PAUSE: Duration = Duration::from_millis(100);
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) if is_connections_own(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(PAUSE).await;
            }
        }
    }
}

fn is_connections_own(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}

impl Connections {
    async fn serve_one(self, stream: TcpStream, router: Router) {
        // Answers are small; waiting to fill a packet only adds latency.
        let _ = stream.set_nodelay(true);
        let read = Arc::new(AtomicUsize::new(0));
        let io = TokioIo::new(Counted { stream, read: Arc::clone(&read) });
        let builder = builder();
        let mut connection = pin!(builder.serve_connection(io, TowerToHyperService::new(router)));
        tokio::select! {
            _ = connection.as_mut() => return,
            () = silent(&read) => return,
            () = self.aged() => {}
            () = self.stop.cancelled() => {}
        }
        // Two GOAWAYs: no call is lost that was under way when the first was sent.
        connection.as_mut().graceful_shutdown();
        let _ = tokio::time::timeout(self.grace, connection).await;
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

/// Ends once a connection has not even sent a preface in time.
async fn silent(read: &AtomicUsize) {
    sleep(FIRST_BYTES).await;
    if read.load(Ordering::Relaxed) >= PREFACE_BYTES {
        std::future::pending::<()>().await;
    }
}

/// Counts what a connection has sent.
struct Counted {
    stream: TcpStream,
    read: Arc<AtomicUsize>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.read.fetch_add(buffer.filled().len() - before, Ordering::Relaxed);
        polled
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
