//! Real requests of Flyte's SDKs, end to end to BigQuery.

use std::time::Duration;

use bigquery::BigQuery;
use futures_util::future::join_all;
use plugin_core::testing::{Answer, Dialect, Upstream, proto::flyteidl::admin::Resource, spawn};
use serde_json::{Value as Json, json};
use tests::{
    fakes::bigquery::{Ending, FakeBigQuery, Options, service_account_key},
    golden::{Flyte, Golden},
};
use tokio::{net::TcpListener, time::timeout};
use tonic::Code;

use crate::{
    replay,
    stage::{Stage, secrets_dir},
};

impl Stage {
    async fn send(&self, golden: &Golden) -> Result<Vec<u8>, tonic::Status> {
        replay::send(&self.service, golden).await
    }

    async fn poll(&self, golden: &Golden, handle: &[u8]) -> (String, String) {
        phase_and_message(replay::poll(&self.service, golden, handle).await)
    }

    async fn poll_to_the_end(&self, golden: &Golden, handle: &[u8]) -> (String, String) {
        phase_and_message(replay::poll_to_the_end(&self.service, golden, handle).await)
    }
}

fn phase_and_message(seen: Resource) -> (String, String) {
    (seen.phase().as_str_name().to_owned(), seen.message)
}

/// The secret in which Flyte 2 sends a service account key.
const KEY_SECRET: &str = "google_application_credentials";

/// Golden requests that BigQuery cannot run, or not as they are meant, with the expected message.
const REFUSED: [(&str, &str); 3] = [
    ("bq_empty_sql", "template.sql.statement: empty"),
    ("bq_multiline_sql", "@day must not be in a comment to the end of the line"),
    ("bq_no_sql_target", "template.sql: missing"),
];

fn all(prefix: &str) -> Vec<Golden> {
    let mut all = Golden::all(Flyte::V1, prefix).unwrap();
    all.extend(Golden::all(Flyte::V2, prefix).unwrap());
    assert!(!all.is_empty());
    let key = service_account_key();
    let with_key = |golden: Golden| golden.with_secrets(&[(KEY_SECRET, &key)]).unwrap();
    all.into_iter().map(with_key).collect()
}

#[tokio::test]
async fn every_bigquery_request_succeeds_with_results() {
    for golden in all("bq_").into_iter().filter(|golden| golden.name != "bq_newer_version") {
        let stage = Stage::set().await;
        let handle = stage.send(&golden).await.unwrap();
        let (phase, message) = stage.poll_to_the_end(&golden, &handle).await;
        if let Some((_, expected)) = REFUSED.iter().find(|(name, _)| *name == golden.name) {
            assert_eq!(phase, "FAILED", "{}", golden.name);
            assert!(message.contains(expected), "{}: {message}", golden.name);
            assert_eq!(stage.fake.jobs(), 0);
            continue;
        }
        assert_eq!(phase, "SUCCEEDED", "{}: {message}", golden.name);
        assert_eq!(stage.fake.violations(), [""; 0], "{}", golden.name);
        let version = if golden.flyte == Flyte::V1 { "v1" } else { "v2" };
        insta::assert_json_snapshot!(
            format!("{version}_{}", golden.name),
            stage.fake.inserted()[0]
        );
    }
}

#[tokio::test]
async fn every_failed_bigquery_request_has_googles_message() {
    for golden in all("bq_").iter().filter(|golden| runs(golden)) {
        let ending = Ending::Failure {
            reason: "invalidQuery".to_owned(),
            message: "Unrecognized name: foo at [1:8]".to_owned(),
        };
        let stage = Stage::set_with(Options { ending, ..Options::default() }, &[]).await;
        let handle = stage.send(golden).await.unwrap();
        let (phase, message) = stage.poll_to_the_end(golden, &handle).await;
        assert_eq!(phase, "FAILED", "{}", golden.name);
        assert_eq!(message, "invalidQuery: Unrecognized name: foo at [1:8]", "{}", golden.name);
    }
}

#[tokio::test]
async fn every_bigquery_request_can_be_cancelled() {
    for golden in all("bq_").iter().filter(|golden| runs(golden)) {
        let stage = Stage::set_with(Options { polls: 100, ..Options::default() }, &[]).await;
        let handle = stage.send(golden).await.unwrap();
        replay::stop(&stage.service, golden, &handle).await.unwrap();
        let (phase, _) = stage.poll(golden, &handle).await;
        assert_eq!(phase, "FAILED", "{}", golden.name);
        assert_eq!(stage.fake.violations(), [""; 0]);
    }
}

