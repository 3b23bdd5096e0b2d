//! Requests to Databricks, and the handling of its responses.

use super::*;

/// The body that is submitted to Databricks for `custom`.
pub(super) async fn submitted(custom: Json, args: &[&str]) -> Json {
    let stage = Stage::set_with(Options::default(), &[("databricks_token", TOKEN)], args).await;
    let mut task = task();
    task["template"]["custom"] = custom;
    stage.client(Dialect::Flyte1).await.create(&task).await.unwrap();
    assert_eq!(stage.fake.violations(), [""; 0]);
    stage.fake.submitted()[0].clone()
}

#[tokio::test]
async fn repeated_create_starts_one_run() {
    for dialect in Dialect::ALL {
        let stage = Stage::set().await;
        let client = stage.client(dialect).await;
        for _ in 0..5 {
            client.create(&task()).await.unwrap();
        }
        assert_eq!((stage.fake.runs(), stage.fake.duplicates()), (1, 4), "{dialect:?}");
        let token = stage.fake.submitted()[0]["idempotency_token"].as_str().unwrap().len();
        assert_eq!(token, 64);
    }
}

#[tokio::test]
async fn submit_is_retried_after_a_lost_response() {
    let stage = Stage::set().await;
    stage.fake.fail_with([503, 503]);
    stage.client(Dialect::Flyte1).await.create(&task()).await.unwrap();
    assert_eq!((stage.fake.runs(), stage.fake.duplicates()), (1, 2));
}

#[tokio::test]
async fn cancelled_create_starts_one_run() {
    for dialect in Dialect::ALL {
        let stage = Stage::set().await;
        let task = task();
        stage.fake.hold_submits();
        let client = stage.client(dialect).await;
        tokio::select! {
            created = client.create(&task) => panic!("the response was held back: {created:?}"),
            () = until(|| stage.fake.runs() == 1) => {}
        }
        drop(client);
        stage.fake.release_submits();
        let again = stage.client(dialect).await;
        let handle = again.create(&task).await.unwrap();
        assert_eq!(stage.fake.runs(), 1, "{dialect:?}");
        assert_eq!(again.get(&task, &handle).await.unwrap().phase, "INITIALIZING");
    }
}

#[tokio::test]
async fn task_without_a_workspace_uses_the_default() {
    let stage = Stage::set_with(
        Options::default(),
        &[("databricks_token", TOKEN)],
        &["--default-instance=default.cloud.databricks.com"],
    )
    .await;
    let mut task = task();
    for (instance, host) in [
        (json!("acme-prod.cloud.databricks.com"), "acme-prod.cloud.databricks.com"),
        (Json::Null, "default.cloud.databricks.com"),
    ] {
        task["template"]["custom"]["databricksInstance"] = instance;
        task["output_prefix"] = host.into();
        let client = stage.client(Dialect::Flyte1).await;
        let handle = client.create(&task).await.unwrap();
        // The link of a run that cannot be polled is derived from its ids.
        stage.fake.forget_runs();
        stage.fake.fail_with([503; 100]);
        let hasty = client.with_timeout(Duration::from_millis(500));
        let seen = hasty.get(&task, &handle).await.unwrap();
        let page = format!("https://{host}/jobs/runs/");
        assert!(seen.links[0].1.starts_with(&page), "{:?}", seen.links);
        stage.fake.fail_with([]);
    }
}

#[tokio::test]
async fn notebook_returns_its_exit_value() {
    let mut golden = Golden::read(Flyte::V1, "dbx_notebook").unwrap().json;
    let outputs = json!({"variables": {"o0": {"type": {"simple": "STRING"}}}});
    golden["template"]["interface"]["outputs"] = outputs;
    for dialect in Dialect::ALL {
        let stage = Stage::set().await;
        let client = stage.client(dialect).await;
        let handle = client.create(&golden).await.unwrap();
        let mut seen = client.get(&golden, &handle).await.unwrap();
        while seen.phase != "SUCCEEDED" {
            seen = client.get(&golden, &handle).await.unwrap();
        }
        let output = &seen.outputs["literals"]["o0"];
        assert_eq!(output["scalar"]["primitive"]["string_value"], "42", "{dialect:?}");
        assert_eq!(stage.fake.requests_to("runs/get-output"), 1);
    }
}

