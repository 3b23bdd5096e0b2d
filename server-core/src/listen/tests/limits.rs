//! How long a connection may stay open, by what its client sends.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::{Router, routing::get};
use http::Request;
use http_body::Frame;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
    time::Instant,
};

use super::*;
use crate::listen::activity::Activity;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Frames by RFC 9113 §4.1.
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
const PING: &[u8] = &[0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
const WINDOW_UPDATE: &[u8] = &[0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0, 1];
/// `GET http:/` on stream 1, which it ends; by RFC 7541 appendix A.
const GET: &[u8] = &[0, 0, 3, 1, 5, 0, 0, 0, 1, 0x82, 0x86, 0x84];
/// The same without its end: a CONTINUATION has to follow.
const HALF_HEADERS: &[u8] = &[0, 0, 3, 1, 1, 0, 0, 0, 1, 0x82, 0x86, 0x84];
/// SETTINGS with an initial window of 0: the client takes no bytes of a body.
const NO_WINDOW: &[u8] = &[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0];
const HEAD: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
const ENDLESS_HEAD: &[u8] = b"GET /endless HTTP/1.1\r\nhost: x\r\n\r\n";
const HALF_HEAD: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\nx-slow: ";
const MINUTE: Duration = Duration::from_secs(60);

/// What a client may send that is no request.
const NO_REQUEST: [&[&[u8]]; 6] = [
    &[],
    &[b"PRI * HTTP/2.0\r\n"],
    &[PREFACE],
    &[PREFACE, SETTINGS],
    &[PREFACE, SETTINGS, HALF_HEADERS],
    &[HALF_HEAD],
];

/// A body that goes on for ever, as that of a health watch does.
struct Endless;

impl Body for Endless {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Poll::Pending
    }
}

/// A service that answers `/` at once, `/slow` after a minute, and `/endless` without an end.
fn service() -> Router {
    let slow = get(async || {
        sleep(MINUTE).await;
        "done"
    });
    let endless = get(async || axum::body::Body::new(Endless));
    Router::new().route("/", get(async || "ok")).route("/slow", slow).route("/endless", endless)
}

/// A connection to it.
fn connect(connections: &Connections) -> DuplexStream {
    let (ours, theirs) = duplex(1 << 16);
    let activity = Activity::new(Instant::now(), connections.http1_idle, connections.grace);
    let serving = connections.clone().serve_http(theirs, Peer::default(), activity, service());
    connections.tasks.spawn(serving);
    ours
}

/// How long the connection lasts from now on.
async fn lasts(stream: &mut DuplexStream) -> f64 {
    let began = Instant::now();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    began.elapsed().as_secs_f64()
}

/// Reads a response of HTTP/1.1 whose body is `ok`.
async fn response(stream: &mut DuplexStream) -> String {
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\nok") {
        read.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(read).unwrap()
}

#[tokio::test(start_paused = true)]
async fn connections_without_a_request_close_after_ten_seconds() {
    for sent in NO_REQUEST {
        let mut stream = connect(&connections());
        stream.write_all(&sent.concat()).await.unwrap();
        let lasted = lasts(&mut stream).await;
        assert!((10.0..12.0).contains(&lasted), "{sent:?}: {lasted} s");
    }
}

#[tokio::test(start_paused = true)]
async fn frames_and_bytes_of_a_head_do_not_extend_the_time_to_the_first_request() {
    for (begin, repeated) in [
        ([PREFACE, SETTINGS].concat(), PING),
        ([PREFACE, SETTINGS].concat(), SETTINGS),
        ([PREFACE, SETTINGS].concat(), WINDOW_UPDATE),
        (HALF_HEAD.to_vec(), b"x"),
    ] {
        let (mut reader, mut writer) = tokio::io::split(connect(&connections()));
        let began = Instant::now();
        writer.write_all(&begin).await.unwrap();
        let repeating = async {
            while writer.write_all(repeated).await.is_ok() {
                sleep(Duration::from_millis(500)).await;
            }
        };
        let mut rest = Vec::new();
        let _ = tokio::join!(repeating, reader.read_to_end(&mut rest));
        let lasted = began.elapsed().as_secs_f64();
        assert!((10.0..12.0).contains(&lasted), "{repeated:?}: {lasted} s");
    }
}