fn runs(golden: &Golden) -> bool {
    let refused = REFUSED.iter().any(|(name, _)| *name == golden.name);
    !refused && golden.name != "bq_newer_version"
}

#[tokio::test]
async fn second_attempt_starts_another_job() {
    let stage = Stage::set().await;
    for name in ["bq_docs_example", "bq_docs_example_retry1"] {
        stage.send(&Golden::read(Flyte::V1, name).unwrap()).await.unwrap();
    }
    assert_eq!(stage.fake.jobs(), 2);
}

#[tokio::test]
async fn unserved_task_types_are_rejected_with_the_served_ones() {
    let stage = Stage::set().await;
    let newer = Golden::read(Flyte::V1, "bq_newer_version").unwrap();
    let others = all("sf_").into_iter().chain(all("dbx_")).chain(all("spark_"));
    for golden in others.chain([newer]) {
        let status = stage.send(&golden).await.unwrap_err();
        assert_eq!(status.code(), Code::NotFound, "{}", golden.name);
        assert!(status.message().ends_with("available: bigquery_query_job_task version 0"));
    }
    assert_eq!(stage.fake.requests(), 0);
}

#[tokio::test]
async fn rest_and_grpc_requests_are_the_same_job() {
    let has_secrets = |golden: &&Golden| golden.json["connection"]["secrets"].is_object();
    for golden in all("bq_").iter().filter(|golden| runs(golden) && !has_secrets(golden)) {
        let stage = Stage::set().await;
        let by_rest = stage.client(Dialect::Rest).await.create(&golden.json).await.unwrap();
        let by_grpc = stage.send(golden).await.unwrap();
        assert_eq!(stage.fake.jobs(), 1, "{}", golden.name);
        assert_eq!(
            stage.poll(golden, &by_rest).await.0,
            "RUNNING",
            "the repeated create polled it once"
        );
        assert_eq!(stage.poll(golden, &by_grpc).await.0, "RUNNING", "the same job");
    }
}

#[tokio::test]
async fn invalid_key_is_rejected_without_exposing_it() {
    let stage = Stage::set().await;
    let golden = Golden::read(Flyte::V2, "bq_secret").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let elsewhere = format!("http://{}", listener.local_addr().unwrap());
    let foreign = service_account_key().replace("https://oauth2.googleapis.com", &elsewhere);
    let foreign = golden.clone().with_secrets(&[(KEY_SECRET, &foreign)]).unwrap();
    for (golden, expected) in
        [(golden, "no access token can be obtained"), (foreign, "token_uri must be Google's")]
    {
        let handle = stage.send(&golden).await.unwrap();
        let (phase, message) = stage.poll(&golden, &handle).await;
        assert_eq!(phase, "FAILED");
        assert!(message.contains(&format!("secret {KEY_SECRET}: {expected}")), "{message}");
        assert!(!message.contains("PRIVATE KEY"), "{message}");
    }
    assert_eq!(stage.fake.requests(), 0);
    let connection = timeout(Duration::from_millis(200), listener.accept()).await;
    assert!(connection.is_err(), "the key's own host was called");
}

/// Flyte 2's executor sends the value under the key's name, which without it would be the service's own.
#[tokio::test]
async fn key_not_sent_by_flyte_does_not_fall_back_to_the_services_key() {
    let stage = Stage::set().await;
    let mut task = Golden::read(Flyte::V2, "bq_secret").unwrap().json;
    task["connection"] = json!({});
    for dialect in Dialect::ALL {
        let client = stage.client(dialect).await;
        let expected = match client.create(&task).await {
            Ok(handle) => {
                let seen = client.get(&task, &handle).await.unwrap();
                assert_eq!(seen.phase, "FAILED");
                seen.message
            }
            Err(refused) => refused.message,
        };
        assert!(expected.contains("secret GCP_SA_JSON not found"), "{expected}");
    }
    assert_eq!(stage.fake.requests(), 0);
    task["template"]["custom"]["secrets"][KEY_SECRET] = Json::Null;
    stage.client(Dialect::Flyte2).await.create(&task).await.expect("no key is named");
}

#[tokio::test]
async fn named_key_is_read_from_secrets() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("gcp_sa_json"), service_account_key()).unwrap();
    let secrets = format!("--secrets-dir={}", dir.path().display());
    let options = Options { polls: 0, ..Options::default() };
    let fake = FakeBigQuery::start(options).await.unwrap();
    let service = spawn::<BigQuery>(&[&format!("--endpoint={}", fake.url()), &secrets]).await;
    let mut task = Golden::read(Flyte::V2, "bq_secret").unwrap().json;
    task["connection"] = json!({});
    for dialect in Dialect::ALL {
        let client = service.client(dialect, "propeller").await;
        let handle = client.create(&task).await.unwrap();
        let polls = (0..5).map(async |_| client.get(&task, &handle).await.unwrap().phase);
        let phases = join_all(polls).await;
        assert!(phases.iter().all(|phase| phase != "FAILED"), "{dialect:?}: {phases:?}");
        client.delete(&task, &handle).await.unwrap();
    }
    assert_eq!(fake.jobs(), 1);
}