#[tokio::test]
async fn cause_of_a_failure_determines_whether_it_is_retryable() {
    for (code, result, args, expected) in [
        ("CLUSTER_ERROR", "FAILED", &["--failed-runs=final"][..], "RETRYABLE_FAILED"),
        ("INVALID_RUN_CONFIGURATION", "FAILED", &[], "FAILED"),
        ("RUN_EXECUTION_ERROR", "FAILED", &[], "RETRYABLE_FAILED"),
        ("RUN_EXECUTION_ERROR", "FAILED", &["--failed-runs=final"], "FAILED"),
        ("CANCELED", "TIMEDOUT", &[], "FAILED"),
        ("CANCELED", "TIMEDOUT", &["--timed-out-runs=retryable"], "RETRYABLE_FAILED"),
    ] {
        let ending = Ending::Terminated { code: code.to_owned(), result: result.to_owned() };
        let options = Options { ending, polls: 0, ..Options::default() };
        let stage = Stage::set_with(options, &[("databricks_token", TOKEN)], args).await;
        let client = stage.client(Dialect::Flyte1).await;
        let handle = client.create(&task()).await.unwrap();
        client.get(&task(), &handle).await.unwrap();
        let seen = client.get(&task(), &handle).await.unwrap();
        assert_eq!(seen.phase, expected, "{code} {args:?}");
        assert!(seen.message.contains("ended as scripted"), "{}", seen.message);
    }
}

#[tokio::test]
async fn failure_is_reported_without_its_output() {
    let ending = Ending::Failure { error: "ZeroDivisionError".to_owned(), trace: String::new() };
    let options = Options { ending, polls: 0, ..Options::default() };
    let stage = Stage::set_with(options, &[("databricks_token", TOKEN)], &[]).await;
    let client = stage.client(Dialect::Flyte1).await;
    let handle = client.create(&task()).await.unwrap();
    client.get(&task(), &handle).await.unwrap();
    stage.fake.fail_with([200].into_iter().chain([503; 100]));
    let hasty = client.with_timeout(Duration::from_secs(3));
    let seen = hasty.get(&task(), &handle).await.unwrap();
    assert_eq!(seen.phase, "RETRYABLE_FAILED");
    assert!(seen.message.contains("Workload failed, see run output"), "{}", seen.message);
    assert!(stage.fake.requests_to("runs/get-output") > 0);
}

#[tokio::test]
async fn missing_run_fails_its_task() {
    let stage = Stage::set().await;
    let client = stage.client(Dialect::Flyte1).await;
    let handle = client.create(&task()).await.unwrap();
    stage.fake.forget_runs();
    assert_eq!(client.get(&task(), &handle).await.unwrap().phase, "QUEUED", "not listed yet");
    let old = stage.service.aged(&handle, Duration::from_secs(60));
    let seen = client.get(&task(), &old).await.unwrap();
    assert_eq!(seen.phase, "FAILED");
    assert!(seen.message.contains("does not exist"), "{}", seen.message);
}

