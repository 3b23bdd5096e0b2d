//! Connections and streams that carry no call, and a log that nobody reads.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{
    Stream, StreamExt as _,
    future::{join_all, ready},
    stream::{once, pending},
};
use http::uri::PathAndQuery;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{sleep, timeout},
};
use tonic::{Code, Request, Status, Streaming, transport::Channel};

use crate::{
    program::{ANYWHERE, Running, output},
    raw::Raw,
    stage::Stage,
};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
const WATCH: &str = "/grpc.health.v1.Health/Watch";
/// `HealthCheckResponse`, encoded by hand.
const SERVING: &[u8] = &[8, 1];
const NOT_SERVING: &[u8] = &[8, 2];
const SERVICE_UNKNOWN: &[u8] = &[8, 3];

async fn channel(address: impl std::fmt::Display) -> Channel {
    Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
}

/// The stream of `method`.
async fn stream(
    channel: &Channel,
    method: &'static str,
    request: Request<impl Stream<Item = Bytes> + Send + 'static>,
) -> Result<Streaming<Bytes>, Status> {
    let mut grpc = tonic::client::Grpc::new(channel.clone());
    grpc.ready().await.unwrap();
    let path = PathAndQuery::from_static(method);
    Ok(grpc.streaming(request, path, Raw).await?.into_inner())
}

async fn start() -> Running {
    let emulator = [("BIGQUERY_EMULATOR_HOST", "127.0.0.1:1")];
    Running::start("bigquery", &["--insecure-no-auth", "--drain-delay=0s"], &emulator).await
}

async fn watch(channel: &Channel, service: &str) -> Result<Streaming<Bytes>, Status> {
    let length = u8::try_from(service.len()).unwrap();
    let message = [&[10, length], service.as_bytes()].concat();
    stream(channel, WATCH, Request::new(once(ready(Bytes::from(message))))).await
}

/// A reflection stream that its client keeps open.
async fn reflection(channel: &Channel, token: &str) -> Streaming<Bytes> {
    const METHOD: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    // ServerReflectionRequest{list_services}
    let list = once(ready(Bytes::from_static(b"\x3a\x00")));
    let mut request = Request::new(list.chain(pending()));
    let token = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", token);
    stream(channel, METHOD, request).await.unwrap()
}

#[tokio::test]
async fn frames_without_a_request_do_not_keep_a_connection() {
    let stage = Stage::set().await;
    let ping = [[0, 0, 8, 6, 0, 0, 0, 0, 0].as_slice(), &[7; 8]].concat();
    let closed = async |frames: Vec<u8>| {
        let stream = TcpStream::connect(stage.service.api()).await.unwrap();
        let (mut reader, mut writer) = stream.into_split();
        writer.write_all(&[PREFACE, SETTINGS].concat()).await.unwrap();
        // Without a pause: the connection's task always has something to read.
        let flood = async { while writer.write_all(&frames).await.is_ok() {} };
        let mut read = vec![0; 1 << 16];
        let reading = async { while reader.read(&mut read).await.is_ok_and(|read| read > 0) {} };
        let ended = async {
            tokio::select! { () = flood => {} () = reading => {} }
        };
        assert!(timeout(Duration::from_secs(15), ended).await.is_ok(), "still open");
    };
    tokio::join!(closed(Vec::from(&ping[..])), closed(SETTINGS.repeat(10)));
}

#[tokio::test]
async fn readiness_fails_while_every_connection_is_taken() {
    let stage = Stage::set_with(Default::default(), &["--max-connections=3"]).await;
    let readyz = format!("http://{}/readyz", stage.service.admin());
    let becomes = async |status: u16| {
        loop {
            let answer = reqwest::get(&readyz).await.unwrap();
            if answer.status() == status {
                return answer.text().await.unwrap();
            }
            sleep(Duration::from_millis(5)).await;
        }
    };
    assert_eq!(becomes(200).await, "ok\n");
    let connecting = (0..3).map(|_| TcpStream::connect(stage.service.api()));
    let taken = join_all(connecting).await;
    assert_eq!(becomes(503).await, "every connection is taken (--max-connections)\n");
    assert!(stage.service.metric("plugin_open_connections").await >= 3.0);
    drop(taken);
    assert_eq!(becomes(200).await, "ok\n");
    stage.metric_reaches("plugin_connections_total", 3.0).await;
}

