//! Our services keep to the contract of plugins, as plugin-conformance sees it from outside, with tasks of Flyte's own SDKs.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bridge::Bridge;
use clap::Parser as _;
use http::Method;
use plugin_conformance::{Args, Outcome, run};
use plugin_core::testing::{TestService, spawn_raw};
use serde_json::{Value as Json, json};
use tests::{
    fakes::plugin_server::{PluginServer, Received},
    golden::{Flyte, Golden},
};

use crate::{databricks, snowflake, stage};

/// Runs every rule on `service` with a task of a golden file that succeeds.
async fn expect_kept(service: &TestService, task: &str) {
    let task = Golden::read(Flyte::V1, task).unwrap().json;
    expect_kept_for(service, &[task]).await;
}

/// Runs every rule on `service` with tasks that succeed.
async fn expect_kept_for(service: &TestService, tasks: &[Json]) {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let fixed = [
        "plugin-conformance".to_owned(),
        format!("--url=http://{}", service.api()),
        format!("--admin-url=http://{}", service.admin()),
        format!("--token-file={}", file("token", &service.token("propeller"))),
        "--time-limit=10s".to_owned(),
        "--poll-interval=20ms".to_owned(),
    ];
    let tasks = tasks.iter().enumerate().map(|(number, task)| {
        format!("--task={}", file(&format!("task-{number}.json"), &task.to_string()))
    });
    let args = Args::parse_from(fixed.into_iter().chain(tasks));
    let report = run(&args).await.unwrap();
    let failed = report.findings.iter().filter(|found| found.outcome == Outcome::Fail);
    assert_eq!(failed.map(|found| found.rule.id).collect::<Vec<_>>(), [""; 0], "{}", report.text());
    let passed = report.findings.iter().filter(|found| found.outcome == Outcome::Pass).count();
    assert!(passed >= 40, "{passed} rules were checked and hold:\n{}", report.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn bigquery_keeps_to_the_contract() {
    let stage = stage::Stage::set().await;
    expect_kept(&stage.service, "bq_docs_example").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn databricks_keeps_to_the_contract() {
    let stage = databricks::Stage::set().await;
    expect_kept(&stage.service, "dbx_new_cluster").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn snowflake_keeps_to_the_contract() {
    let stage = snowflake::Stage::set().await;
    expect_kept(&stage.service, "sf_select_output").await;
}

/// A plugin that shouts: a job for each key, which runs for two polls, and a task that is answered at once.
fn shouting() -> impl Fn(&Received) -> (u16, Json) + Send + Sync + 'static {
    let jobs = Mutex::<HashMap<String, (Json, u32)>>::default();
    move |Received { method, target, headers, body }| {
        let mut jobs = jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let shouted = |task: &Json| {
            let outputs = json!({"o0": task["inputs"]["text"].as_str().unwrap().to_uppercase()});
            let links = json!([{"name": "Log", "uri": "https://shout.example.com/1"}]);
            json!({"phase": "SUCCEEDED", "outputs": outputs, "log_links": links})
        };
        let key = match target.split_once("job_id=%22") {
            Some((_, id)) => id.trim_end_matches("%22").to_owned(),
            None => headers["idempotency-key"].to_str().unwrap().to_owned(),
        };
        if *method == Method::POST {
            return (200, shouted(body));
        }
        if *method == Method::PUT {
            jobs.entry(key.clone()).or_insert_with(|| (body.clone(), 0));
            return (200, json!({ "job_id": key }));
        }
        let Some((task, polls)) = jobs.get_mut(&key) else { return (404, json!({})) };
        if *method == Method::DELETE {
            *task = Json::Null;
            return (200, json!({}));
        }
        *polls += 1;
        let links = json!([{"name": "Log", "uri": "https://shout.example.com/1"}]);
        match task {
            Json::Null => (200, json!({"phase": "FAILED", "message": "stopped"})),
            _ if *polls < 3 => (200, json!({"phase": "RUNNING", "log_links": links})),
            task => (200, shouted(task)),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bridge_keeps_to_the_contract_before_a_plugin_that_does() {
    let server = PluginServer::start().await;
    server.run(shouting());
    let upstream = format!("--upstream=unix:{}", server.socket().display());
    let line = [&*upstream, "--task-types=shout", "--sync-task-types=ask"];
    let service = spawn_raw::<Bridge>(&line).await;
    while service.admin_text("/readyz").await != "ok\n" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let task = |name: &str| {
        let text = json!({"type": {"simple": "STRING"}});
        json!({
            "template": {
                "type": name,
                "interface": {
                    "inputs": {"variables": {"text": text}},
                    "outputs": {"variables": {"o0": text}},
                },
            },
            "inputs": {"literals": {"text": {"scalar": {"primitive": {"string_value": "hi"}}}}},
            "output_prefix": "s3://bucket/contract",
        })
    };
    expect_kept_for(&service, &[task("shout"), task("ask")]).await;
}
