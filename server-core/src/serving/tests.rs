use axum::body::Body;
use http::{Request, StatusCode};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::*;

#[tokio::test]
async fn connections_to_the_admin_port_age() {
    let serving = Serving::new(TaskTracker::new(), Duration::ZERO, Duration::ZERO);
    let (listener, address) = Listener::tcp("127.0.0.1:0".parse().unwrap()).await.unwrap();
    serving.serve_admin(listener, Router::new());
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    let connection = serving.background.spawn(connection);
    let request = Request::new(Body::empty());
    assert_eq!(sender.send_request(request).await.unwrap().status(), StatusCode::NOT_FOUND);

    tokio::time::pause();
    tokio::time::advance(ADMIN_AGE.mul_f64(1.1)).await;
    tokio::time::resume();
    let ended = tokio::time::timeout(Duration::from_secs(5), connection).await;
    ended.expect("it ends").unwrap().unwrap();
}

#[cfg(feature = "testing")]
#[tokio::test(start_paused = true)]
async fn a_drain_that_takes_a_while_says_how_to_end_it() {
    use crate::telemetry::captured;
    captured::start("info");
    let drain_timeout = Duration::from_secs(30);
    let serving = Serving::new(TaskTracker::new(), Duration::ZERO, drain_timeout);
    serving.tasks.spawn(std::future::pending::<()>());
    let started = tokio::time::Instant::now();
    serving.shut_down(true).await;
    assert_eq!(started.elapsed(), drain_timeout, "it is bounded");
    let said = "calls and connections left: 1; they have 29s at most, and a second signal, as by Ctrl-C, ends them \
                at once";
    assert!(captured::text().contains(said));
}

/// What a client of the admin port may send, and stay.
const STAYING: [&[u8]; 4] = [
    b"",
    b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n",
    b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
];

#[tokio::test]
async fn nobody_keeps_probes_from_the_admin_port() {
    let serving = Serving::new(TaskTracker::new(), Duration::ZERO, Duration::ZERO);
    let (listener, address) = Listener::tcp("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let admin = Router::new()
        .route("/livez", axum::routing::get(async || "ok"))
        .route("/slow", axum::routing::get(std::future::pending::<()>));
    serving.serve_admin(listener, admin);
    let mut staying = Vec::new();
    for sent in STAYING {
        for _ in 0..2 * ADMIN_CONNECTIONS {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(sent).await.unwrap();
            staying.push(stream);
        }
        let mut probe = TcpStream::connect(address).await.unwrap();
        probe.write_all(STAYING[1]).await.unwrap();
        let answered = tokio::time::timeout(Duration::from_secs(5), probe.read_u8()).await;
        assert_eq!(answered.expect("in time").unwrap(), b'H', "{}", sent.escape_ascii());
    }
}
