//! A replica that responds to calls.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::StreamBody;
use hyper::body::Incoming;
use prometheus_client::metrics::counter::Counter;
use server_core::{
    listen::{Connections, Listener, serve},
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
            held: watch::Sender::new(false),
            waiting: watch::Sender::new(false),
        });
        let connections = Connections {
            max: 100,
            age: Some(age),
            grace: Duration::from_secs(5),
            tls,
            accepted: Counter::default(),
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

    /// Removes and returns the requests received so far.
    pub(super) fn received(&self) -> Vec<Received> {
        std::mem::take(&mut *self.state.received.lock().unwrap())
    }
}

type Frames = futures_util::stream::Iter<std::array::IntoIter<Result<Frame<Bytes>, Infallible>, 2>>;

async fn answer(
    state: Arc<State>,
    address: SocketAddr,
    request: Request<Incoming>,
) -> Result<Response<StreamBody<Frames>>, Infallible> {
    let (uri, headers) = (request.uri().to_string(), request.headers().clone());
    state.received.lock().unwrap().push(Received { uri, headers });
    state.waiting.send_replace(true);
    state.held.subscribe().wait_for(|held| !held).await.unwrap();
    let trailers = [("grpc-status", "0"), ("x-trailer", "last")]
        .map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap()));
    let frames = [
        Ok(Frame::data(Bytes::from_static(b"\0\0\0\0\x01."))),
        Ok(Frame::trailers(HeaderMap::from_iter(trailers))),
    ];
    let answer = Response::builder()
        .header("content-type", "application/grpc")
        .header("x-replica", address.to_string())
        .body(StreamBody::new(futures_util::stream::iter(frames)));
    Ok(answer.unwrap())
}
