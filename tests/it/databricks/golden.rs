//! Every golden request, with every outcome.

use super::*;

/// Golden requests that Databricks cannot run, with the expected message.
const REFUSED: [(&str, &str); 3] = [
    ("dbx_no_compute", "custom.databricksConf: specifies no compute"),
    ("dbx_no_conf", "custom.databricksConf: specifies no compute"),
    ("dbx_null_conf_no_container", "template.container: missing"),
];

/// The secrets that the golden requests refer to.
const SECRETS: [(&str, &str); 3] = [
    ("databricks_token", TOKEN),
    ("team-a-databricks", "dapi-of-team-a-0123456789"),
    ("team-a-oauth", "an-oauth-secret-of-team-a"),
];

async fn stage(ending: Ending, polls: u32) -> Stage {
    let options = Options {
        ending,
        polls,
        tokens: ["dapi0123456789abcdef", SECRETS[0].1, SECRETS[1].1].map(str::to_owned).into(),
        clients: vec![("11111111-2222-3333-4444-555555555555".to_owned(), SECRETS[2].1.to_owned())],
        ..Options::default()
    };
    Stage::set_with(options, &SECRETS, &[]).await
}

/// All requests of task type `databricks`.
fn all() -> Vec<Golden> {
    let mut all = Golden::all(Flyte::V1, "dbx_").unwrap();
    all.retain(|golden| golden.name != "dbx_legacy_spark_type");
    all.extend(Golden::all(Flyte::V2, "dbx_").unwrap());
    assert_eq!(all.len(), 19);
    all
}

fn running() -> Vec<Golden> {
    let is_refused = |golden: &Golden| REFUSED.iter().any(|(name, _)| *name == golden.name);
    all().into_iter().filter(|golden| !is_refused(golden)).collect()
}

#[tokio::test]
async fn every_request_succeeds() {
    for golden in running() {
        let stage = stage(Ending::Success("42".to_owned()), 2).await;
        let handle = stage.send(&golden).await.unwrap();
        let (phase, resource) = stage.poll_to_the_end(&golden, &handle).await;
        assert_eq!(phase, "SUCCEEDED", "{}: {}", golden.name, resource.message);
        assert_eq!(stage.fake.violations(), [""; 0], "{}", golden.name);
        assert_eq!(resource.outputs, None, "{}: the code writes its own", golden.name);
        let links = plugin_core::testing::links_of(&resource)
            .into_iter()
            .map(|link| link.name)
            .collect::<Vec<_>>();
        assert_eq!(links, ["Databricks Console", "Driver Logs", "Spark UI"]);
        let version = if golden.flyte == Flyte::V1 { "v1" } else { "v2" };
        let name = format!("{version}_{}", golden.name);
        insta::assert_json_snapshot!(name, stage.fake.submitted()[0]);
    }
}

#[tokio::test]
async fn every_failed_request_has_the_error_of_its_code() {
    for golden in running() {
        let ending = Ending::Failure {
            error: "ZeroDivisionError: division by zero".to_owned(),
            trace: "Traceback (most recent call last):\n  File \"etl.py\", line 7".to_owned(),
        };
        let stage = stage(ending, 1).await;
        let handle = stage.send(&golden).await.unwrap();
        let (phase, resource) = stage.poll_to_the_end(&golden, &handle).await;
        assert_eq!(phase, "RETRYABLE_FAILED", "{}", golden.name);
        assert_eq!(
            resource.message,
            "RUN_EXECUTION_ERROR: ZeroDivisionError: division by zero\n\
             Traceback (most recent call last):\n  File \"etl.py\", line 7",
            "{}",
            golden.name
        );
    }
}

#[tokio::test]
async fn every_request_can_be_cancelled() {
    for golden in running() {
        let stage = stage(Ending::Success(String::new()), 100).await;
        let handle = stage.send(&golden).await.unwrap();
        stage.stop(&golden, &handle).await.unwrap();
        let (phase, resource) = stage.poll_to_the_end(&golden, &handle).await;
        assert_eq!(phase, "FAILED", "{}: {}", golden.name, resource.message);
        stage.stop(&golden, &handle).await.unwrap();
        stage.fake.forget_runs();
        let old = stage.service.aged(&handle, Duration::from_secs(60));
        stage.stop(&golden, &old).await.unwrap();
        assert_eq!(stage.fake.requests_to("runs/cancel"), 3);
    }
}