#[tokio::test]
async fn author_defined_tasks_are_preserved() {
    let sql = json!({"task_key": "prepare", "sql_task": {"query": {"query_id": "q"}, "warehouse_id": "w"}});
    let conf = json!({
        "run_name": "two",
        "new_cluster": {"spark_version": "15.4.x-scala2.12", "num_workers": 1, "node_type_id": "m5.large"},
        "tasks": [sql, {"task_key": "etl", "depends_on": [{"task_key": "prepare"}], "max_retries": 2}],
    });
    let body = submitted(json!({"databricksConf": conf}), &[]).await;
    assert_eq!(body["tasks"][0], sql);
    let etl = &body["tasks"][1];
    assert_eq!(etl["task_key"], "etl");
    assert_eq!(etl["max_retries"], 2);
    assert_eq!(etl["new_cluster"]["spark_env_vars"]["APP_MODE"], "prod");
    assert_eq!(etl["new_cluster"]["docker_image"]["url"], "ghcr.io/acme/flyte-etl:1.16.31-9f3c");
    assert_eq!(etl["spark_python_task"]["source"], "GIT");
    assert_eq!(body["timeout_seconds"], 7200, "the task's own");
}

#[tokio::test]
async fn variables_are_set_where_the_environment_supports_them() {
    let custom = |spec: Json| {
        let environments = json!([{"environment_key": "mine", "spec": spec}]);
        json!({"databricksConf": {"run_name": "r", "environments": environments}})
    };
    let expected = json!({"APP_MODE": "prod", "LANG": "C.UTF-8", "FLYTE_FAIL_ON_ERROR": "true"});
    for spec in
        [json!({"environment_version": "5"}), json!({"base_environment": "/Workspace/env.yaml"})]
    {
        let body = submitted(custom(spec.clone()), &[]).await;
        assert_eq!(body["environments"][0]["spec"], spec);
        assert_eq!(body["environment_variables"][0]["spec"]["variables"], expected);
        assert_eq!(body["tasks"][0]["environment_variables_key"], "flyte");
        assert_eq!(body["tasks"][0]["environment_key"], "mine");
    }
    let body = submitted(custom(json!({"client": "4"})), &[]).await;
    assert_eq!(body["environments"][0]["spec"]["environment_vars"], expected);
    assert_eq!(body.get("environment_variables"), None);
}

#[tokio::test]
async fn workspace_file_needs_no_git_source() {
    for (file, in_git) in
        [("jobs/etl.py", true), ("/Workspace/jobs/etl.py", false), ("dbfs:/jobs/etl.py", false)]
    {
        let conf = json!({"run_name": "r", "existing_cluster_id": "c-1", "python_file": file});
        let body = submitted(json!({"databricksConf": conf}), &[]).await;
        let task = &body["tasks"][0]["spark_python_task"];
        assert_eq!(task["python_file"], file);
        assert_eq!(task.get("source").is_some(), in_git, "{file}");
        assert_eq!(body.get("git_source").is_some(), in_git, "{file}");
    }
}

#[tokio::test]
async fn invalid_field_is_named() {
    let stage = Stage::set().await;
    let client = stage.client(Dialect::Rest).await;
    for (conf, field) in [
        (json!({"tasks": {}}), "custom.databricksConf.tasks: must be a list of objects"),
        (json!({"tasks": []}), "custom.databricksConf.tasks: is empty"),
        (json!({"new_cluster": "c-1"}), "custom.databricksConf.new_cluster: must be an object"),
        (json!({"python_file": 7}), "custom.databricksConf.python_file: must be a string"),
        (
            json!({"existing_cluster_id": "c-1", "spark_python_task": {"python_file": "f.py"}}),
            "custom.databricksConf.spark_python_task: ",
        ),
        (json!({"tasks": [{}, null]}), "custom.databricksConf.tasks[1]: must not be null"),
        (
            json!({"environment_key": "e", "environments": {}}),
            "custom.databricksConf.environments: must be a list",
        ),
        (json!("c-1"), "custom.databricksConf: invalid type"),
    ] {
        let mut task = task();
        task["template"]["custom"]["databricksConf"] = conf;
        let refusal = client.create(&task).await.unwrap_err();
        assert_eq!(refusal.code, 400, "{refusal:?}");
        assert!(refusal.message.starts_with(field), "{refusal:?}");
    }
    assert_eq!(stage.fake.requests(), 0);
}
