//! Calls through the proxy to replicas that run as real servers.

mod balancing;
mod connecting;
mod draining;
mod metadata;
mod misbehaving;
mod refused;
mod renewal;
mod replica;
mod unread;

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

use self::replica::Replica;
use super::*;

/// The proxy in front of replicas.
struct Stage {
    address: SocketAddr,
    balancer: Arc<Balancer>,
    forwarder: Forwarder,
    metrics: Arc<Metrics>,
    serving: Serving,
}

/// A complete response.
struct Answered {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    trailers: HeaderMap,
}

impl Stage {
    async fn set(replicas: &[SocketAddr]) -> Self {
        Self::to("dns:///bigquery-headless.plugins:8000", None, replicas).await
    }

    async fn to(target: &str, tls: Option<Arc<Authorities>>, replicas: &[SocketAddr]) -> Self {
        Self::limited(target, tls, replicas, Limits::default()).await
    }

    async fn limited(
        target: &str,
        tls: Option<Arc<Authorities>>,
        replicas: &[SocketAddr],
        limits: Limits,
    ) -> Self {
        let serving = Serving::new(TaskTracker::new(), Duration::ZERO, Duration::from_secs(5));
        let metrics = Arc::new(Metrics::new(INFO));
        let target = target.parse().unwrap();
        let balancer = Arc::new(Balancer::new(&target, tls, &serving, &metrics));
        balancer.set_replicas(replicas);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "the-token").unwrap();
        let token = Arc::new(Token::read(file.path().to_owned()).await.unwrap());
        let unread = Unread::new(limits, metrics.unread_responses.clone());
        serving.background.spawn(unread.clone().keep_ending(serving.stop_background.clone()));
        let (wait, stop) = (Duration::from_secs(2), serving.stop.clone());
        let forwarder = Forwarder::new(Arc::clone(&balancer), token, unread, wait, stop);
        let (listener, address) = Listener::tcp("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let stage = Self { address, balancer, forwarder, metrics, serving };
        stage.serve(listener);
        stage
    }

    /// Serves one more listener.
    fn serve(&self, listener: Listener) {
        let connections = Connections {
            max: 400,
            when_full: WhenFull::Wait,
            age: None,
            grace: Duration::from_secs(5),
            http1_idle: HTTP1_IDLE,
            tls: None,
            accepted: Counter::default(),
            open: self.metrics.open_connections.clone(),
            stop: self.serving.stop.clone(),
            tasks: self.serving.tasks.clone(),
        };
        self.serving.tasks.spawn(serve(listener, self.forwarder.clone(), connections));
    }

    async fn connect(&self) -> http2::SendRequest<Empty<Bytes>> {
        self.speak(TcpStream::connect(self.address).await.unwrap()).await
    }

