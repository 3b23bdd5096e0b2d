use axum::body::Body;
use http::{Request, StatusCode};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

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
