//! A thousand concurrent tasks.

use std::{sync::LazyLock, time::Duration};

use futures_util::StreamExt as _;
use plugin_core::testing::{Client, Dialect};
use serde_json::{Value as Json, json};
use tests::{
    fakes::bigquery::Options,
    golden::{Flyte, Golden},
};
use tokio::time::{sleep, timeout};

use crate::stage::Stage;

const JOBS: usize = 1000;

fn task(number: usize) -> Json {
    static TASK: LazyLock<Json> =
        LazyLock::new(|| Golden::read(Flyte::V1, "bq_scalars").unwrap().json);
    let mut task = TASK.clone();
    task["output_prefix"] = json!(format!("s3://bucket/many/{number}"));
    task
}

/// Runs `calls`, a hundred at a time.
async fn all<T>(calls: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    futures_util::stream::iter(calls).buffered(100).collect().await
}

async fn create_all(client: &Client, jobs: usize) -> Vec<Vec<u8>> {
    all((0..jobs).map(async |number| client.create(&task(number)).await.unwrap())).await
}

async fn phases(client: &Client, handles: &[Vec<u8>]) -> Vec<String> {
    let task = task(0);
    let polls = handles.iter().map(async |handle| client.get(&task, handle).await.unwrap().phase);
    futures_util::future::join_all(polls).await
}

#[tokio::test]
async fn thousand_concurrent_polls_take_few_calls() {
    // However long a slow machine takes for a round, its view stays fresh.
    let args = ["--connection-age=1h", "--poll-freshness=30s"];
    let stage = Stage::set_with(Options { polls: 3, ..Options::default() }, &args).await;
    let client = stage.client(Dialect::Flyte1).await;
    let handles = create_all(&client, JOBS).await;
    let mut ended = false;
    for round in 0..6 {
        let before = stage.fake.requests();
        let seen = phases(&client, &handles).await;
        let calls = stage.fake.requests() - before;
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(31)).await;
        tokio::time::resume();
        ended = seen.iter().all(|phase| phase == "SUCCEEDED");
        println!("BigQuery, round {round}: {JOBS} polls, {calls} calls upstream, {}", seen[0]);
        assert!(calls <= 20, "{calls} calls for {JOBS} polls");
    }
    assert!(ended, "every job ended");
    assert_eq!(stage.fake.violations(), [""; 0]);
    let before = stage.fake.requests();
    phases(&client, &handles).await;
    assert_eq!(stage.fake.requests(), before, "ended jobs are not polled again");
}

#[tokio::test]
async fn zero_poll_freshness_turns_views_off() {
    let stage = Stage::set_with(Options::default(), &["--poll-freshness=0s"]).await;
    let client = stage.client(Dialect::Flyte2).await;
    let handles = create_all(&client, 5).await;
    let before = stage.fake.requests();
    phases(&client, &handles).await;
    assert_eq!(stage.fake.requests() - before, 5);
}

#[tokio::test]
async fn job_incomplete_in_the_list_is_polled_individually() {
    let options = Options { polls: 0, ..Options::default() };
    let stage = Stage::set_with(options, &["--poll-freshness=200ms"]).await;
    let client = stage.client(Dialect::Flyte1).await;
    let mut handles = create_all(&client, 4).await;
    let mut script = task(4);
    script["template"]["sql"]["statement"] = json!("DECLARE d DATE; SELECT @customer_id;");
    handles.push(client.create(&script).await.unwrap());
    // The list says at first that the job waits.
    let listed = async {
        while phases(&client, &handles).await.last().unwrap() == "QUEUED" {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(60), listed).await.expect("it ends");
    let seen = client.get(&script, handles.last().unwrap()).await.unwrap();
    assert_eq!(seen.phase, "SUCCEEDED", "{}", seen.message);
    let uri = seen.outputs["literals"]["results"]["scalar"]["structured_dataset"]["uri"].as_str();
    let uri =
        uri.or(seen.outputs["literals"]["results"]["scalar"]["structuredDataset"]["uri"].as_str());
    assert!(uri.unwrap().contains(":_d0c0ffee."), "the last statement's table: {uri:?}");
}

#[tokio::test]
async fn bigquery_sends_no_statement_back() {
    for freshness in ["2s", "0s"] {
        let flag = format!("--poll-freshness={freshness}");
        let stage = Stage::set_with(Options::default(), &[flag.as_str()]).await;
        let client = stage.client(Dialect::Flyte1).await;
        let mut long = task(0);
        let statement = format!("SELECT @customer_id -- {}", "x".repeat(100 << 10));
        long["template"]["sql"]["statement"] = json!(statement);
        let handle = client.create(&long).await.unwrap();
        assert_eq!(phases(&client, std::slice::from_ref(&handle)).await, ["QUEUED"]);
        client.delete(&long, &handle).await.unwrap();
        let longest = stage.fake.longest_answer();
        assert!((1..2048).contains(&longest), "{longest} bytes with a freshness of {freshness}");
        assert_eq!(stage.fake.violations(), [""; 0]);
    }
}

#[tokio::test]
async fn throttled_creates_are_delayed_and_do_not_fail() {
    let stage = Stage::set().await;
    stage.fake.fail_with([429; 40]);
    let client = stage.client(Dialect::Flyte1).await;
    create_all(&client, 100).await;
    assert_eq!(stage.fake.jobs(), 100, "none failed or was started twice");
    assert!(stage.service.metric("plugin_upstream_throttled_total").await >= 40.0);
}
