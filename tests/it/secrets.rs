//! Secrets, from where they lie to the vendor.

use databricks::Databricks;
use plugin_core::testing::{Dialect, TestService, spawn};
use serde_json::{Value as Json, json};
use tempfile::TempDir;
use tests::{
    fakes::{
        databricks::{FakeDatabricks, Options},
        snowflake::{self, FakeSnowflake, OAUTH_TOKEN, PAT},
    },
    golden::{Flyte, Golden},
};

use crate::program::Running;

const INSTANCES: &str = "--instances=acme-prod.cloud.databricks.com,myorg.cloud.databricks.com";
const ACCOUNTS: &str = "--accounts=ACMEORG-ANALYTICS";
const TOKEN: &str = "dapi-0123456789abcdef";

fn databricks_task() -> Json {
    Golden::read(Flyte::V1, "dbx_existing_cluster").unwrap().json
}

async fn fake_databricks() -> FakeDatabricks {
    let options = Options { tokens: vec![TOKEN.to_owned()], ..Options::default() };
    FakeDatabricks::start(options).await.unwrap()
}

/// A directory with secret files.
fn files(secrets: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, value) in secrets {
        std::fs::write(dir.path().join(name), value).unwrap();
    }
    dir
}

#[tokio::test]
async fn white_space_around_a_secret_in_the_environment_is_cut() {
    let fake = fake_databricks().await;
    let endpoint = format!("--endpoint={}", fake.url());
    let value = format!(" {TOKEN}\r\n");
    let variables = [("_FSEC_DATABRICKS_TOKEN", value.as_str())];
    let args = ["--insecure-no-auth", "--drain-delay=0s", INSTANCES, &endpoint];
    let running = Running::start("databricks", &args, &variables).await;
    running.client(Dialect::Flyte1).await.create(&databricks_task()).await.unwrap();
    assert_eq!(fake.submitters(), [TOKEN]);
    assert_eq!(running.terminate().await.0, Some(0));
}

#[tokio::test]
async fn white_space_around_a_secret_in_a_file_is_cut() {
    for (kind, name, token) in
        [("pat", "snowflake_pat", PAT), ("oauth", "snowflake_oauth_token", OAUTH_TOKEN)]
    {
        let dir = files(&[(name, &format!("\n {token}\t\n"))]);
        let fake = FakeSnowflake::start(snowflake::Options::default()).await.unwrap();
        let service = snowflake(&fake, &dir, kind).await;
        let client = service.client(Dialect::Flyte1, "propeller").await;
        client.create(&snowflake_task()).await.unwrap();
        assert_eq!(fake.submitted()[0].issuer, token);
    }
}

#[tokio::test]
async fn white_space_around_a_secret_in_a_request_is_cut() {
    let fake = fake_databricks().await;
    let dir = files(&[]);
    let service = databricks(&fake, &dir).await;
    let golden = Golden::read(Flyte::V2, "dbx_existing_cluster").unwrap();
    let token = format!("{TOKEN}\n");
    let golden = golden.with_secrets(&[("databricks_token", &token)]).unwrap();
    service.client(Dialect::Flyte2, "propeller").await.create(&golden.json).await.unwrap();
    assert_eq!(fake.submitters(), [TOKEN]);
}

fn snowflake_task() -> Json {
    Golden::read(Flyte::V1, "sf_scalars").unwrap().json
}

async fn snowflake(fake: &FakeSnowflake, dir: &TempDir, auth: &str) -> TestService {
    let endpoint = format!("--endpoint={}", fake.url());
    let secrets = format!("--secrets-dir={}", dir.path().display());
    let auth = format!("--auth-type={auth}");
    spawn::<::snowflake::Snowflake>(&[ACCOUNTS, &endpoint, &secrets, &auth]).await
}

async fn databricks(fake: &FakeDatabricks, dir: &TempDir) -> TestService {
    let endpoint = format!("--endpoint={}", fake.url());
    let secrets = format!("--secrets-dir={}", dir.path().display());
    spawn::<Databricks>(&[INSTANCES, &endpoint, &secrets]).await
}

/// Values that no header can carry, and what is said about them.
const UNUSABLE: [(&str, &str); 4] = [
    ("", "is empty"),
    ("two\nlines", "is not a token: it has characters other than visible ASCII"),
    ("dapi-ä", "is not a token: it has characters other than visible ASCII"),
    ("a b", "is not a token: it has characters other than visible ASCII"),
];

