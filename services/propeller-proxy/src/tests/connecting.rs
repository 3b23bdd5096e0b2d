//! What becomes of replicas that do not speak HTTP/2, or stop.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    time::timeout,
};

use super::*;

/// A frame without contents.
const EMPTY_SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";

/// Accepts, says `words` and nothing else; where, and what ends once it has been connected to.
async fn that_says(words: &'static [u8]) -> (SocketAddr, impl Future<Output = TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connected = async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_exact(&mut [0; 24]).await.unwrap();
        stream.write_all(words).await.unwrap();
        stream
    };
    (address, connected)
}

/// Lets time pass at once.
async fn pass(seconds: u64) {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(seconds)).await;
    tokio::time::resume();
}

impl Stage {
    /// Why no call can be made now, once that is so and the reason is known.
    async fn why_unreachable(&self) -> String {
        let why = async {
            loop {
                match self.balancer.choose(Duration::from_millis(5)).await {
                    Err(why) if why != "its connections ended" => return why,
                    _ => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        };
        timeout(Duration::from_secs(10), why).await.expect("it is unreachable")
    }
}

#[tokio::test]
async fn a_replica_that_accepts_and_stays_silent_gets_no_call() {
    let (good, silent) = (Replica::start().await, TcpListener::bind("127.0.0.1:0").await.unwrap());
    let stage = Stage::set(&[silent.local_addr().unwrap(), good.address]).await;
    let _accepted = silent.accept().await.unwrap();
    stage.reaches(1).await;
    let mut connection = stage.connect().await;
    for call in 0..50 {
        let answer = call_with(&mut connection, grpc());
        let answer = timeout(Duration::from_secs(5), answer).await;
        let answer = answer.unwrap_or_else(|_| panic!("call {call} was given to the silent one"));
        assert_eq!(answer.unwrap().grpc_status(), "0");
    }
}

#[tokio::test]
async fn a_replica_that_says_nothing_in_time_is_told_of() {
    let (address, connected) = that_says(b"").await;
    let stage = Stage::set(&[address]).await;
    let _stream = connected.await;
    pass(3).await;
    assert_eq!(stage.why_unreachable().await, "it does not speak HTTP/2");
}

#[tokio::test]
async fn a_replica_that_speaks_something_else_is_told_of() {
    let (address, connected) = that_says(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let stage = Stage::set(&[address]).await;
    let _stream = connected.await;
    assert_eq!(stage.why_unreachable().await, "it does not speak HTTP/2");
}

#[tokio::test]
async fn a_replica_that_answers_no_pings_gets_no_more_calls() {
    let (address, connected) = that_says(EMPTY_SETTINGS).await;
    let stage = Stage::set(&[address]).await;
    let _stream = connected.await;
    stage.reaches(1).await;
    pass(10).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    pass(5).await;
    assert_eq!(stage.why_unreachable().await, "it answers no pings");
    stage.reaches(0).await;
}

#[tokio::test]
async fn a_replica_without_a_connection_is_forgotten_and_one_with_a_connection_is_not() {
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
