use clap::Command;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_util::task::TaskTracker;

use super::*;
use crate::run::command::{finished, with_shared};

/// Settings of which one is required.
#[derive(Debug, Args)]
struct Required {
    #[arg(long, env = "HEALTH_CHECK_TESTS_ACCOUNTS", required = true)]
    accounts: Option<String>,
}

fn parse(line: &[&str]) -> Result<HealthCheck, clap::Error> {
    let command = finished(with_args::<Required>(with_shared(Command::new("acme"))));
    let matches = command.try_get_matches_from([&["acme"], line].concat())?;
    Ok(HealthCheck::requested(&matches)?.unwrap())
}

fn url_of(line: &[&str]) -> String {
    parse(line).unwrap().url.unwrap().to_string()
}

#[test]
fn required_settings_are_not_needed() {
    assert_eq!(url_of(&["health-check"]), "http://127.0.0.1:8000/");
    assert_eq!(parse(&["health-check", "--timeout=250ms"]).unwrap().timeout.as_millis(), 250);
}

#[test]
fn the_url_defaults_to_the_listen_address() {
    for (listen, url) in [
        ("--listen=0.0.0.0:8100", "http://127.0.0.1:8100/"),
        ("--listen=[::]:8100", "http://[::1]:8100/"),
        ("--listen=10.1.2.3:8100", "http://10.1.2.3:8100/"),
    ] {
        assert_eq!(url_of(&[listen, "health-check"]), url);
    }
    assert_eq!(url_of(&["health-check", "http://bigquery.flyte:80"]), "http://bigquery.flyte/");
}

#[test]
fn invalid_urls_are_refused() {
    for (url, message) in [
        ("bigquery:8000", "the scheme must be http"),
        ("http://bigquery:8000/readyz", "only a scheme, a host and a port"),
        ("http://", "http://bigquery.flyte:8000"),
    ] {
        let error = parse(&["health-check", url]).unwrap_err().to_string();
        assert!(error.contains(message), "{url}: {error}");
    }
}

async fn error_of(address: &str) -> String {
    let url = Url::parse(&format!("http://{address}")).unwrap();
    ask(&url, None, Instant::now() + Duration::from_millis(500)).await.unwrap_err().to_string()
}

#[tokio::test]
async fn connection_errors_name_the_failed_step() {
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    assert!(error_of(&unused.to_string()).await.contains("connection refused (is the service up"));
    // Resolvers refuse a label of more than 63 characters without a query.
    let invalid = format!("{}.invalid", "n".repeat(64));
    assert!(error_of(&invalid).await.contains("cannot resolve the host nn"));

    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let error = error_of(&silent.local_addr().unwrap().to_string()).await;
    assert!(error.contains("timed out waiting for a response"), "{error}");
}

#[tokio::test]
async fn servers_without_grpc_are_reported() {
    for answer in
        ["HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n", "\x15\x03\x03\0\x02\x02\x46"]
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        TaskTracker::new().spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1024]).await;
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        let error = error_of(&address).await;
        assert!(error.contains("does not speak gRPC"), "{answer:?}: {error}");
    }
}