#[tokio::test]
async fn invalid_requests_fail_with_the_reason_and_are_not_sent() {
    for (name, expected) in REFUSED {
        let stage = stage(Ending::Success(String::new()), 1).await;
        let golden = Golden::read(Flyte::V1, name).unwrap();
        let handle = stage.send(&golden).await.unwrap();
        let (phase, resource) = stage.poll_to_the_end(&golden, &handle).await;
        assert_eq!(phase, "FAILED", "{name}");
        assert!(resource.message.contains(expected), "{name}: {}", resource.message);
        assert_eq!(stage.fake.requests(), 0, "{name}");
    }
}

#[tokio::test]
async fn spark_task_type_is_not_served_by_default() {
    let stage = Stage::set().await;
    for name in ["dbx_legacy_spark_type", "spark_k8s_not_databricks"] {
        let golden = Golden::read(Flyte::V1, name).unwrap();
        let status = stage.send(&golden).await.unwrap_err();
        assert_eq!(status.code(), Code::NotFound, "{name}");
        assert!(status.message().ends_with("available: databricks version 0"), "{status}");
    }
}

#[tokio::test]
async fn spark_task_type_is_served_if_enabled() {
    let secrets = [("databricks_token", TOKEN)];
    let stage = Stage::set_with(Options::default(), &secrets, &["--spark"]).await;
    let old = Golden::read(Flyte::V1, "dbx_legacy_spark_type").unwrap();
    let handle = stage.send(&old).await.unwrap();
    assert_eq!(stage.poll_to_the_end(&old, &handle).await.0, "SUCCEEDED");
    let kubernetes = Golden::read(Flyte::V1, "spark_k8s_not_databricks").unwrap();
    let handle = stage.send(&kubernetes).await.unwrap();
    let (phase, resource) = stage.poll_to_the_end(&kubernetes, &handle).await;
    assert_eq!(phase, "FAILED");
    assert!(resource.message.contains("custom.databricksConf"), "{}", resource.message);
    assert_eq!(stage.fake.submitted().len(), 1);
}

/// States recorded with the official connector, with the expected phase.
const STATES: [(&str, &str); 22] = [
    ("blocked", "RUNNING"),
    ("canceled", "FAILED"),
    ("excluded", "FAILED"),
    ("failed", "RETRYABLE_FAILED"),
    // Fails only after the grace period.
    ("http_401", "RUNNING"),
    // A run that is seconds old may not be listed yet.
    ("http_404", "QUEUED"),
    ("http_429", "RUNNING"),
    ("http_500", "RUNNING"),
    ("internal_error", "RETRYABLE_FAILED"),
    ("maximum_concurrent_runs_reached", "RETRYABLE_FAILED"),
    ("no_state", "RUNNING"),
    ("pending", "INITIALIZING"),
    ("queued", "QUEUED"),
    ("running", "RUNNING"),
    ("skipped", "FAILED"),
    ("succeeded", "SUCCEEDED"),
    ("success_with_failures", "SUCCEEDED"),
    ("terminated_without_result", "RUNNING"),
    ("terminating", "RUNNING"),
    ("timedout", "FAILED"),
    ("upstream_failed", "FAILED"),
    ("waiting_for_retry", "RUNNING"),
];

#[tokio::test]
async fn responses_recorded_by_the_official_connector_map_to_phases() {
    for flyte in [Flyte::V1, Flyte::V2] {
        let answers = Golden::official(flyte, "_states_dbx").unwrap()["backend_answers"].take();
        for (name, answer) in answers.as_object().unwrap() {
            let (_, expected) = STATES
                .iter()
                .find(|(state, _)| state == name)
                .unwrap_or_else(|| panic!("no expected phase for {name}"));
            assert_eq!(phase_after(answer).await, *expected, "{flyte:?} {name}");
        }
    }
}

/// The phase of a run for which Databricks returns `answer`.
async fn phase_after(answer: &Json) -> String {
    let upstream = Upstream::start().await;
    let answer = match answer.as_u64() {
        Some(404) => error(404, "RESOURCE_DOES_NOT_EXIST"),
        Some(status) => error(status, "SOMETHING"),
        None => Answer::new(200, json!({"run_id": 1, "state": answer})),
    };
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("databricks_token"), TOKEN).unwrap();
    let endpoint = format!("--endpoint={}", upstream.url());
    let secrets = format!("--secrets-dir={}", dir.path().display());
    let service = spawn::<Databricks>(&[HOSTS, &endpoint, &secrets, "--poll-freshness=0s"]).await;
    let client = service.client(Dialect::Flyte1, "propeller").await;
    upstream.answer_with([Answer::new(200, json!({"run_id": 1}))]);
    let handle = client.create(&task()).await.unwrap();
    upstream.answer_with([answer]);
    client.get(&task(), &handle).await.unwrap().phase
}

fn error(status: u64, code: &str) -> Answer {
    let body = json!({"error_code": code, "message": "m"});
    Answer::new(u16::try_from(status).unwrap(), body)
}
