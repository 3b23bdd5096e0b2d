//! Calls to replicas that do not respond, or not correctly.

use std::sync::atomic::{AtomicUsize, Ordering};

use h2::server::{Connection, SendResponse};
use http::Response;
use tokio::{net::TcpListener, sync::Notify};

use super::*;

/// A replica that treats every call in the same way.
struct Misbehaving {
    address: SocketAddr,
    calls: Arc<AtomicUsize>,
    disconnect: Arc<Notify>,
}

/// How it treats a call.
#[derive(Clone, Copy)]
enum Behaviour {
    /// Closes the connection.
    Disconnect,
    /// Sends part of a response, and closes the connection on request.
    DisconnectMidway,
    /// Reports that it has not processed the call.
    Refuse,
    /// Responds without a status.
    OmitStatus,
    /// Fails the call with a message of this many bytes.
    FailWithMessage(usize),
}

impl Misbehaving {
    async fn that(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (calls, disconnect) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let (counter, notified) = (Arc::clone(&calls), Arc::clone(&disconnect));
        TaskTracker::new().spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                misbehave(behaviour, stream, &counter, &notified).await;
            }
        });
        Self { address, calls, disconnect }
    }

    fn disconnect(&self) {
        self.disconnect.notify_one();
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}

async fn misbehave(
    behaviour: Behaviour,
    stream: TcpStream,
    calls: &AtomicUsize,
    disconnect: &Notify,
) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((_, answer))) = connection.accept().await {
        calls.fetch_add(1, Ordering::Relaxed);
        match behaviour {
            Behaviour::Disconnect => return,
            Behaviour::DisconnectMidway => {
                return disconnect_midway(connection, answer, disconnect).await;
            }
            Behaviour::Refuse => refuse(answer),
            Behaviour::OmitStatus => omit_status(answer),
            Behaviour::FailWithMessage(bytes) => fail(answer, &"x".repeat(bytes)),
        }
    }
}

async fn disconnect_midway(
    mut connection: Connection<TcpStream, Bytes>,
    mut answer: SendResponse<Bytes>,
    disconnect: &Notify,
) {
    let mut body = answer.send_response(Response::default(), false).unwrap();
    body.send_data(Bytes::from_static(b"\0\0\0\0\x01."), false).unwrap();
    tokio::select! {
        _ = connection.accept() => {}
        () = disconnect.notified() => {}
    }
}

fn refuse(mut answer: SendResponse<Bytes>) {
    answer.send_reset(h2::Reason::REFUSED_STREAM);
}

fn omit_status(mut answer: SendResponse<Bytes>) {
    let mut body = answer.send_response(Response::default(), false).unwrap();
    body.send_data(Bytes::from_static(b"\0\0\0\0\x01."), true).unwrap();
}

fn fail(mut answer: SendResponse<Bytes>, message: &str) {
    let response = Response::builder().header("grpc-status", "3").header("grpc-message", message);
    answer.send_response(response.body(()).unwrap(), true).unwrap();
}

#[tokio::test]
async fn possibly_processed_call_is_not_repeated() {
    let replica = Misbehaving::that(Behaviour::Disconnect).await;
    let stage = Stage::set(&[replica.address]).await;
    let answer = stage.call().await.unwrap();
    assert_eq!(answer.grpc_status(), "14");
    let message = answer.headers["grpc-message"].to_str().unwrap();
    assert!(message.contains("broke%20before%20it%20responded"), "{message}");
    assert_eq!(replica.calls(), 1);
}

#[tokio::test]
async fn refused_call_is_refused_to_its_caller() {
    let replica = Misbehaving::that(Behaviour::Refuse).await;
    let stage = Stage::set(&[replica.address]).await;
    let error = stage.call().await.err().unwrap();
    let cause = std::error::Error::source(&error).unwrap();
    let reason = cause.downcast_ref::<h2::Error>().unwrap().reason();
    assert_eq!(reason, Some(h2::Reason::REFUSED_STREAM));
    assert_eq!(replica.calls(), 1);
    stage.counted("UNAVAILABLE", 1).await;
}

#[tokio::test]
async fn incomplete_response_ends_as_unavailable() {
    let replica = Misbehaving::that(Behaviour::DisconnectMidway).await;
    let stage = Stage::set(&[replica.address]).await;
    let mut sender = stage.connect().await;
    let request = grpc().body(Empty::new()).unwrap();
    let mut body = sender.send_request(request).await.unwrap().into_body();
    assert!(body.frame().await.unwrap().unwrap().is_data());
    replica.disconnect();
    let trailers = body.frame().await.unwrap().unwrap().into_trailers().unwrap();
    let status = tonic::Status::from_header_map(&trailers).unwrap();
    assert_eq!(status.code(), tonic::Code::Unavailable);
    assert!(status.message().ends_with("broke before its response was complete"), "{status}");
    assert!(body.frame().await.is_none());
    stage.counted("UNAVAILABLE", 1).await;
}

#[tokio::test]
async fn response_without_a_status_is_counted_as_unknown() {
    let replica = Misbehaving::that(Behaviour::OmitStatus).await;
    let stage = Stage::set(&[replica.address]).await;
    stage.call().await.unwrap();
    stage.counted("UNKNOWN", 1).await;
}

#[tokio::test]
async fn long_error_message_is_forwarded() {
    let replica = Misbehaving::that(Behaviour::FailWithMessage(100_000)).await;
    let stage = Stage::set(&[replica.address]).await;
    let answer = stage.call().await.unwrap();
    assert_eq!((answer.grpc_status(), answer.headers["grpc-message"].len()), ("3", 100_000));
}
