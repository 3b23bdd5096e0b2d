//! The `propeller-proxy` binary between callers without a token and services that require one.

use std::{net::SocketAddr, time::Duration};

use http::Method;
use plugin_core::testing::{CallError, Client, Dialect};
use serde_json::Value as Json;
use tempfile::NamedTempFile;
use tests::golden::{Flyte, Golden};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

use crate::{
    program::{command, output},
    stage::Stage,
    tls::Secured,
};

const UNAUTHENTICATED: i32 = tonic::Code::Unauthenticated as i32;
const UNAVAILABLE: i32 = tonic::Code::Unavailable as i32;

/// A running proxy with one route.
struct Proxy {
    child: Child,
    log: Lines<BufReader<ChildStdout>>,
    listen: SocketAddr,
    _token: NamedTempFile,
}

impl Proxy {
    async fn start(target: &str, token: &str, args: &[&str]) -> Self {
        let file = NamedTempFile::new().unwrap();
        std::fs::write(file.path(), token).unwrap();
        let route = format!("--route=127.0.0.1:0={target}");
        let token = format!("--token-file={}", file.path().display());
        let own = [&*route, &*token, "--admin-listen=127.0.0.1:0", "--drain-delay=0s"];
        let args = own.iter().chain(args).copied().collect::<Vec<_>>();
        let mut child = command("propeller-proxy", &args, &[]).spawn().unwrap();
        let mut log = BufReader::new(child.stdout.take().unwrap()).lines();
        let listen = timeout(Duration::from_secs(10), forwarding(&mut log))
            .await
            .expect("forwards within the timeout");
        Self { child, log, listen, _token: file }
    }

    /// A client without a token.
    async fn client(&self, dialect: Dialect) -> Client {
        Client::connect(dialect, self.listen, None).await
    }

    /// Sends SIGTERM and returns the exit code and the rest of the log.
    async fn terminate(mut self) -> (Option<i32>, String) {
        let id = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
        let mut rest = String::new();
        while let Some(line) = self.log.next_line().await.unwrap() {
            rest += &line;
        }
        let status = timeout(Duration::from_secs(10), self.child.wait())
            .await
            .expect("ends within the timeout");
        (status.unwrap().code(), rest)
    }
}

async fn forwarding(log: &mut Lines<BufReader<ChildStdout>>) -> SocketAddr {
    while let Some(line) = log.next_line().await.unwrap() {
        let line: Json = serde_json::from_str(&line).unwrap();
        if line["message"] == "forwarding" {
            return line["listen"].as_str().unwrap().parse().unwrap();
        }
    }
    panic!("the proxy ended early");
}

fn url_of(stage: &Stage) -> String {
    format!("http://{}", stage.service.api())
}

fn task() -> Json {
    Golden::read(Flyte::V1, "bq_scalars").unwrap().json
}

#[tokio::test]
async fn callers_without_a_token_are_served_through_the_proxy() {
    for dialect in [Dialect::Flyte1, Dialect::Flyte2] {
        let stage = Stage::set().await;
        let (target, token) = (url_of(&stage), stage.service.token("propeller"));
        let proxy = Proxy::start(&target, &token, &[]).await;
        let direct = Client::connect(dialect, stage.service.api(), None).await;
        let CallError { code, .. } = direct.create(&task()).await.unwrap_err();
        assert_eq!(code, UNAUTHENTICATED, "without the proxy");

        let client = proxy.client(dialect).await;
        let handle = client.create(&task()).await.unwrap();
        assert_eq!(client.get(&task(), &handle).await.unwrap().phase, "QUEUED");
        client.delete(&task(), &handle).await.unwrap();
    }
}

#[tokio::test]
async fn rest_requests_do_not_get_the_token() {
    let stage = Stage::set().await;
    let proxy = Proxy::start(&url_of(&stage), &stage.service.token("propeller"), &[]).await;
    let http2 = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build().unwrap();
    let path = "plugins/v1/bigquery_query_job_task/0";
    for method in [Method::PUT, Method::POST, Method::GET, Method::DELETE] {
        let url = format!("http://{}/{path}", proxy.listen);
        let request = http2.request(method.clone(), url).header("content-type", "application/grpc");
        let answer = request.body(task().to_string()).send().await.unwrap();
        let status = answer.headers().get("grpc-status").map(|status| status.to_str().unwrap());
        let refused = answer.status() == 405 || status == Some("12");
        assert!(refused, "{method}: {answer:?}");
    }
    assert_eq!(stage.fake.jobs(), 0);
}

#[tokio::test]
async fn metadata_of_sixteen_kilobytes_reaches_the_service() {
    let stage = Stage::set().await;
    let proxy = Proxy::start(&url_of(&stage), &stage.service.token("propeller"), &[]).await;
    let http2 = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build().unwrap();
    for bytes in [15_900, 40_000] {
        let url = format!("http://{}/grpc.health.v1.Health/Check", proxy.listen);
        let request = http2.post(url).header("content-type", "application/grpc");
        let request = request.header("te", "trailers").header("x-of-flyte", "x".repeat(bytes));
        let answer = request.body(vec![0; 5]).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.headers().get("grpc-status")), (200, None));
    }
}

#[tokio::test]
async fn rejected_token_fails_with_the_services_message() {
    let stage = Stage::set().await;
    let proxy = Proxy::start(&url_of(&stage), "no.real.token", &[]).await;
    let refused = proxy.client(Dialect::Flyte1).await.create(&task()).await.unwrap_err();
    assert_eq!(refused.code, UNAUTHENTICATED);
    assert!(refused.message.contains("token"), "{refused:?}");
    let (code, log) = proxy.terminate().await;
    assert_eq!(code, Some(0));
    assert!(!log.contains("no.real.token"), "{log}");
}

#[tokio::test]
async fn https_targets_are_called_over_tls() {
    let secured = Secured::start().await;
    let (url, token) = (secured.url("https"), secured.service.token("propeller"));
    let proxy = Proxy::start(&url, &token, &[&secured.ca_file()]).await;
    let client = proxy.client(Dialect::Flyte2).await;
    client.create(&task()).await.unwrap();
}

#[tokio::test]
async fn untrusted_certificate_is_reported_to_the_caller() {
    let (secured, other) = (Secured::start().await, Secured::start().await);
    let args = [other.ca_file(), "--wait=300ms".to_owned()];
    let proxy =
        Proxy::start(&secured.url("https"), "token", &args.each_ref().map(String::as_str)).await;
    let refused = proxy.client(Dialect::Flyte1).await.create(&task()).await.unwrap_err();
    assert_eq!(refused.code, UNAVAILABLE);
    assert!(
        refused.message.contains("is reachable: TLS handshake failed: invalid peer certificate"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn invalid_settings_are_reported() {
    let route = "--route=127.0.0.1:0=dns:///bigquery:8000";
    for (args, expected, message) in [
        (&["--token-file=/token"][..], 2, "--route <LISTEN=TARGET>"),
        (&[route], 2, "--token-file <FILE>"),
        (&["--route=bigquery:8000", "--token-file=/token"], 2, "expected LISTEN=TARGET"),
        (&["--route=unix://foo=dns:///h:1", "--token-file=/token"], 2, "has no absolute path"),
        (&[route, "--token-file=/nowhere/token"], 1, "/nowhere/token cannot be read"),
    ] {
        let (code, output) = output("propeller-proxy", args, &[]).await;
        assert_eq!(code, Some(expected), "{output}");
        assert!(output.contains(message), "{output}");
    }
}
