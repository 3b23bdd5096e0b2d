//! Many jobs that are read with few requests.

use futures_util::future::join_all;
use plugin_core::serde_json::{Value as Json, json};

use super::{ACME, serve, task};

/// Jobs that are read together if their regions are the same.
const MANY: &str = "get:
  many:
    by: id
    most: 3
    request: {post: '/regions/${job.region}/jobs/read', json: {ids: =ids}}
    items: =body.jobs
    id: =item.name
    body: =item.job
";

#[tokio::test]
async fn many_jobs_are_read_with_few_requests() {
    let file = ACME.replace("  job: {id: =body.id}", "  job: {id: =body.id, region: =body.region}");
    let stage = serve(&[&file.replacen("get:\n", MANY, 1)]).await;
    let mut jobs = Vec::new();
    for number in 0..8 {
        let mut task = task(&json!({"rows": {"type": {"simple": "INTEGER"}}}));
        task["output_prefix"] = json!(format!("s3://bucket/{number}"));
        stage.answer(200, json!({"id": format!("job-{number}"), "region": "eu"}));
        jobs.push((task.clone(), stage.client.create(&task).await.unwrap()));
    }
    // The last one is not in the list, and is read by itself.
    let listed = (0..7).map(
        |number| json!({"name": format!("job-{number}"), "job": {"state": "done", "rows": number}}),
    );
    let listed = listed.collect::<Vec<_>>();
    stage.answer(200, json!({"jobs": listed, "state": "waiting"}));
    drop(stage.vendor.take_received());
    let poll = async || {
        let polls = jobs.iter().map(|(task, handle)| stage.client.get(task, handle));
        join_all(polls).await.into_iter().map(Result::unwrap).collect::<Vec<_>>()
    };
    // Few jobs are read by themselves at first.
    poll().await;
    tokio::time::sleep(std::time::Duration::from_millis(1200)).await;
    poll().await;
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    let seen = poll().await;
    for (number, one) in seen.iter().enumerate().take(7) {
        assert_eq!(one.phase, "SUCCEEDED", "{number}");
        assert!(one.outputs.to_string().contains(&number.to_string()), "{}", one.outputs);
    }
    assert_eq!(seen[7].phase, "QUEUED");
    let sent = stage.vendor.take_received();
    let joint = sent.iter().filter(|sent| sent.target == "/v1/regions/eu/jobs/read");
    assert!(joint.clone().count() >= 1, "{} requests", sent.len());
    for request in joint {
        let ids = request.json()["ids"].as_array().unwrap().len();
        assert!((1..=3).contains(&ids), "{ids} ids");
    }
}

#[tokio::test]
async fn odd_items_of_a_list_leave_the_others_as_they_are() {
    let file = ACME.replace("  job: {id: =body.id}", "  job: {id: =body.id, region: =body.region}");
    let stage = serve(&[&file.replacen("get:\n", MANY, 1)]).await;
    let mut jobs = Vec::new();
    for number in 0..3 {
        let mut task = task(&json!({}));
        task["output_prefix"] = json!(format!("s3://bucket/{number}"));
        stage.answer(200, json!({"id": format!("job-{number}"), "region": "eu"}));
        jobs.push((task.clone(), stage.client.create(&task).await.unwrap()));
    }
    let item = |name: Json, state: &str| json!({"name": name, "job": {"state": state}});
    let listed = [
        item(json!("job-0"), "done"),
        item(json!({"not": "a name"}), "done"),
        json!(null),
        json!("job-1"),
        item(json!("job-1"), "error"),
        item(json!("job-1"), "done"),
        item(json!("nobody's"), "done"),
        json!({"name": "job-2"}),
    ];
    // Whoever is read alone is still waiting.
    stage.answer(200, json!({"jobs": listed, "state": "waiting"}));
    let poll = async || {
        let polls = jobs.iter().map(|(task, handle)| stage.client.get(task, handle));
        join_all(polls).await.into_iter().map(|seen| seen.unwrap().phase).collect::<Vec<_>>()
    };
    poll().await;
    tokio::time::sleep(std::time::Duration::from_millis(1200)).await;
    poll().await;
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert_eq!(poll().await, ["SUCCEEDED", "QUEUED", "QUEUED"]);
}