#[tokio::test]
async fn a_watch_of_an_unknown_service_says_so_and_stays_open() {
    let stage = Stage::set().await;
    let channel = channel(stage.service.api()).await;
    let mut unknown = watch(&channel, "acme.Unknown").await.unwrap();
    assert_eq!(unknown.message().await.unwrap().unwrap(), SERVICE_UNKNOWN);
    let next = timeout(Duration::from_millis(200), unknown.message()).await;
    assert!(next.is_err(), "the stream goes on: {next:?}");
    let check = "/grpc.health.v1.Health/Check";
    let refused = crate::raw::call(channel, check, b"\x0a\x04acme".to_vec(), None).await;
    assert_eq!(refused.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn watches_report_the_drain_and_end_with_it() {
    let stage = Stage::set_with(Default::default(), &["--drain-delay=1s"]).await;
    let channel = channel(stage.service.api()).await;
    let token = stage.service.token("propeller");
    let mut known = watch(&channel, "flyteidl.service.AsyncAgentService").await.unwrap();
    let mut unknown = watch(&channel, "acme.Unknown").await.unwrap();
    let mut listing = reflection(&channel, &token).await;
    assert_eq!(known.message().await.unwrap().unwrap(), SERVING);
    assert_eq!(unknown.message().await.unwrap().unwrap(), SERVICE_UNKNOWN);
    assert!(listing.message().await.unwrap().is_some());
    let Stage { fake: _fake, service } = stage;
    let streams = async {
        assert_eq!(known.message().await.unwrap().unwrap(), NOT_SERVING);
        for mut stream in [known, unknown, listing] {
            assert_eq!(stream.message().await.unwrap_err().code(), Code::Unavailable);
        }
    };
    let stopped = async { tokio::join!(service.stop(), streams) };
    timeout(Duration::from_secs(10), stopped).await.expect("streams delay nothing");
}

#[tokio::test]
async fn endless_streams_are_limited_and_checks_are_not() {
    let stage = Stage::set().await;
    let api = stage.service.api();
    let channels = join_all((0..5).map(|_| channel(api))).await;
    let opening = channels.iter().flat_map(|channel| (0..200).map(|_| watch(channel, "")));
    let open = join_all(opening).await.into_iter().collect::<Result<Vec<_>, _>>().unwrap();
    assert_eq!(open.len(), 1000);
    let refused = watch(&channels[0], "").await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
    let check = "/grpc.health.v1.Health/Check";
    let healthy = crate::raw::call(channels[0].clone(), check, Vec::new(), None).await.unwrap();
    assert_eq!(healthy, SERVING);
    drop(open);
    let freed = async {
        while watch(&channels[0], "").await.is_err() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(10), freed).await.expect("permits return");
}

#[tokio::test]
async fn nothing_but_calls_delays_the_end() {
    let running = start().await;
    let half_head = b"GET / HTTP/1.1\r\nhost: x\r\nx-slow: 1".as_slice();
    let preface = [PREFACE, SETTINGS].concat();
    let mut open = Vec::new();
    for sent in [b"".as_slice(), &PREFACE[..16], &preface, half_head] {
        let mut stream = TcpStream::connect(&running.api).await.unwrap();
        stream.write_all(sent).await.unwrap();
        open.push(stream);
    }
    let channel = channel(&running.api).await;
    let mut watched = watch(&channel, "").await.unwrap();
    assert_eq!(watched.message().await.unwrap().unwrap(), SERVING);
    let ended = timeout(Duration::from_secs(4), running.terminate()).await;
    let (code, log) = ended.expect("nothing is waited for");
    assert_eq!(code, Some(0), "{log}");
}

#[tokio::test]
async fn a_log_that_nobody_reads_stops_no_call() {
    let running = start().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let level = format!("http://{}/log-level", running.admin);
    http.put(level).body("trace").send().await.unwrap().error_for_status().unwrap();
    let url = |address: &str, path: &str| format!("http://{address}{path}");
    let ok = async |url: String| {
        let answer = http.get(url).send().await.unwrap().error_for_status();
        answer.unwrap().text().await.unwrap()
    };
    let dropping = async {
        loop {
            for _ in 0..50 {
                ok(url(&running.api, "/plugins/v1")).await;
            }
            assert_eq!(ok(url(&running.admin, "/livez")).await, "ok\n");
            let metrics = ok(url(&running.admin, "/metrics")).await;
            let name = "plugin_log_lines_dropped_total ";
            let dropped = metrics.lines().find_map(|line| line.strip_prefix(name));
            if dropped.is_some_and(|dropped| dropped != "0") {
                return;
            }
        }
    };
    timeout(Duration::from_secs(60), dropping).await.expect("calls are answered, lines dropped");
    assert_eq!(running.terminate_unread().await, Some(0));
}

#[tokio::test]
async fn the_log_is_complete_when_a_program_cannot_start() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let emulator = [("BIGQUERY_EMULATOR_HOST", "127.0.0.1:1")];
    let listen = format!("--listen={}", taken.local_addr().unwrap());
    let (code, text) =
        output("bigquery", &["--insecure-no-auth", &listen, ANYWHERE[1]], &emulator).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("anyone who can reach this port may submit jobs"), "{text}");
    assert!(text.contains("cannot listen on"), "{text}");
}
