//! The table in the `results` output of a BigQuery task.

use bigquery::BigQuery;
use plugin_core::testing::{Answer, Dialect, Observation, Upstream, spawn};
use serde_json::{Value as Json, json};
use tests::{
    fakes::bigquery::Options,
    golden::{Flyte, Golden},
};

use crate::stage::{Stage, secrets_dir};

fn task(statement: &str) -> Json {
    let mut task = Golden::read(Flyte::V1, "bq_scalars").unwrap().json;
    task["template"]["sql"]["statement"] = json!(statement);
    task
}

/// The final status of `task`.
async fn end(task: &Json, dialect: Dialect) -> Observation {
    let stage = Stage::set_with(Options { polls: 0, ..Options::default() }, &[]).await;
    let client = stage.client(dialect).await;
    let handle = client.create(task).await.unwrap();
    client.get(task, &handle).await.unwrap();
    let seen = client.get(task, &handle).await.unwrap();
    assert_eq!(stage.fake.violations(), [""; 0]);
    seen
}

#[tokio::test]
async fn script_results_are_the_table_of_its_last_query() {
    for last in [
        "SELECT 1;",
        "SELECT 1; DROP TABLE scratch;",
        "SELECT 1; BEGIN SELECT 1/0; EXCEPTION WHEN ERROR THEN SELECT 2; END;",
    ] {
        for dialect in Dialect::ALL {
            let seen = end(&task(&format!("DECLARE d DATE; {last}")), dialect).await;
            assert_eq!(seen.phase, "SUCCEEDED", "{last}: {}", seen.message);
            let outputs = seen.outputs.to_string();
            assert!(outputs.contains(":_d0c0ffee.anon"), "{last}: {outputs}");
        }
    }
}

#[tokio::test]
async fn dropped_table_is_not_a_result() {
    let drop = task("DROP TABLE shop.orders");
    let mut without_outputs = drop.clone();
    without_outputs["template"]["interface"]["outputs"] = json!({});
    for dialect in Dialect::ALL {
        let seen = end(&drop, dialect).await;
        assert_eq!(seen.phase, "FAILED");
        assert!(seen.message.contains("its statement produces no table"), "{}", seen.message);
        let seen = end(&without_outputs, dialect).await;
        assert_eq!((seen.phase.as_str(), seen.outputs), ("SUCCEEDED", Json::Null));
    }
}

/// At most ten pages of a script's statements are read, so that a poll always ends.
#[tokio::test]
async fn script_with_too_many_statements_fails() {
    let upstream = Upstream::start().await;
    let endpoint = format!("--endpoint={}", upstream.url());
    let secrets = format!("--secrets-dir={}", secrets_dir().display());
    let service = spawn::<BigQuery>(&[&endpoint, &secrets, "--poll-freshness=0s"]).await;
    let id = json!({"projectId": "acme-analytics", "jobId": "j", "location": "EU"});
    let job =
        |state: &str| Answer::new(200, json!({"jobReference": id, "status": {"state": state}}));
    let page = Answer::new(200, json!({"nextPageToken": "next", "jobs": []}));
    for dialect in Dialect::ALL {
        let client = service.client(dialect, "propeller").await;
        let task = task("LOOP SELECT 1; END LOOP");
        upstream.answer_with([job("PENDING")]);
        let handle = client.create(&task).await.unwrap();
        upstream.answer_with([vec![job("DONE")], vec![page.clone(); 10]].concat());
        let seen = client.get(&task, &handle).await.unwrap();
        assert_eq!(seen.phase, "FAILED", "{dialect:?}");
        assert!(seen.message.contains("too many statements"), "{}", seen.message);
    }
}