/// Creates `task` over every protocol and expects that it fails for good, with `says`.
async fn expect_failure(service: &TestService, task: &Json, says: &str) {
    for dialect in Dialect::ALL {
        let client = service.client(dialect, "propeller").await;
        let message = match client.create(task).await {
            Ok(handle) => {
                let seen = client.get(task, &handle).await.unwrap();
                assert_eq!(seen.phase, "FAILED", "{dialect:?}: {}", seen.message);
                seen.message
            }
            Err(refusal) => {
                assert_eq!(refusal.code, 422, "{dialect:?}: {refusal:?}");
                refusal.message
            }
        };
        assert!(message.contains(says), "{dialect:?}: {message}");
    }
}

/// Creates `task` over every protocol and expects an outage, with `says`.
async fn expect_outage(service: &TestService, task: &Json, says: &str) {
    for dialect in Dialect::ALL {
        let client = service.client(dialect, "propeller").await;
        let error = client.create(task).await.unwrap_err();
        assert_eq!(error.code, if dialect.is_grpc() { 14 } else { 503 }, "{dialect:?}: {error:?}");
        assert!(error.message.contains(says), "{dialect:?}: {error:?}");
    }
}

#[tokio::test]
async fn an_authors_token_that_cannot_be_sent_fails_the_task_and_is_named() {
    for (value, flaw) in UNUSABLE {
        let fake = fake_databricks().await;
        let dir = files(&[("team-a", value), ("databricks_token", TOKEN)]);
        let service = databricks(&fake, &dir).await;
        let mut task = databricks_task();
        task["template"]["custom"]["databricksTokenSecret"] = json!("team-a");
        expect_failure(&service, &task, &format!("secret team-a {flaw}")).await;
        assert_eq!(fake.requests(), 0);
    }
}

#[tokio::test]
async fn an_authors_client_secret_that_is_none_fails_the_task_and_is_named() {
    for value in ["", "{\"client_id\": 5, \"client_secret\": \"s\"}", "{\"client_id\": \"i\"}"] {
        let fake = fake_databricks().await;
        let dir = files(&[("team-a", value)]);
        let service = databricks(&fake, &dir).await;
        let mut task = databricks_task();
        let custom = &mut task["template"]["custom"];
        custom["databricksOauthSecret"] = json!("team-a");
        custom["databricksClientId"] = json!("principal");
        expect_failure(&service, &task, "secret team-a ").await;
        assert_eq!(fake.requests(), 0);
    }
}

#[tokio::test]
async fn the_services_own_secret_that_cannot_be_sent_is_an_outage_and_is_named() {
    for (value, flaw) in UNUSABLE {
        let fake = fake_databricks().await;
        let dir = files(&[("databricks_token", value), ("snowflake_pat", value)]);
        let service = databricks(&fake, &dir).await;
        expect_outage(&service, &databricks_task(), &format!("secret databricks_token {flaw}"))
            .await;
        assert_eq!(fake.requests(), 0);
        let fake = FakeSnowflake::start(snowflake::Options::default()).await.unwrap();
        let service = snowflake(&fake, &dir, "pat").await;
        expect_outage(&service, &snowflake_task(), &format!("secret snowflake_pat {flaw}")).await;
        assert_eq!(fake.requests(), 0);
    }
}

#[tokio::test]
async fn an_empty_name_of_a_secret_is_rejected_by_every_plugin() {
    let dir = files(&[("databricks_token", TOKEN), ("snowflake_pat", PAT)]);
    let fake = fake_databricks().await;
    let databricks = databricks(&fake, &dir).await;
    let other = FakeSnowflake::start(snowflake::Options::default()).await.unwrap();
    let snowflake = snowflake(&other, &dir, "pat").await;
    let bigquery = spawn::<bigquery::BigQuery>(&["--emulator-host=127.0.0.1:1"]).await;
    let query = Golden::read(Flyte::V1, "bq_scalars").unwrap().json;
    for (service, mut task, key) in [
        (&databricks, databricks_task(), "databricks_token"),
        (&databricks, databricks_task(), "databricks_client_secret"),
        (&snowflake, snowflake_task(), "snowflake_private_key"),
        (&snowflake, snowflake_task(), "snowflake_private_key_passphrase"),
        (&bigquery, query, "google_application_credentials"),
    ] {
        for (name, problem) in [(json!(""), "must not be empty"), (json!(5), "must be a string")] {
            task["template"]["custom"]["secrets"] = json!({ (key): name });
            let client = service.client(Dialect::Rest, "propeller").await;
            let refusal = client.create(&task).await.unwrap_err();
            assert_eq!(refusal.code, 400, "{refusal:?}");
            assert_eq!(refusal.message, format!("custom.secrets.{key}: {problem}"));
        }
    }
    assert_eq!((fake.requests(), other.requests()), (0, 0));
}
