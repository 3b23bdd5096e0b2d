//! A replica that responds to calls.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, Request, Response, header};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody, combinators::BoxBody};
use hyper::body::Incoming;
use prometheus_client::metrics::{counter::Counter, gauge::Gauge};
use server_core::{
    listen::{Connections, HTTP1_IDLE, Listener, WhenFull, serve},
    tls::ServerCertificate,
};
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::service_fn;

/// A request that a replica received.
pub(super) struct Received {
    pub(super) uri: String,
    pub(super) headers: HeaderMap,
}

/// A replica that responds to calls.
pub(super) struct Replica {
    pub(super) address: SocketAddr,
    state: Arc<State>,
    stop: CancellationToken,
}

struct State {
    received: Mutex<Vec<Received>>,
    /// The number of requests for health without a token: the proxy's own.
    greetings: AtomicUsize,
    /// The number of bytes of bodies that were handed to HTTP/2.
    sent: AtomicUsize,
    held: watch::Sender<bool>,
    waiting: watch::Sender<bool>,
}

impl Replica {
    pub(super) async fn start() -> Self {
        Self::that_ages(Duration::from_secs(600)).await
    }

    /// A replica that closes its connections after `age`.
    pub(super) async fn that_ages(age: Duration) -> Self {
        Self::with(age, None).await
    }

    /// A replica that speaks TLS.
    pub(super) async fn with_certificate(certificate: ServerCertificate) -> Self {
        Self::with(Duration::from_secs(600), Some(Arc::new(certificate))).await
    }

    async fn with(age: Duration, tls: Option<Arc<ServerCertificate>>) -> Self {
        let (listener, address) = Listener::tcp("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let state = Arc::new(State {
            received: Mutex::default(),
            greetings: AtomicUsize::default(),
            sent: AtomicUsize::new(0),
            held: watch::Sender::new(false),
            waiting: watch::Sender::new(false),
        });
        let connections = Connections {
            max: 100,
            when_full: WhenFull::Wait,
            age: Some(age),
            grace: Duration::from_secs(5),
            http1_idle: HTTP1_IDLE,
            tls,
            accepted: Counter::default(),
            open: Gauge::default(),
            stop: stop.clone(),
            tasks: tasks.clone(),
        };
        let answering = Arc::clone(&state);
        let service = service_fn(move |request| answer(Arc::clone(&answering), address, request));
        tasks.spawn(serve(listener, service, connections));
        Self { address, state, stop }
    }

    pub(super) fn stop(&self) {
        self.stop.cancel();
    }

    /// Holds back responses from now on.
    pub(super) fn hold(&self) {
        self.state.held.send_replace(true);
    }

    /// Waits until it has received a call.
    pub(super) async fn is_held(&self) {
        self.state.waiting.subscribe().wait_for(|waiting| *waiting).await.unwrap();
    }

    pub(super) fn release(&self) {
        self.state.held.send_replace(false);
    }

    /// The number of requests for health that the proxy itself made.
    pub(super) fn greetings(&self) -> usize {
        self.state.greetings.load(Ordering::Relaxed)
    }

    /// The number of bytes of bodies that were handed to HTTP/2.
    pub(super) fn sent(&self) -> usize {
        self.state.sent.load(Ordering::Relaxed)
    }

    /// Removes and returns the requests received so far.
    pub(super) fn received(&self) -> Vec<Received> {
        std::mem::take(&mut *self.state.received.lock().unwrap())
    }
}

/// A call with `x-bytes` is answered with that many bytes, one with `x-metadata` with metadata of that many, one
/// with `x-endless` without an end.
async fn answer(
    state: Arc<State>,
    address: SocketAddr,
    request: Request<Incoming>,
) -> Result<Response<BoxBody<Bytes, Infallible>>, Infallible> {
    let (uri, headers) = (request.uri().to_string(), request.headers().clone());
    if request.uri().path() == "/grpc.health.v1.Health/Check"
        && !headers.contains_key(header::AUTHORIZATION)
    {
        state.greetings.fetch_add(1, Ordering::Relaxed);
        return Ok(Response::new(BoxBody::default()));
    }
    let number = |name: &str| Some(headers.get(name)?.to_str().unwrap().parse::<usize>().unwrap());
    let (bytes, metadata) = (number("x-bytes"), number("x-metadata").unwrap_or_default());
    let endless = number("x-endless").is_some();
    state.received.lock().unwrap().push(Received { uri, headers });
    state.waiting.send_replace(true);
    state.held.subscribe().wait_for(|held| !held).await.unwrap();
    let answer = Response::builder()
        .header("content-type", "application/grpc")
        .header("x-replica", address.to_string())
        .header("x-filler", "x".repeat(metadata))
        .body(frames(state, bytes, endless));
    Ok(answer.unwrap())
}

fn frames(state: Arc<State>, bytes: Option<usize>, endless: bool) -> BoxBody<Bytes, Infallible> {
    let message = bytes.map_or(Bytes::from_static(b"\0\0\0\0\x01."), |bytes| vec![0; bytes].into());
    let chunks = (0..message.len()).step_by(16 << 10).map(move |start| {
        let chunk = message.slice(start..message.len().min(start + (16 << 10)));
        state.sent.fetch_add(chunk.len(), Ordering::Relaxed);
        Frame::data(chunk)
    });
    let trailers = [("grpc-status", "0"), ("x-trailer", "last")]
        .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
    let trailers = std::iter::once(Frame::trailers(HeaderMap::from_iter(trailers)));
    if endless {
        let chunks = stream::iter(chunks.map(Ok)).chain(stream::pending());
        return BodyExt::boxed(StreamBody::new(chunks));
    }
    BodyExt::boxed(StreamBody::new(stream::iter(chunks.chain(trailers).map(Ok))))
}
