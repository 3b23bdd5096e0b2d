use clap::Command;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_util::task::TaskTracker;

use super::*;
use crate::run::command::{finished, with_shared};

/// Settings without which nothing can be served.
#[derive(Debug, Args)]
struct Demanding {
    #[arg(long, env = "HEALTH_CHECK_TESTS_ACCOUNTS", required = true)]
    accounts: Option<String>,
}

fn parse(line: &[&str]) -> Result<HealthCheck, clap::Error> {
    let command = finished(with_args::<Demanding>(with_shared(Command::new("demanding"))));
    let matches = command.try_get_matches_from([&["demanding"], line].concat())?;
    Ok(HealthCheck::asked_for(&matches)?.unwrap())
}

fn asked(line: &[&str]) -> String {
    parse(line).unwrap().url.unwrap().to_string()
}

#[test]
fn nothing_that_serving_needs_is_needed() {
    assert_eq!(asked(&["health-check"]), "http://127.0.0.1:8000/");
    assert_eq!(parse(&["health-check", "--timeout=250ms"]).unwrap().timeout.as_millis(), 250);
}

#[test]
fn it_is_asked_for_where_it_listens_unless_told_otherwise() {
    for (listen, url) in [
        ("--listen=0.0.0.0:8100", "http://127.0.0.1:8100/"),
        ("--listen=[::]:8100", "http://[::1]:8100/"),
        ("--listen=10.1.2.3:8100", "http://10.1.2.3:8100/"),
    ] {
        assert_eq!(asked(&[listen, "health-check"]), url);
    }
    assert_eq!(asked(&["health-check", "http://bigquery.flyte:80"]), "http://bigquery.flyte/");
}

#[test]
fn what_is_no_services_url_is_refused() {
    for (url, words) in [
        ("bigquery:8000", "the scheme is http"),
        ("http://bigquery:8000/readyz", "no more than scheme, host and port"),
        ("http://", "http://bigquery.flyte:8000"),
    ] {
        let error = parse(&["health-check", url]).unwrap_err().to_string();
        assert!(error.contains(words), "{url}: {error}");
    }
}

async fn fails(address: &str) -> String {
    let url = Url::parse(&format!("http://{address}")).unwrap();
    ask(&url, None, Instant::now() + Duration::from_millis(500)).await.unwrap_err().to_string()
}

#[tokio::test]
async fn who_cannot_be_asked_is_told_by_what_went_wrong() {
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    assert!(fails(&unused.to_string()).await.contains("connection refused: nothing listens there"));
    // No resolver asks anybody for a label of more than 63 characters.
    let nobody = format!("{}.invalid", "n".repeat(64));
    assert!(fails(&nobody).await.contains("n.invalid cannot be looked up"));

    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let said = fails(&silent.local_addr().unwrap().to_string()).await;
    assert!(
        said.contains("accepts connections and did not answer (does it hang?) in time"),
        "{said}"
    );
}

#[tokio::test]
async fn what_does_not_speak_grpc_is_told_so() {
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
        let said = fails(&address).await;
        assert!(said.contains("does not speak gRPC"), "{answer:?}: {said}");
    }
}
