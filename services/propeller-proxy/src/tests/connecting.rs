//! Replicas that do not speak HTTP/2 or become unresponsive.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    time::timeout,
};

use super::*;

/// A SETTINGS frame without contents.
const EMPTY_SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";

/// A server that accepts one connection and sends only `bytes`: its address, and a future that resolves to
/// the connection.
async fn that_sends(bytes: &'static [u8]) -> (SocketAddr, impl Future<Output = TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connected = async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_exact(&mut [0; 24]).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream
    };
    (address, connected)
}

/// Advances the clock.
async fn advance(seconds: u64) {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(seconds)).await;
    tokio::time::resume();
}

impl Stage {
    /// Waits until no replica is reachable and returns the reason.
    async fn why_unreachable(&self) -> String {
        let why = async {
            loop {
                match self.balancer.choose(Duration::from_millis(5)).await {
                    Err(why) if why != "all connections ended" => return why,
                    _ => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        };
        timeout(Duration::from_secs(10), why).await.expect("unreachable within the timeout")
    }
}

#[tokio::test]
async fn silent_replica_gets_no_calls() {
    let (good, silent) = (Replica::start().await, TcpListener::bind("127.0.0.1:0").await.unwrap());
    let stage = Stage::set(&[silent.local_addr().unwrap(), good.address]).await;
    let _accepted = silent.accept().await.unwrap();
    stage.reaches(1).await;
    let mut connection = stage.connect().await;
    for call in 0..50 {
        let answer = call_with(&mut connection, grpc());
        let answer = timeout(Duration::from_secs(5), answer).await;
        let answer =
            answer.unwrap_or_else(|_| panic!("call {call} was sent to the silent replica"));
        assert_eq!(answer.unwrap().grpc_status(), "0");
    }
}

/// A service closes connections that have sent no request for ten seconds.
#[tokio::test]
async fn replicas_without_calls_stay_connected() {
    let replica = Replica::start().await;
    let stage = Stage::set(&[replica.address]).await;
    stage.reaches(1).await;
    advance(5).await;
    let greeted = async {
        while replica.greetings() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(5), greeted).await.expect("a request on the new connection");
    advance(12).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(replica.greetings(), 1, "it is still the same connection");
    assert_eq!(stage.call().await.unwrap().grpc_status(), "0");
    assert_eq!(replica.received().len(), 1, "greetings carry no token");
}

#[tokio::test]
async fn silent_replica_is_reported() {
    let (address, connected) = that_sends(b"").await;
    let stage = Stage::set(&[address]).await;
    let _stream = connected.await;
    advance(3).await;
    assert_eq!(stage.why_unreachable().await, "the replica does not speak HTTP/2");
}

#[tokio::test]
async fn replica_that_speaks_http1_is_reported() {
    let (address, connected) = that_sends(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let stage = Stage::set(&[address]).await;
    let _stream = connected.await;
    assert_eq!(stage.why_unreachable().await, "the replica does not speak HTTP/2");
}

#[tokio::test]
async fn replica_that_answers_no_pings_gets_no_more_calls() {
    let (address, connected) = that_sends(EMPTY_SETTINGS).await;
    let stage = Stage::set(&[address]).await;
    let _stream = connected.await;
    stage.reaches(1).await;
    advance(10).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    advance(5).await;
    assert_eq!(stage.why_unreachable().await, "the replica does not answer pings");
    stage.reaches(0).await;
}

#[tokio::test]
async fn only_unconnected_replicas_are_forgotten() {
    let (good, refuses) = (Replica::start().await, TcpListener::bind("127.0.0.1:0").await.unwrap());
    let address = refuses.local_addr().unwrap();
    drop(refuses);
    let stage = Stage::set(&[address, good.address]).await;
    stage.reaches(1).await;
    stage.balancer.forget_unconnected(Duration::ZERO);
    let known = stage.balancer.replicas.load();
    let known = known.iter().map(|replica| replica.address).collect::<Vec<_>>();
    assert_eq!(known, [good.address]);
    assert_eq!(stage.call().await.unwrap().grpc_status(), "0");
}