/// Files in Cloud Storage need the scope of Google's own client, Google Sheets another one.
#[tokio::test]
async fn tokens_have_the_scopes_of_the_settings() {
    const CLOUD_PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";
    const DRIVE: &str = "https://www.googleapis.com/auth/drive.readonly";
    let both = format!("--scopes={CLOUD_PLATFORM}, {DRIVE}");
    for (args, expected) in
        [(vec![], vec![CLOUD_PLATFORM]), (vec![both.as_str()], vec![CLOUD_PLATFORM, DRIVE])]
    {
        let stage = Stage::set_with(Options::default(), &args).await;
        let task = Golden::read(Flyte::V1, "bq_scalars").unwrap().json;
        stage.client(Dialect::Flyte1).await.create(&task).await.unwrap();
        assert_eq!(stage.fake.scopes().into_iter().collect::<Vec<_>>(), expected);
    }
}

/// Responses recorded with the official connector, with the expected phase.
const STATES: [(&str, &str); 13] = [
    ("cancelled", "FAILED"),
    ("done_with_warnings", "SUCCEEDED"),
    ("failed", "FAILED"),
    // Fails only after the grace period.
    ("http_403", "RUNNING"),
    // A job that is seconds old may not be listed yet.
    ("http_404", "QUEUED"),
    ("http_429_once", "SUCCEEDED"),
    ("http_503_once", "SUCCEEDED"),
    ("pending", "QUEUED"),
    ("running", "RUNNING"),
    ("running_with_errors", "RUNNING"),
    ("succeeded", "SUCCEEDED"),
    ("succeeded_without_destination", "FAILED"),
    ("unknown_state", "RUNNING"),
];

#[tokio::test]
async fn responses_recorded_by_the_official_connector_map_to_phases() {
    for flyte in [Flyte::V1, Flyte::V2] {
        let answers = Golden::official(flyte, "_states_bq").unwrap()["backend_answers"].take();
        for (name, answer) in answers.as_object().unwrap() {
            let (_, expected) = STATES
                .iter()
                .find(|(state, _)| state == name)
                .unwrap_or_else(|| panic!("no expected phase for {name}"));
            assert_eq!(phase_after(answer).await, *expected, "{flyte:?} {name}");
        }
    }
}

/// The phase of a job for which BigQuery returns `answer` and then, if polled again, success.
async fn phase_after(answer: &Json) -> String {
    let upstream = Upstream::start().await;
    let id = json!({"projectId": "acme-analytics", "jobId": "j", "location": "EU"});
    let table = json!({"projectId": "p", "datasetId": "d", "tableId": "t"});
    let job = |answer: &Json| {
        let query =
            if answer["dest"] == true { json!({"destinationTable": table}) } else { json!({}) };
        let body = json!({"jobReference": id, "status": answer["status"], "configuration": {"query": query}});
        Answer::new(200, body)
    };
    let error = |status: &Json| {
        let body = json!({"error": {"message": "m", "errors": [{"reason": ""}]}});
        Answer::new(u16::try_from(status.as_u64().unwrap()).unwrap(), body)
    };
    let success = job(&json!({"status": {"state": "DONE"}, "dest": true}));
    let script = match answer {
        Json::Number(_) => vec![error(answer)],
        Json::Array(once) => vec![error(&once[0]), success],
        // A job without a destination table is asked for its children, and has none.
        _ => vec![job(answer), Answer::new(200, json!({"jobs": []}))],
    };
    let endpoint = format!("--endpoint={}", upstream.url());
    let secrets = format!("--secrets-dir={}", secrets_dir().display());
    let service = spawn::<BigQuery>(&[&endpoint, &secrets, "--poll-freshness=0s"]).await;
    let client = service.client(Dialect::Flyte1, "propeller").await;
    let task = Golden::read(Flyte::V1, "bq_scalars").unwrap().json;
    upstream.answer_with([job(&json!({"status": {"state": "PENDING"}}))]);
    let handle = client.create(&task).await.unwrap();
    upstream.answer_with(script);
    client.get(&task, &handle).await.unwrap().phase
}
