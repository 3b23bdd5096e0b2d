//! Calls succeed while connections end and services stop, restart or lose their vendor.

use std::time::Duration;

use plugin_core::testing::Dialect;
use tests::golden::{Flyte, Golden};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, timeout},
};

use crate::stage::{Stage, replica};

fn task() -> serde_json::Value {
    Golden::read(Flyte::V1, "bq_scalars").unwrap().json
}

#[tokio::test]
async fn failed_polls_return_the_last_known_phase() {
    for dialect in Dialect::ALL {
        let stage = Stage::set().await;
        let client = stage.client(dialect).await;
        let handle = client.create(&task()).await.unwrap();
        assert_eq!(client.get(&task(), &handle).await.unwrap().phase, "QUEUED");
        let before = stage.fake.requests();
        let hasty = client.clone().with_timeout(Duration::from_secs(2));
        stage.fake.fail_with([503; 1000]);
        for _ in 0..6 {
            let seen = hasty.get(&task(), &handle).await.unwrap();
            assert_eq!(seen.phase, "QUEUED", "the last known phase");
            assert!(seen.message.starts_with("last known state"), "{}", seen.message);
            assert!(!seen.links.is_empty(), "the last known links");
        }
        assert!(stage.fake.requests() - before >= 6);
        stage.fake.fail_with([]);
        // An upstream that failed every call is probed once a second.
        let recovered = async {
            while client.get(&task(), &handle).await.unwrap().phase != "RUNNING" {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        timeout(Duration::from_secs(10), recovered).await.unwrap();
    }
}

#[tokio::test]
async fn restarted_service_finds_existing_jobs() {
    let stage = Stage::set().await;
    let handle = stage.client(Dialect::Flyte1).await.create(&task()).await.unwrap();
    let Stage { fake, service } = stage;
    service.stop().await;
    let restarted = replica(&fake, &[]).await;
    for dialect in Dialect::ALL {
        let client = restarted.client(dialect, "propeller").await;
        assert!(client.get(&task(), &handle).await.is_ok());
    }
}

#[tokio::test]
async fn shutdown_waits_for_running_creates() {
    let stage = Stage::set().await;
    stage.fake.hold_inserts();
    let client = stage.client(Dialect::Flyte1).await;
    let task = task();
    let Stage { fake, service } = stage;
    let api = service.api();
    let create = client.create(&task);
    let stop = async {
        while fake.jobs() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let stopping = service.stop();
        let release = async {
            while TcpStream::connect(api).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            fake.release_inserts();
        };
        tokio::join!(stopping, release);
    };
    let (created, ()) = tokio::join!(create, stop);
    assert!(created.is_ok(), "{created:?}");
}

#[tokio::test]
async fn connection_age_limit_fails_no_call() {
    let stage = Stage::set_with(Default::default(), &["--connection-age=200ms"]).await;
    // Not tonic's client, which fails a call that was not yet sent when the GOAWAY arrived.
    let http = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let url = format!("http://{}/plugins/v1", stage.service.api());
    let token = stage.service.token("propeller");
    let call = async || {
        let answer = http.get(&url).bearer_auth(&token).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.remote_addr().unwrap();
    };
    let until = Instant::now() + Duration::from_secs(2);
    while Instant::now() < until {
        call().await;
    }
    assert!(stage.service.metric("plugin_connections_total").await >= 8.0);
}

#[tokio::test]
async fn silent_connection_is_closed() {
    let stage = Stage::set().await;
    let half_preface = b"PRI * HTTP/2.0\r\n".as_slice();
    let half_head = b"GET / HTTP/1.1\r\nhost: x\r\nx-slow: 1".as_slice();
    let closed = async |sent: &[u8], within: u64| {
        let mut stream = TcpStream::connect(stage.service.api()).await.unwrap();
        stream.write_all(sent).await.unwrap();
        let mut rest = Vec::new();
        let read = timeout(Duration::from_secs(within), stream.read_to_end(&mut rest)).await;
        assert!(read.is_ok(), "still open after {within} s: {:?}", String::from_utf8_lossy(sent));
    };
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".as_slice();
    tokio::join!(
        closed(b"", 12),
        closed(half_preface, 12),
        closed(preface, 12),
        closed(half_head, 12)
    );
}

#[tokio::test]
async fn recently_created_missing_job_is_queued() {
    let stage = Stage::set().await;
    let client = stage.client(Dialect::Flyte1).await;
    let handle = client.create(&task()).await.unwrap();
    stage.fake.forget_jobs();
    let seen = client.get(&task(), &handle).await.unwrap();
    assert_eq!(seen.phase, "QUEUED", "{}", seen.message);
    assert!(!seen.links.is_empty(), "its link is derived from its ids");
    let again = client.delete(&task(), &handle).await.unwrap_err();
    assert_eq!(again.code, 14, "it may still start: {}", again.message);
    let old = stage.service.aged(&handle, Duration::from_secs(60));
    client.delete(&task(), &old).await.expect("there is nothing to stop");
    assert_eq!(client.get(&task(), &old).await.unwrap().phase, "FAILED");
}

#[tokio::test]
async fn draining_service_is_not_serving_for_every_probe() {
    let stage = Stage::set_with(Default::default(), &["--drain-delay=2s"]).await;
    let (api, admin) = (stage.service.api(), stage.service.admin());
    let channel = || async move {
        let endpoint = tonic::transport::Channel::from_shared(format!("http://{api}")).unwrap();
        endpoint.connect().await.unwrap()
    };
    let health = async |service: &str| {
        // HealthCheckRequest{service} and HealthCheckResponse{status}, encoded by hand.
        let request = [&[10, u8::try_from(service.len()).unwrap()], service.as_bytes()].concat();
        let method = "/grpc.health.v1.Health/Check";
        crate::raw::call(channel().await, method, request, None).await.unwrap()
    };
    let services = [
        "",
        "flyteidl.service.AsyncAgentService",
        "flyteidl2.connector.AsyncConnectorService",
        "grpc.health.v1.Health",
    ];
    for service in services {
        assert_eq!(health(service).await, [8, 1].as_slice(), "{service:?} is serving");
    }
    let draining = async {
        let readyz = format!("http://{admin}/readyz");
        while reqwest::get(&readyz).await.unwrap().status() != 503 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        for service in services {
            assert_eq!(health(service).await, [8, 2].as_slice(), "{service:?} is not serving");
        }
    };
    let Stage { fake: _fake, service } = stage;
    tokio::join!(service.stop(), draining);
}