    async fn speak<S>(&self, stream: S) -> http2::SendRequest<Empty<Bytes>>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        // grpc-go's defaults.
        let builder = builder.max_header_list_size(16 << 20).initial_stream_window_size(65_535);
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
        self.serving.background.spawn(connection);
        sender
    }

    async fn call(&self) -> Result<Answered, hyper::Error> {
        call_with(&mut self.connect().await, grpc()).await
    }

    /// Waits until the metrics contain `line`.
    async fn wait_for_metric(&self, line: &str) {
        let found = async {
            while !self.metrics.encode().unwrap().lines().any(|each| each == line) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let found = tokio::time::timeout(Duration::from_secs(10), found).await;
        found.unwrap_or_else(|_| panic!("{line} in {}", self.metrics.encode().unwrap()));
    }

    /// Waits until `calls` calls have ended with `grpc_code`.
    async fn counted(&self, grpc_code: &str, calls: usize) {
        let target = "bigquery-headless.plugins:8000";
        let labels = format!(r#"target="{target}",grpc_code="{grpc_code}""#);
        self.wait_for_metric(&format!("propeller_proxy_calls_total{{{labels}}} {calls}")).await;
    }

    /// Waits until `replicas` replicas are connected.
    async fn reaches(&self, replicas: usize) {
        let target = r#"target="bigquery-headless.plugins:8000""#;
        self.wait_for_metric(&format!("propeller_proxy_replicas{{{target}}} {replicas}")).await;
    }
}

/// A call as grpc-go makes it.
fn grpc() -> http::request::Builder {
    Request::post("http://127.0.0.1:8081/flyteidl.service.AsyncAgentService/GetTask")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("grpc-timeout", "9S")
        .header("user-agent", "grpc-go/1.83.1")
}

async fn call_with(
    sender: &mut http2::SendRequest<Empty<Bytes>>,
    request: http::request::Builder,
) -> Result<Answered, hyper::Error> {
    let request = request.body(Empty::new()).unwrap();
    let (parts, body) = sender.send_request(request).await?.into_parts();
    let collected = body.collect().await?;
    let trailers = collected.trailers().cloned().unwrap_or_default();
    let body = collected.to_bytes();
    Ok(Answered { status: parts.status, headers: parts.headers, body, trailers })
}

impl Answered {
    fn grpc_status(&self) -> &str {
        let status = self.trailers.get("grpc-status").or(self.headers.get("grpc-status"));
        status.unwrap().to_str().unwrap()
    }

    fn replica(&self) -> String {
        self.headers["x-replica"].to_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn call_is_forwarded_with_the_token_and_otherwise_unchanged() {
    let replica = Replica::start().await;
    let stage = Stage::set(&[replica.address]).await;
    let request = grpc()
        .header("authorization", "Bearer another")
        .header("flyte-authorization", "Bearer another")
        .header("x-of-flyte", "1");
    let answer = call_with(&mut stage.connect().await, request).await.unwrap();
    assert_eq!((answer.status, answer.grpc_status()), (StatusCode::OK, "0"));
    assert_eq!(&answer.body[..], b"\0\0\0\0\x01.", "the body is unchanged");
    assert_eq!(answer.trailers["x-trailer"], "last");

    let received = replica.received().pop().unwrap();
    assert_eq!(
        received.uri,
        "http://bigquery-headless.plugins:8000/flyteidl.service.AsyncAgentService/GetTask"
    );
    for (name, value) in [
        ("authorization", "Bearer the-token"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("grpc-timeout", "9S"),
        ("user-agent", "grpc-go/1.83.1"),
        ("x-of-flyte", "1"),
    ] {
        let values = received.headers.get_all(name).iter().collect::<Vec<_>>();
        assert_eq!(values, [value], "{name}");
    }
    assert_eq!(received.headers.get("flyte-authorization"), None, "services reject two tokens");
}

#[tokio::test]
async fn ageing_connections_and_stopping_replicas_fail_no_call() {
    let young = Duration::from_millis(30);
    let (stays, leaves) = (Replica::that_ages(young).await, Replica::that_ages(young).await);
    let stage = Stage::set(&[stays.address, leaves.address]).await;
    stage.reaches(2).await;
    let mut connection = stage.connect().await;
    for call in 0..300 {
        if call == 150 {
            leaves.stop();
        }
        let answer = call_with(&mut connection, grpc()).await.unwrap();
        assert_eq!(answer.grpc_status(), "0", "call {call}: {:?}", answer.headers);
    }
}

#[tokio::test]
async fn removed_replica_finishes_its_calls() {
    let replica = Replica::start().await;
    let stage = Stage::set(&[replica.address]).await;
    stage.reaches(1).await;
    replica.hold();
    let (answer, ()) = tokio::join!(stage.call(), async {
        replica.is_held().await;
        stage.balancer.set_replicas(&[]);
        stage.reaches(0).await;
        replica.release();
    });
    assert_eq!(answer.unwrap().grpc_status(), "0");
}

#[tokio::test]
async fn call_waits_for_a_replica_and_then_fails_with_the_reason() {
    let refusing =
        tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let stage = Stage::set(&[refusing]).await;
    let answer = stage.call().await.unwrap();
    assert_eq!((answer.status, answer.grpc_status()), (StatusCode::OK, "14"));
    let message = tonic::Status::from_header_map(&answer.headers).unwrap().message().to_owned();
    let expected = "propeller-proxy: no replica of bigquery-headless.plugins:8000 is reachable: \
                    connection refused";
    assert_eq!(message, expected);

    let replica = Replica::start().await;
    let (answer, ()) = tokio::join!(stage.call(), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        stage.balancer.set_replicas(&[replica.address]);
    });
    assert_eq!(answer.unwrap().grpc_status(), "0");
}

#[tokio::test]
async fn stale_socket_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bigquery.sock");
    let listen = Listen::Unix(path.clone());
    drop(bind(&listen).await.unwrap());
    assert!(path.exists(), "a killed process leaves it behind");

    let (listener, _) = bind(&listen).await.unwrap();
    let refused = bind(&listen).await.err().unwrap().to_string();
    assert!(refused.contains("bigquery.sock: Address already in use"), "{refused}");

    let stage = Stage::set(&[Replica::start().await.address]).await;
    stage.serve(listener);
    let stream = tokio::net::UnixStream::connect(path).await.unwrap();
    let answer = call_with(&mut stage.speak(stream).await, grpc()).await.unwrap();
    assert_eq!(answer.grpc_status(), "0");
}

#[tokio::test]
async fn calls_are_counted_by_target_and_code() {
    let replica = Replica::start().await;
    let stage = Stage::set(&[replica.address]).await;
    stage.call().await.unwrap();
    stage.counted("OK", 1).await;
}