#[tokio::test(start_paused = true)]
async fn heads_of_http1_are_limited_as_those_of_http2_are() {
    for (kilobytes, status) in [(60, "200"), (66, "431"), (400, "431")] {
        let (mut reader, mut writer) = tokio::io::split(connect(&connections()));
        let sending = async {
            writer.write_all(HALF_HEAD).await?;
            writer.write_all(&vec![b'x'; kilobytes << 10]).await?;
            writer.write_all(b"\r\nconnection: close\r\n\r\n").await
        };
        let mut response = String::new();
        let (_, read) = tokio::join!(sending, reader.read_to_string(&mut response));
        read.unwrap();
        let expected = format!("HTTP/1.1 {status}");
        assert!(response.starts_with(&expected), "{kilobytes} KiB: {response}");
    }
}

#[tokio::test(start_paused = true)]
async fn silent_tls_handshakes_end_after_ten_seconds() {
    let directory = tempfile::tempdir().unwrap();
    let (certificate, key) = (directory.path().join("tls.crt"), directory.path().join("tls.key"));
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&certificate, signed.cert.pem()).unwrap();
    std::fs::write(&key, signed.signing_key.serialize_pem()).unwrap();
    let tls = crate::tls::ServerCertificate::read(certificate, key).await.unwrap();
    // The header of a record whose contents never come.
    for sent in [&[][..], &[22, 3, 1, 2, 0]] {
        let (mut ours, theirs) = duplex(1024);
        ours.write_all(sent).await.unwrap();
        let connections = connections();
        let began = Instant::now();
        assert!(connections.secured(&tls, theirs).await.is_none());
        assert_eq!(began.elapsed().as_secs(), 10, "{sent:?}");
        let (_ours, theirs) = duplex(1024);
        connections.stop.cancel();
        let began = Instant::now();
        assert!(connections.secured(&tls, theirs).await.is_none());
        assert_eq!(began.elapsed(), Duration::ZERO, "{sent:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn http1_clients_may_poll_every_minute() {
    let mut stream = connect(&connections());
    for _ in 0..5 {
        stream.write_all(HEAD).await.unwrap();
        assert!(response(&mut stream).await.starts_with("HTTP/1.1 200"));
        sleep(MINUTE).await;
    }
    let lasted = lasts(&mut stream).await;
    assert!((15.0..16.0).contains(&lasted), "75 s after the last request, in {lasted} s");
}

#[tokio::test(start_paused = true)]
async fn an_aged_http1_connection_ends_with_a_response_that_says_so() {
    let mut stream = connect(&Connections { age: Some(MINUTE), ..connections() });
    for last in [false, true] {
        stream.write_all(HEAD).await.unwrap();
        let response = response(&mut stream).await;
        assert_eq!(response.contains("connection: close"), last, "{response}");
        sleep(Duration::from_secs(70)).await;
    }
    assert!(lasts(&mut stream).await < 0.1);
    let mut idle = connect(&Connections { age: Some(MINUTE), ..connections() });
    idle.write_all(HEAD).await.unwrap();
    let lasted = lasts(&mut idle).await;
    assert!((75.0..76.0).contains(&lasted), "{lasted} s");
}

#[tokio::test(start_paused = true)]
async fn a_response_under_way_ends_after_age_and_grace() {
    for head in [HEAD, ENDLESS_HEAD] {
        let mut stream = connect(&Connections { age: Some(MINUTE), ..connections() });
        stream.write_all(head).await.unwrap();
        stream.read_u8().await.unwrap();
        sleep(Duration::from_secs(1)).await;
        stream.write_all(ENDLESS_HEAD).await.unwrap();
        let lasted = 1.0 + lasts(&mut stream).await;
        assert!((89.0..102.0).contains(&lasted), "60, 30 and 5 s, in {lasted} s");
    }
}

#[tokio::test(start_paused = true)]
async fn each_request_on_an_aged_connection_has_the_grace() {
    let grace = MINUTE;
    for begins in [1, 50, 130] {
        let aged =
            Connections { age: Some(MINUTE), grace, http1_idle: 3 * MINUTE, ..connections() };
        let mut stream = connect(&aged);
        stream.write_all(HEAD).await.unwrap();
        response(&mut stream).await;
        sleep(Duration::from_secs(begins)).await;
        stream.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut read = vec![0; 1000];
        let length = stream.read(&mut read).await.unwrap();
        let response = String::from_utf8_lossy(&read[..length]);
        assert!(response.ends_with("done"), "begins after {begins} s: {response}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_further_head_has_ten_seconds_from_its_first_byte() {
    let mut stream = connect(&connections());
    stream.write_all(HEAD).await.unwrap();
    response(&mut stream).await;
    sleep(MINUTE).await;
    let (slow, rest) = HEAD.split_at(20);
    stream.write_all(slow).await.unwrap();
    sleep(Duration::from_secs(9)).await;
    stream.write_all(rest).await.unwrap();
    assert!(response(&mut stream).await.starts_with("HTTP/1.1 200"));
    stream.write_all(HALF_HEAD).await.unwrap();
    let lasted = lasts(&mut stream).await;
    assert!((10.0..12.0).contains(&lasted), "{lasted} s");
}

#[tokio::test(start_paused = true)]
async fn idle_http2_connections_stay_while_they_answer_pings() {
    let connections = connections();
    let stream = TokioIo::new(connect(&connections));
    let (mut sender, connection) =
        http2::handshake::<_, _, Empty<Bytes>>(TokioExecutor::new(), stream).await.unwrap();
    connections.tasks.spawn(async { drop(connection.await) });
    for _ in 0..3 {
        let request = Request::get("http://x/").body(Empty::new()).unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "ok");
        sleep(5 * MINUTE).await;
    }
}

#[tokio::test(start_paused = true)]
async fn http2_connections_that_answer_no_ping_are_closed() {
    let mut stream = connect(&connections());
    stream.write_all(&[PREFACE, SETTINGS, GET].concat()).await.unwrap();
    let lasted = lasts(&mut stream).await;
    assert!((60.0..82.0).contains(&lasted), "{lasted} s");
}

#[tokio::test(start_paused = true)]
async fn what_has_no_request_in_progress_closes_at_once_on_stop() {
    let answered: [&[&[u8]]; 3] = [&[PREFACE, SETTINGS, GET], &[HEAD], &[HEAD, HALF_HEAD]];
    for sent in NO_REQUEST.into_iter().chain(answered) {
        let connections = connections();
        let mut stream = connect(&connections);
        stream.write_all(&sent.concat()).await.unwrap();
        sleep(Duration::from_secs(1)).await;
        connections.stop.cancel();
        let lasted = lasts(&mut stream).await;
        assert!(lasted < 1.1, "{sent:?}: {lasted} s");
    }
}

#[tokio::test(start_paused = true)]
async fn calls_in_progress_finish_on_stop() {
    let connections = Connections { grace: 2 * MINUTE, ..connections() };
    let mut http1 = connect(&connections);
    http1.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let http2 = TokioIo::new(connect(&connections));
    let (mut sender, connection) =
        http2::handshake::<_, _, Empty<Bytes>>(TokioExecutor::new(), http2).await.unwrap();
    connections.tasks.spawn(async { drop(connection.await) });
    let request = Request::get("http://x/slow").body(Empty::new()).unwrap();
    let stopping = async {
        sleep(Duration::from_secs(1)).await;
        connections.stop.cancel();
    };
    let (response, ()) = tokio::join!(sender.send_request(request), stopping);
    assert_eq!(response.unwrap().into_body().collect().await.unwrap().to_bytes(), "done");
    let mut rest = String::new();
    http1.read_to_string(&mut rest).await.unwrap();
    assert!(rest.ends_with("done"), "{rest}");
    connections.tasks.close();
    let began = Instant::now();
    connections.tasks.wait().await;
    assert!(began.elapsed() < Duration::from_secs(1), "nothing is left");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_no_response_delays_the_end_by_seconds() {
    let connections = connections();
    let mut stream = connect(&connections);
    stream.write_all(&[PREFACE, NO_WINDOW, GET].concat()).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    connections.stop.cancel();
    let lasted = lasts(&mut stream).await;
    assert!((4.9..6.0).contains(&lasted), "{lasted} s");
}

#[tokio::test(start_paused = true)]
async fn a_call_is_dropped_when_its_connection_exceeds_the_grace() {
    let connections = connections();
    let mut stream = connect(&connections);
    stream.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    sleep(Duration::from_secs(1)).await;
    connections.stop.cancel();
    let lasted = lasts(&mut stream).await;
    assert!((30.0..31.0).contains(&lasted), "{lasted} s");
}

#[tokio::test]
async fn open_connections_are_counted() {
    let (listener, address) = Listener::tcp(([127, 0, 0, 1], 0).into()).await.unwrap();
    let connections = connections();
    let (stop, tasks, open) =
        (connections.stop.clone(), connections.tasks.clone(), connections.open.clone());
    tasks.spawn(serve(listener, service(), connections));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(HEAD).await.unwrap();
    stream.read_u8().await.unwrap();
    assert_eq!(open.get(), 1);
    drop(stream);
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    assert_eq!(open.get(), 0);
}
