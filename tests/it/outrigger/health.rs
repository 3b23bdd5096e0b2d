//! `outrigger health-check` and `outrigger check`.

use plugin_core::testing::spawn;

use super::run;
use crate::program::Running;

const SERVICE: [&str; 2] = ["--insecure-no-auth", "--emulator-host=127.0.0.1:1"];

#[tokio::test]
async fn a_service_is_asked_over_grpc_and_its_admin_port_over_http() {
    let service = Running::start("bigquery", &SERVICE, &[]).await;
    let (api, admin) =
        (format!("http://{}", service.api), format!("http://{}/readyz", service.admin));
    let ended = run(&["health-check", &api, &admin, "--output=json"]).await;
    assert_eq!(ended.code, 0, "{}{}", ended.stdout, ended.stderr);
    let answers = ended.json();
    assert_eq!((&answers[0]["status"], &answers[0]["healthy"]), (&"SERVING".into(), &true.into()));
    assert_eq!(answers[1]["status"], "200 OK");
    // The admin port has no gRPC, the other no such path; one that does not serve decides.
    let wrong = [format!("http://{}", service.admin), format!("http://{}/nothing", service.api)];
    let ended = run(&["health-check", &api, &wrong[0], &wrong[1]]).await;
    assert_eq!(ended.code, 1);
    let lines = ended.stdout.lines().collect::<Vec<_>>();
    assert_eq!(lines.len(), 4, "{}", ended.stdout);
    assert!(lines[0].starts_with("STATUS ") && lines[1].starts_with("SERVING "), "{lines:?}");
    assert!(lines[2].starts_with("no answer") && lines[2].contains("API port"), "{lines:?}");
    assert!(lines[3].starts_with("40"), "{lines:?}");
    service.terminate().await;
}

#[tokio::test]
async fn nobody_there_is_an_answer_that_names_the_cause() {
    let ended = run(&["health-check", "http://127.0.0.1:1", "http://127.0.0.1:1/readyz"]).await;
    assert_eq!(ended.code, 1);
    assert_eq!(
        ended.stdout.to_lowercase().matches("connection refused").count(),
        2,
        "{}",
        ended.stdout
    );
}

#[tokio::test]
async fn waiting_ends_when_the_service_serves() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{port}");
    let asking = tokio::spawn(async move { run(&["health-check", &url, "--wait=30s"]).await });
    let listen = format!("--listen={port}");
    let args = [&SERVICE[..], &[&listen, "--admin-listen=127.0.0.1:0"]].concat();
    let mut service = crate::program::command("bigquery", &args, &[]).spawn().unwrap();
    let ended = asking.await.unwrap();
    assert!(ended.code == 0 && ended.stdout.contains("SERVING"), "{}", ended.stdout);
    service.kill().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_checked_against_the_contract() {
    let service = spawn::<bigquery::BigQuery>(&["--emulator-host=127.0.0.1:1"]).await;
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("token");
    std::fs::write(&token, service.token("propeller")).unwrap();
    let (url, token) = (format!("http://{}", service.api()), token.to_str().unwrap().to_owned());
    let args = ["check", "--url", &url, "--token-file", &token, "--only", "discovery,health"];
    let ended = run(&[&args[..], &["--output=json"]].concat()).await;
    assert_eq!(ended.code, 0, "{}{}", ended.stdout, ended.stderr);
    assert_eq!(ended.json()["counts"]["fail"], 0);
    let without = run(&["check", "--url", &url, "--only", "discovery"]).await;
    assert!(
        without.code != 0 && !without.stderr.contains("plugin-conformance"),
        "{}",
        without.stderr
    );
}
