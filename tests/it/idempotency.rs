//! A task starts exactly one job, despite retries, lost responses and cancellations.

use std::time::Duration;

use plugin_core::testing::Dialect;
use serde_json::{Value as Json, json};
use tests::golden::{Flyte, Golden};

use crate::stage::{Stage, replica};

fn task() -> Json {
    Golden::read(Flyte::V1, "bq_scalars").unwrap().json
}

#[tokio::test]
async fn repeated_create_starts_one_job() {
    for dialect in Dialect::ALL {
        let stage = Stage::set().await;
        let client = stage.client(dialect).await;
        for _ in 0..5 {
            client.create(&task()).await.unwrap();
        }
        assert_eq!((stage.fake.jobs(), stage.fake.duplicates()), (1, 4), "{dialect:?}");
    }
}

#[tokio::test]
async fn cancelled_create_is_joined_by_its_retry() {
    for dialect in Dialect::ALL {
        let stage = Stage::set().await;
        let task = task();
        stage.fake.hold_inserts();
        let client = stage.client(dialect).await;
        tokio::select! {
            created = client.create(&task) => panic!("the response was held back: {created:?}"),
            () = until(|| stage.fake.jobs() == 1) => {}
        }
        drop(client);
        let again = stage.client(dialect).await;
        let release = async {
            stage.metric_reaches("plugin_joined_creates_total", 1.0).await;
            stage.fake.release_inserts();
        };
        let handle = tokio::join!(again.create(&task), release).0.unwrap();
        assert_eq!((stage.fake.jobs(), stage.fake.duplicates()), (1, 0), "{dialect:?}");
        assert_eq!(again.get(&task, &handle).await.unwrap().phase, "QUEUED");
    }
}

#[tokio::test]
async fn repeated_create_at_another_replica_finds_the_job() {
    let stage = Stage::set().await;
    let other = replica(&stage.fake, &[]).await;
    let first = stage.client(Dialect::Flyte1).await.create(&task()).await.unwrap();
    let there = other.client(Dialect::Flyte2, "propeller").await;
    there.create(&task()).await.unwrap();
    assert_eq!(stage.fake.jobs(), 1);
    let seen = there.get(&task(), &first).await.unwrap();
    assert_eq!(
        seen.phase, "RUNNING",
        "any replica can answer; the repeated create polled the job once"
    );
}

#[tokio::test]
async fn create_is_retried_and_its_job_adopted_after_a_lost_response() {
    let stage = Stage::set().await;
    stage.fake.lose_answers(2);
    let client = stage.client(Dialect::Flyte1).await;
    let handle = client.create(&task()).await.unwrap();
    assert_eq!((stage.fake.jobs(), stage.fake.duplicates()), (1, 2));
    assert_eq!(client.get(&task(), &handle).await.unwrap().phase, "RUNNING");
}

#[tokio::test]
async fn create_past_its_deadline_completes_and_is_found() {
    let stage = Stage::set().await;
    stage.fake.hold_inserts();
    let hasty = stage.client(Dialect::Flyte1).await.with_timeout(Duration::from_secs(1));
    assert_eq!(hasty.create(&task()).await.unwrap_err().code, 4);
    stage.fake.release_inserts();
    stage.metric_reaches("plugin_abandoned_creates_total", 1.0).await;
    let handle = stage.client(Dialect::Flyte1).await.create(&task()).await.unwrap();
    assert_eq!(stage.fake.jobs(), 1);
    let seen = stage.client(Dialect::Rest).await.get(&task(), &handle).await.unwrap();
    assert_eq!(seen.phase, "RUNNING", "the repeated create polled the job once");
}

#[tokio::test]
async fn same_prefix_from_different_callers_starts_separate_jobs() {
    let stage = Stage::set().await;
    for subject in ["propeller", "ann", "bob"] {
        for dialect in [Dialect::Rest, Dialect::Flyte1] {
            stage.service.client(dialect, subject).await.create(&task()).await.unwrap();
        }
    }
    assert_eq!(stage.fake.jobs(), 3, "one for each caller");
}

#[tokio::test]
async fn attempt_identifies_the_job_without_a_prefix() {
    let stage = Stage::set().await;
    let client = stage.client(Dialect::Flyte1).await;
    let mut task = task();
    task["output_prefix"] = json!("");
    client.create(&task).await.unwrap();
    client.create(&task).await.unwrap();
    assert_eq!(stage.fake.jobs(), 1);
    task["task_execution_metadata"]["task_execution_id"]["retry_attempt"] = json!(1);
    client.create(&task).await.unwrap();
    assert_eq!(stage.fake.jobs(), 2);
}

/// Outside the US and EU a job is found only with its location, which was in the lost response.
#[tokio::test]
async fn job_is_adopted_outside_us_and_eu() {
    let stage = Stage::set().await;
    let mut task = task();
    task["template"]["custom"]["Location"] = json!("asia-northeast1");
    let client = stage.client(Dialect::Flyte1).await;
    client.create(&task).await.unwrap();
    let handle = client.create(&task).await.unwrap();
    assert_eq!((stage.fake.jobs(), stage.fake.duplicates()), (1, 1));
    assert_eq!(client.get(&task, &handle).await.unwrap().phase, "RUNNING");
}

#[tokio::test]
async fn key_reused_with_another_statement_is_rejected() {
    let stage = Stage::set().await;
    stage.client(Dialect::Flyte1).await.create(&task()).await.unwrap();
    let mut other = task();
    other["template"]["sql"]["statement"] = json!("SELECT 'something else'");
    for dialect in Dialect::ALL {
        let client = stage.client(dialect).await;
        let message = match client.create(&other).await {
            Ok(handle) => client.get(&other, &handle).await.unwrap().message,
            Err(refused) => refused.message,
        };
        assert!(message.contains("another statement"), "{message}");
    }
    assert_eq!(stage.fake.jobs(), 1);
}

#[tokio::test]
async fn key_reused_with_another_value_is_rejected() {
    let stage = Stage::set().await;
    stage.client(Dialect::Flyte1).await.create(&task()).await.unwrap();
    let mut other = task();
    let country = &mut other["inputs"]["literals"]["country"];
    *country = json!({"scalar": {"primitive": {"string_value": "FR"}}});
    for dialect in Dialect::ALL {
        // At a replica that does not remember the first.
        let replica = replica(&stage.fake, &[]).await;
        let client = replica.client(dialect, "propeller").await;
        let message = match client.create(&other).await {
            Ok(handle) => client.get(&other, &handle).await.unwrap().message,
            Err(refused) => refused.message,
        };
        let expected = "another configuration.query.queryParameters.parameterValue.value was already submitted";
        assert!(message.contains(expected), "{dialect:?}: {message}");
    }
    assert_eq!(stage.fake.jobs(), 1);
}

#[tokio::test]
async fn a_job_that_may_not_be_seen_is_adopted_and_one_that_cannot_be_seen_is_not() {
    for (status, adopted) in [(403, true), (503, false)] {
        let stage = Stage::set().await;
        stage.client(Dialect::Flyte1).await.create(&task()).await.unwrap();
        let there = replica(&stage.fake, &[]).await.client(Dialect::Flyte1, "propeller").await;
        // The insert is answered that the job exists.
        stage.fake.fail_with([200].into_iter().chain([status; 20]));
        let created = there.with_timeout(Duration::from_secs(3)).create(&task()).await;
        assert_eq!(created.is_ok(), adopted, "{status}: {created:?}");
        assert_eq!((stage.fake.jobs(), stage.fake.duplicates()), (1, 1), "{status}");
    }
}

async fn until(done: impl Fn() -> bool) {
    while !done() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
