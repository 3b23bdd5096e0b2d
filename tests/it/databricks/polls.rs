//! A thousand concurrent tasks.

use futures_util::{StreamExt as _, future::join_all};
use tokio::time::sleep;

use super::*;

const RUNS: usize = 1000;
const ENDED: usize = 40;
const FRESHNESS: Duration = Duration::from_millis(500);

fn task(number: usize) -> Json {
    let mut task = Golden::read(Flyte::V1, "dbx_new_cluster").unwrap().json;
    task["output_prefix"] = json!(format!("s3://bucket/many/{number}"));
    task
}

async fn phases(client: &Client, handles: &[Vec<u8>]) -> Vec<String> {
    let task = task(0);
    let poll = async |handle: &Vec<u8>| client.get(&task, handle).await.unwrap().phase;
    join_all(handles.iter().map(poll)).await
}

#[tokio::test]
async fn thousand_concurrent_polls_take_few_calls() {
    let options = Options { polls: 1_000_000, ..Options::default() };
    let secrets = [("databricks_token", TOKEN)];
    let freshness = format!("--poll-freshness={}ms", FRESHNESS.as_millis());
    let args = ["--connection-age=1h", &freshness];
    let stage = Stage::set_with(options, &secrets, &args).await;
    let client = stage.client(Dialect::Flyte1).await;
    let creates = (0..RUNS).map(async |number| client.create(&task(number)).await.unwrap());
    let handles = futures_util::stream::iter(creates).buffered(100).collect::<Vec<_>>().await;
    for ended in [0, ENDED] {
        stage.fake.end(ended);
        sleep(FRESHNESS).await;
        let before = stage.fake.requests();
        let seen = phases(&client, &handles).await;
        let calls = stage.fake.requests() - before;
        println!("Databricks, {ended} ended: {RUNS} polls, {calls} calls upstream");
        assert!(calls <= RUNS / 20, "{calls} calls for {RUNS} polls");
        let succeeded = seen.iter().filter(|phase| *phase == "SUCCEEDED").count();
        assert_eq!(succeeded, ended, "exactly the ended runs have succeeded");
    }
}

/// The most calls that three polls of runs at these places take, in a workspace with many other jobs.
#[tokio::test]
async fn joint_poll_needs_few_extra_calls() {
    const ENDED: usize = 100;
    const ALONE: usize = 2;
    for (ours, most) in [(157, 1), (100, 2 + 3 + 3), (97, 2 + 1), (0, 2 + 3 + 3)] {
        let options = Options { polls: 1_000_000, ..Options::default() };
        let stage = Stage::set_with(options, &[("databricks_token", TOKEN)], &[]).await;
        let client = stage.client(Dialect::Flyte1).await;
        let mut handles = Vec::new();
        for number in 0..160 {
            handles.push(client.create(&task(number)).await.unwrap());
        }
        stage.fake.end(ENDED);
        let before = stage.fake.requests();
        let seen = phases(&client, &handles[ours..ours + 3]).await;
        let calls = stage.fake.requests() - before;
        assert!(calls <= ALONE + most, "runs from {ours}: {calls} calls");
        let expected = if ours < ENDED { "SUCCEEDED" } else { "INITIALIZING" };
        assert_eq!(seen, [expected; 3]);
    }
}

#[tokio::test]
async fn joint_poll_returns_all_links() {
    let options = Options { polls: 1_000_000, ..Options::default() };
    let stage = Stage::set_with(options, &[("databricks_token", TOKEN)], &[]).await;
    let client = stage.client(Dialect::Flyte1).await;
    let mut handles = Vec::new();
    for number in 0..3 {
        handles.push(client.create(&task(number)).await.unwrap());
        client.get(&task(number), &handles[number]).await.unwrap();
    }
    let gets = stage.fake.requests_to("runs/get");
    let task = task(0);
    let polls = handles.iter().map(async |handle| client.get(&task, handle).await.unwrap());
    for seen in join_all(polls).await {
        let names = seen.links.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>();
        assert_eq!(names, ["Databricks Console", "Driver Logs", "Spark UI"]);
    }
    assert_eq!(gets, 3, "each new run was polled individually");
    assert_eq!(stage.fake.requests_to("runs/get"), gets, "and no run again");
}

#[tokio::test]
async fn failed_runs_are_polled_individually() {
    let ending = Ending::Failure { error: "ValueError: no rows".to_owned(), trace: String::new() };
    let stage = Stage::set_with(
        Options { polls: 0, ending, ..Options::default() },
        &[("databricks_token", TOKEN)],
        &[],
    )
    .await;
    let client = stage.client(Dialect::Flyte2).await;
    let mut handles = Vec::new();
    for number in 0..5 {
        handles.push(client.create(&task(number)).await.unwrap());
    }
    stage.fake.end(5);
    let task = task(0);
    let polls = handles.iter().map(async |handle| client.get(&task, handle).await.unwrap());
    for seen in join_all(polls).await {
        assert_eq!(seen.phase, "RETRYABLE_FAILED");
        assert!(seen.message.contains("ValueError: no rows"), "{}", seen.message);
    }
}
