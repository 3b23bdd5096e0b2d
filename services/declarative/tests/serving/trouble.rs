//! Callers that send odd values, limits, and answers that are none.

use plugin_core::{
    serde_json::json,
    testing::{Answer, logs},
};

use super::{ACME, serve, task};

#[tokio::test]
async fn what_a_caller_sends_stays_where_it_belongs() {
    let file = ACME.replace("post: /jobs", "post: \"/projects/${custom.script}/jobs\"");
    let file = file.replacen("    json:", "    headers: {x-script: =custom.script}\n    json:", 1);
    let stage = serve(&[&file]).await;
    for (number, (script, target)) in [
        ("a?b=c#d", "/v1/projects/a%3Fb=c%23d/jobs"),
        ("%2e%2e%2f", "/v1/projects/%252e%252e%252f/jobs"),
        ("../..", "/v1/projects/..%2F../jobs"),
        ("http://evil.example/", "/v1/projects/http:%2F%2Fevil.example%2F/jobs"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut task = task(&json!({}));
        task["template"]["custom"]["script"] = json!(script);
        task["output_prefix"] = json!(format!("s3://bucket/{number}"));
        stage.created(&task).await;
        let sent = stage.vendor.take_received().remove(0);
        assert_eq!(
            (sent.target.as_str(), sent.headers["x-script"].to_str().unwrap()),
            (target, script)
        );
    }
    for (number, script) in
        ["..", ".", "", "a\r\nx-evil: 1", "\t..", "a\u{0}b"].into_iter().enumerate()
    {
        let mut task = task(&json!({}));
        task["template"]["custom"]["script"] = json!(script);
        task["output_prefix"] = json!(format!("s3://bucket/refused/{number}"));
        let handle = stage.client.create(&task).await.unwrap();
        let seen = stage.client.get(&task, &handle).await.unwrap();
        assert_eq!(seen.phase, "FAILED", "{script:?}");
        assert!(seen.message.contains("create.request."), "{script:?}: {}", seen.message);
        assert_eq!(stage.vendor.count(), 0, "{script:?}");
    }
}

#[tokio::test]
async fn a_file_has_limits_of_its_own() {
    let limits = "limits: {creates: 1, upstream_timeout: 300ms, upstream_concurrency: 2}\n";
    let other = ACME.replace("name: acme\n", "name: other\n").replace("acme_job:0", "other_job:0");
    let other = other.replace(
        "{description: The URL of Acme's API}",
        "{description: A URL, default: 'https://other.example'}",
    );
    let stage = serve(&[&format!("{limits}{ACME}"), &other]).await;
    let tasks = (0..2).map(|number| {
        let mut task = task(&json!({}));
        task["output_prefix"] = json!(format!("s3://bucket/{number}"));
        task
    });
    let tasks = tasks.collect::<Vec<_>>();
    stage.answer(200, json!({"id": "1"}));
    stage.vendor.hold();
    let second = async {
        stage.vendor.wait_for(1).await;
        let refused = stage.client.create(&tasks[1]).await;
        stage.vendor.release();
        refused
    };
    let (first, second) = tokio::join!(stage.client.create(&tasks[0]), second);
    first.unwrap();
    let refused = second.unwrap_err().to_string();
    assert!(refused.contains("the plugin acme is overloaded; retry later"), "{refused}");
    stage.client.create(&tasks[1]).await.unwrap();
    // An attempt ends with the file's timeout, and is repeated long before the service's own.
    drop(stage.vendor.take_received());
    stage.vendor.hold();
    let mut third = tasks[0].clone();
    third["output_prefix"] = json!("s3://bucket/third");
    let repeated = async {
        stage.vendor.wait_for(2).await;
        stage.vendor.release();
    };
    let (third, ()) = tokio::join!(stage.client.create(&third), repeated);
    third.unwrap();
}

#[tokio::test]
async fn what_a_vendor_answers_is_no_link_but_to_a_page() {
    let file = ACME.replace("'https://acme.example/${job.id}'", "=job.id");
    let stage = serve(&[&file]).await;
    for (number, (id, links)) in
        [("javascript:alert(1)", 0), ("s3://b/k", 0), ("https://acme.example/1", 1)]
            .into_iter()
            .enumerate()
    {
        let mut task = task(&json!({}));
        task["output_prefix"] = json!(format!("s3://bucket/{number}"));
        stage.answer(200, json!({"id": id}));
        let handle = stage.client.create(&task).await.unwrap();
        stage.answer(200, json!({"state": "waiting"}));
        let seen = stage.client.get(&task, &handle).await.unwrap();
        assert_eq!(seen.links.len(), links, "{id}: {:?}", seen.links);
    }
}

#[tokio::test]
async fn a_job_whose_ids_do_not_fit_into_a_handle_is_stopped() {
    let stage = serve(&[ACME]).await;
    stage.answer(200, json!({"id": "x".repeat(5000)}));
    let task = task(&json!({}));
    let handle = stage.client.create(&task).await.unwrap();
    let seen = stage.client.get(&task, &handle).await.unwrap();
    assert_eq!(seen.phase, "FAILED");
    assert!(seen.message.contains("does not fit into a handle"), "{}", seen.message);
    let sent = stage.vendor.received();
    assert_eq!(sent.last().unwrap().method, "DELETE");
}

#[tokio::test]
async fn a_caller_is_not_told_where_a_file_is() {
    // The file's own example is another task.
    let failing = "retries: =9 // (custom.script | length - 9)";
    let file = ACME.replace("retries: =settings.retries", failing);
    let file = file.replace("{script: report.py}", "{script: a.py}");
    let stage = serve(&[&file]).await;
    let task = task(&json!({}));
    let handle = stage.client.create(&task).await.unwrap();
    let seen = stage.client.get(&task, &handle).await.unwrap();
    assert_eq!(seen.phase, "FAILED");
    assert!(seen.message.contains("create.request.json: `9 // ("), "{}", seen.message);
    assert!(!seen.message.contains(".yaml"), "{}", seen.message);
    // Nor is one whose answer does not fit; the log has both.
    let line = |text: &str| file.lines().position(|line| line.contains(text)).unwrap() + 1;
    let stage = serve(&[ACME]).await;
    let handle = stage.created(&task).await;
    let (_, told, _) = stage.polled(&task, &handle, json!({"no": "state"})).await;
    assert!(told.contains("get.state: `body.state`: has no value"), "{told}");
    assert!(!told.contains(".yaml"), "{told}");
    let (created, polled) = (line("retries: =9"), line("state: =body.state"));
    for place in [format!("0.yaml:{created}:17"), format!("0.yaml:{polled}:11")] {
        assert!(logs().contains(&place), "{place} is not in the log");
    }
}

#[tokio::test]
async fn an_answer_that_is_no_json_is_called_so() {
    let stage = serve(&[ACME]).await;
    let task = task(&json!({}));
    stage.vendor.answer_with([Answer::new(204, json!(null))]);
    let error = stage.client.create(&task).await.unwrap_err().to_string();
    assert!(error.contains("create.job.id: has no value; the answer is empty"), "{error}");
}
