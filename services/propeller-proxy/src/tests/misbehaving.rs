//! Calls to replicas that do not answer them, or not as they should.

use std::sync::atomic::{AtomicUsize, Ordering};

use h2::server::{Connection, SendResponse};
use http::Response;
use tokio::{net::TcpListener, sync::Notify};

use super::*;

/// A replica that does the same with every call.
struct Misbehaving {
    address: SocketAddr,
    calls: Arc<AtomicUsize>,
    broken_off: Arc<Notify>,
}

/// What it does with a call.
#[derive(Clone, Copy)]
enum Manner {
    /// It ends the connection.
    BreaksOff,
    /// It begins to answer, and ends the connection when it is told to.
    BreaksOffMidway,
    /// It says that it has not processed the call.
    Refuses,
    /// It answers without a status.
    TellsNoStatus,
    /// It fails the call with a message of so many bytes.
    FailsAtLength(usize),
}

impl Misbehaving {
    async fn that(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (calls, broken_off) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let (counted, told) = (Arc::clone(&calls), Arc::clone(&broken_off));
        TaskTracker::new().spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                misbehave(manner, stream, &counted, &told).await;
            }
        });
        Self { address, calls, broken_off }
    }

    fn break_off(&self) {
        self.broken_off.notify_one();
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}

async fn misbehave(manner: Manner, stream: TcpStream, calls: &AtomicUsize, told: &Notify) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((_, answer))) = connection.accept().await {
        calls.fetch_add(1, Ordering::Relaxed);
        match manner {
            Manner::BreaksOff => return,
            Manner::BreaksOffMidway => return break_off_midway(connection, answer, told).await,
            Manner::Refuses => refuse(answer),
            Manner::TellsNoStatus => tell_no_status(answer),
            Manner::FailsAtLength(bytes) => fail(answer, &"x".repeat(bytes)),
        }
    }
}

async fn break_off_midway(
    mut connection: Connection<TcpStream, Bytes>,
    mut answer: SendResponse<Bytes>,
    told: &Notify,
) {
    let mut body = answer.send_response(Response::default(), false).unwrap();
    body.send_data(Bytes::from_static(b"\0\0\0\0\x01."), false).unwrap();
    tokio::select! {
        _ = connection.accept() => {}
        () = told.notified() => {}
    }
}

fn refuse(mut answer: SendResponse<Bytes>) {
    answer.send_reset(h2::Reason::REFUSED_STREAM);
}

fn tell_no_status(mut answer: SendResponse<Bytes>) {
    let mut body = answer.send_response(Response::default(), false).unwrap();
    body.send_data(Bytes::from_static(b"\0\0\0\0\x01."), true).unwrap();
}

fn fail(mut answer: SendResponse<Bytes>, message: &str) {
    let response = Response::builder().header("grpc-status", "3").header("grpc-message", message);
    answer.send_response(response.body(()).unwrap(), true).unwrap();
}

#[tokio::test]
async fn a_call_that_a_replica_may_have_seen_is_not_repeated() {
    let replica = Misbehaving::that(Manner::BreaksOff).await;
    let stage = Stage::set(&[replica.address]).await;
    let answer = stage.call().await.unwrap();
    assert_eq!(answer.grpc_status(), "14");
    let message = answer.headers["grpc-message"].to_str().unwrap();
    assert!(message.contains("broke%20before%20it%20answered"), "{message}");
    assert_eq!(replica.calls(), 1);
}

#[tokio::test]
async fn a_call_that_a_replica_refused_unseen_is_refused_so_that_its_caller_repeats_it() {
    let replica = Misbehaving::that(Manner::Refuses).await;
    let stage = Stage::set(&[replica.address]).await;
    let error = stage.call().await.err().unwrap();
    let cause = std::error::Error::source(&error).unwrap();
    let reason = cause.downcast_ref::<h2::Error>().unwrap().reason();
    assert_eq!(reason, Some(h2::Reason::REFUSED_STREAM));
    assert_eq!(replica.calls(), 1);
    stage.counted("UNAVAILABLE", 1).await;
}

#[tokio::test]
async fn an_answer_that_is_cut_short_ends_as_unavailable() {
    let replica = Misbehaving::that(Manner::BreaksOffMidway).await;
    let stage = Stage::set(&[replica.address]).await;
    let mut sender = stage.connect().await;
    let request = grpc().body(Empty::new()).unwrap();
    let mut body = sender.send_request(request).await.unwrap().into_body();
    assert!(body.frame().await.unwrap().unwrap().is_data());
    replica.break_off();
    let trailers = body.frame().await.unwrap().unwrap().into_trailers().unwrap();
    let status = tonic::Status::from_header_map(&trailers).unwrap();
    assert_eq!(status.code(), tonic::Code::Unavailable);
    assert!(status.message().ends_with("broke before its answer ended"), "{status}");
    assert!(body.frame().await.is_none());
    stage.counted("UNAVAILABLE", 1).await;
}

#[tokio::test]
async fn an_answer_without_a_status_is_counted_as_unknown() {
    let replica = Misbehaving::that(Manner::TellsNoStatus).await;
    let stage = Stage::set(&[replica.address]).await;
    stage.call().await.unwrap();
    stage.counted("UNKNOWN", 1).await;
}

#[tokio::test]
async fn a_long_refusal_comes_through() {
    let replica = Misbehaving::that(Manner::FailsAtLength(100_000)).await;
    let stage = Stage::set(&[replica.address]).await;
    let answer = stage.call().await.unwrap();
    assert_eq!((answer.grpc_status(), answer.headers["grpc-message"].len()), ("3", 100_000));
}
