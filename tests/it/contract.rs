//! Our services keep to the contract of plugins, as plugin-conformance sees it from outside, with tasks of Flyte's own SDKs.

use clap::Parser as _;
use plugin_conformance::{Args, Outcome, run};
use plugin_core::testing::TestService;
use tests::golden::{Flyte, Golden};

use crate::{databricks, snowflake, stage};

/// Runs every rule on `service` with a task that succeeds.
async fn expect_kept(service: &TestService, task: &str) {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let task = Golden::read(Flyte::V1, task).unwrap().json.to_string();
    let args = Args::parse_from([
        "plugin-conformance".to_owned(),
        format!("--url=http://{}", service.api()),
        format!("--admin-url=http://{}", service.admin()),
        format!("--token-file={}", file("token", &service.token("propeller"))),
        format!("--task={}", file("task.json", &task)),
        "--time-limit=10s".to_owned(),
        "--poll-interval=20ms".to_owned(),
    ]);
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
