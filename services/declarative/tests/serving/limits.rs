//! Limits of files and of their task types.

use plugin_core::{serde_json::json, testing::Upstream};

use super::{ACME, Stage, serve, task};

/// The file with two task types, of which the second has the limits `own`.
fn two_task_types(file: &str, own: &str) -> String {
    let limits = format!("limits: {{{file}task_types: {{acme_small: {{{own}}}}}}}\n");
    limits + &ACME.replace("[acme_job:0]", "[acme_job:0, acme_small:0]")
}

/// A task of the type `name`, the `number`th.
fn nth(name: &str, number: usize) -> plugin_core::serde_json::Value {
    let mut task = task(&json!({}));
    task["template"]["type"] = json!(name);
    task["output_prefix"] = json!(format!("s3://bucket/{name}/{number}"));
    task
}

/// Creates `first`, and `others` while the vendor has not answered it: their outcomes.
async fn created_meanwhile(stage: &Stage, first: &str, others: &[&str]) -> Vec<String> {
    stage.answer(200, json!({"id": "1"}));
    drop(stage.vendor.take_received());
    stage.vendor.hold();
    let meanwhile = async {
        stage.vendor.wait_for(1).await;
        let mut outcomes = Vec::new();
        for (number, name) in others.iter().enumerate() {
            outcomes.push(outcome(stage, &stage.vendor, name, number + 1).await);
        }
        stage.vendor.release();
        outcomes
    };
    let first = nth(first, 0);
    let (first, outcomes) =
        tokio::join!(Box::pin(stage.client.create(&first)), Box::pin(meanwhile));
    first.unwrap();
    outcomes
}

/// What becomes of one more create: an error, or a call that the vendor sees.
async fn outcome(stage: &Stage, vendor: &Upstream, name: &str, number: usize) -> String {
    let (calls, task) = (vendor.count(), nth(name, number));
    tokio::select! {
        created = stage.client.create(&task) => created.unwrap_err().to_string(),
        () = vendor.wait_for(calls + 1) => "called".to_owned(),
    }
}

#[tokio::test]
async fn a_task_type_has_creates_of_its_own() {
    let stage = serve(&[&two_task_types("creates: 1, ", "creates: 1")]).await;
    let outcomes = created_meanwhile(&stage, "acme_small", &["acme_small", "acme_job"]).await;
    assert!(outcomes[0].contains("the task type acme_small is overloaded"), "{outcomes:?}");
    assert_eq!(outcomes[1], "called", "the file's creates do not count those of the task type");
}

#[tokio::test]
async fn what_a_task_type_does_not_limit_is_as_the_file_has_it() {
    let stage = serve(&[&two_task_types("creates: 1, ", "upstream_timeout: 5s")]).await;
    let outcomes = created_meanwhile(&stage, "acme_job", &["acme_small"]).await;
    assert!(outcomes[0].contains("the plugin acme is overloaded; retry later"), "{outcomes:?}");
}

#[tokio::test]
async fn calls_of_a_task_type_are_counted_by_themselves() {
    let stage = serve(&[&two_task_types("", "upstream_concurrency: 1")]).await;
    stage.answer(200, json!({"id": "1"}));
    stage.vendor.hold();
    let tasks = ["acme_small", "acme_small", "acme_job", "acme_job"];
    let tasks = tasks.into_iter().enumerate().map(|(number, name)| nth(name, number));
    let tasks = tasks.collect::<Vec<_>>();
    let creates =
        futures_util::future::join_all(tasks.iter().map(|task| stage.client.create(task)));
    let seen = async {
        // Both of the other task type, and one of this.
        stage.vendor.wait_for(3).await;
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        let count = stage.vendor.count();
        stage.vendor.release();
        count
    };
    let (created, seen) = tokio::join!(creates, seen);
    assert_eq!(seen, 3);
    created.into_iter().for_each(|created| drop(created.unwrap()));
    assert_eq!(stage.vendor.count(), 4);
    // Polls are calls of the job's task type, too.
    let handle = stage.client.create(&nth("acme_small", 0)).await.unwrap();
    let (phase, ..) = stage.polled(&nth("acme_small", 0), &handle, json!({"state": "done"})).await;
    assert_eq!(phase, "SUCCEEDED");
}

#[tokio::test]
async fn a_task_type_has_a_timeout_of_its_own() {
    let stage =
        serve(&[&two_task_types("upstream_timeout: 60s, ", "upstream_timeout: 300ms")]).await;
    stage.answer(200, json!({"id": "1"}));
    stage.vendor.hold();
    let repeated = async {
        stage.vendor.wait_for(2).await;
        stage.vendor.release();
    };
    let task = nth("acme_small", 0);
    let (created, ()) = tokio::join!(stage.client.create(&task), repeated);
    created.unwrap();
}
