//! Credentials that are changed at the vendor before the service has the new ones.

use std::{path::Path, time::Duration};

use plugin_core::testing::{Client, Dialect, TestService, rsa_private_key, spawn};
use serde_json::{Value as Json, json};
use tests::{
    fakes::{databricks, snowflake},
    golden::{Flyte, Golden},
};
use tokio::time::{sleep, timeout};

use crate::{snowflake::other_key, stage::Stage};

fn golden(name: &str) -> Json {
    Golden::read(Flyte::V1, name).unwrap().json
}

/// `task` as another task of each number.
fn numbered(task: &Json, number: usize) -> Json {
    let mut task = task.clone();
    task["output_prefix"] = json!(format!("s3://bucket/rotation/{number}"));
    task
}

/// Creates that must not fail for good: each is answered with an error that Flyte and scripts repeat.
async fn expect_outage(client: &Client, dialect: Dialect, task: &Json, says: &str) {
    for number in 0..3 {
        let error = client.create(&numbered(task, number)).await.unwrap_err();
        assert_eq!(error.code, if dialect.is_grpc() { 14 } else { 503 }, "{dialect:?}: {error:?}");
        assert!(error.message.contains("the service's credentials"), "{error:?}");
        assert!(error.message.contains(says), "the vendor's message: {error:?}");
    }
}

/// Repeats the creates until they succeed.
async fn expect_recovery(client: &Client, task: &Json) {
    let recovered = async {
        for number in 0..3 {
            while client.create(&numbered(task, number)).await.is_err() {
                sleep(Duration::from_millis(100)).await;
            }
        }
    };
    timeout(Duration::from_secs(60), recovered).await.unwrap();
}

async fn refused(service: &TestService) -> f64 {
    service.metric("plugin_refused_credentials_total").await
}

#[tokio::test]
async fn bigquery_creates_survive_a_rotation() {
    for dialect in Dialect::ALL {
        let stage = Stage::set().await;
        let client = stage.client(dialect).await;
        for status in [401, 403] {
            stage.fake.fail_with([status; 100]);
            expect_outage(&client, dialect, &golden("bq_scalars"), "on fire").await;
        }
        assert_eq!((refused(&stage.service).await, stage.fake.jobs()), (6.0, 0));
        stage.fake.fail_with([]);
        expect_recovery(&client, &golden("bq_scalars")).await;
        assert_eq!(stage.fake.jobs(), 3);
    }
}

/// A Databricks service whose secrets are in `dir`.
async fn databricks_with(fake: &databricks::FakeDatabricks, dir: &Path) -> TestService {
    spawn::<::databricks::Databricks>(&[
        "--instances=acme-prod.cloud.databricks.com,myorg.cloud.databricks.com",
        &format!("--endpoint={}", fake.url()),
        &format!("--secrets-dir={}", dir.display()),
    ])
    .await
}

#[tokio::test]
async fn databricks_creates_survive_a_rotation() {
    for dialect in Dialect::ALL {
        let tokens = vec!["dapi-the-new-one".to_owned()];
        let options = databricks::Options { tokens, ..databricks::Options::default() };
        let fake = databricks::FakeDatabricks::start(options).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("databricks_token"), "dapi-the-old-one").unwrap();
        let service = databricks_with(&fake, dir.path()).await;
        let client = service.client(dialect, "propeller").await;
        let task = golden("dbx_existing_cluster");
        expect_outage(&client, dialect, &task, "").await;
        assert_eq!((refused(&service).await, fake.runs()), (3.0, 0));
        std::fs::write(dir.path().join("databricks_token"), "dapi-the-new-one").unwrap();
        expect_recovery(&client, &task).await;
        assert_eq!(fake.runs(), 3);
    }
}

#[tokio::test]
async fn refused_credentials_that_the_author_chose_fail_the_task() {
    let tokens = vec!["dapi-of-the-service".to_owned()];
    let options = databricks::Options { tokens, ..databricks::Options::default() };
    let fake = databricks::FakeDatabricks::start(options).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("databricks_token"), "dapi-of-the-service").unwrap();
    std::fs::write(dir.path().join("of-team-a"), "dapi-revoked").unwrap();
    let service = databricks_with(&fake, dir.path()).await;
    let mut task = golden("dbx_existing_cluster");
    task["template"]["custom"]["databricksTokenSecret"] = json!("of-team-a");
    for dialect in Dialect::ALL {
        let client = service.client(dialect, "propeller").await;
        match client.create(&task).await {
            Ok(handle) => {
                assert_eq!(client.get(&task, &handle).await.unwrap().phase, "FAILED");
            }
            Err(error) => assert_eq!(error.code, 422, "{error:?}"),
        }
    }
    assert_eq!((refused(&service).await, fake.runs()), (0.0, 0));
}

#[tokio::test]
async fn snowflake_creates_survive_a_rotation() {
    for dialect in Dialect::ALL {
        let fake = snowflake::FakeSnowflake::start(snowflake::Options::default()).await.unwrap();
        fake.register_key(rsa_private_key()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("snowflake_private_key");
        std::fs::write(&key, other_key()).unwrap();
        let service = spawn::<::snowflake::Snowflake>(&[
            "--accounts=ACMEORG-ANALYTICS,xy12345.eu-central-1,ORG-ACC",
            &format!("--endpoint={}", fake.url()),
            &format!("--secrets-dir={}", dir.path().display()),
        ])
        .await;
        let client = service.client(dialect, "propeller").await;
        let task = golden("sf_scalars");
        expect_outage(&client, dialect, &task, "").await;
        if dialect == Dialect::Rest {
            std::fs::remove_file(&key).unwrap();
            expect_outage_without_key(&client, dialect, &task).await;
        }
        std::fs::write(&key, rsa_private_key()).unwrap();
        expect_recovery(&client, &task).await;
        assert_eq!(fake.statements(), 3);
    }
}

/// A Secret that is replaced has no file for a moment. The file's value is known for some seconds.
async fn expect_outage_without_key(client: &Client, dialect: Dialect, task: &Json) {
    let missing = async {
        loop {
            let error = client.create(&numbered(task, 0)).await.unwrap_err();
            assert_eq!(error.code, if dialect.is_grpc() { 14 } else { 503 }, "{error:?}");
            if error.message.contains("secret snowflake_private_key not found") {
                return;
            }
            sleep(Duration::from_millis(200)).await;
        }
    };
    timeout(Duration::from_secs(60), missing).await.unwrap();
}
