use std::time::Duration;

use plugin_core::{serde_json, testing};

use super::*;

fn request(custom: Json) -> Result<Json> {
    let cx = testing::context(Duration::from_secs(1));
    let mut task = Task::<Custom>::new(serde_json::from_value(custom).unwrap());
    task.timeout = Some(Duration::from_secs(61));
    let role = Some("arn:aws:iam::111122223333:role/spark".to_owned());
    Request::new(&cx, &task, role, None).map(|request| serde_json::to_value(request).unwrap())
}

fn with(more: &Json) -> Json {
    let mut custom = json!({"spark_job_driver": {"entryPoint": "s3://b/main.py"}});
    custom.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    custom
}

#[test]
fn every_field_is_sent() {
    let custom = with(&json!({
        "configuration_overrides": {"applicationConfiguration": [{"classification": "a"}], "diskEncryptionConfiguration": null},
        "application_configuration": [{"classification": "b"}],
        "retry_policy": {"maxAttempts": 3}, "tags": {"team": "x", "ManagedBy": "us"},
        "execution_timeout_minutes": 30, "release_label": "emr-7.0.0", "sync_image": true,
    }));
    let mut sent = request(custom).unwrap();
    let sent = sent.as_object_mut().unwrap();
    assert_eq!(sent.remove("clientToken").unwrap().as_str().unwrap().len(), 64);
    assert!(sent.remove("name").unwrap().as_str().unwrap().starts_with("flyte-"));
    assert_eq!(
        Json::Object(sent.clone()),
        json!({
            "executionRoleArn": "arn:aws:iam::111122223333:role/spark",
            "jobDriver": {"sparkSubmit": {"entryPoint": "s3://b/main.py"}},
            "tags": {"Application": "flyte", "ManagedBy": "us", "team": "x"},
            "configurationOverrides": {"applicationConfiguration": [{"classification": "a"}, {"classification": "b"}]},
            "executionTimeoutMinutes": 30,
            "retryPolicy": {"maxAttempts": 3},
        })
    );
}

#[test]
fn a_run_lasts_no_longer_than_its_task() {
    assert_eq!(request(with(&json!({}))).unwrap()["executionTimeoutMinutes"], 2);
    assert_eq!(
        request(with(&json!({"execution_timeout_minutes": 0}))).unwrap()["executionTimeoutMinutes"],
        0
    );
}

#[test]
fn what_aws_would_refuse_is_refused_by_field() {
    for (more, message) in [
        (json!({"tags": {"a#": "b"}}), "custom.tags: \"a#\""),
        (json!({"tags": {"a": "b".repeat(257)}}), "custom.tags: \"a\""),
        (
            json!({"retry_policy": {"maxAttempts": 0}}),
            "custom.retry_policy.maxAttempts: must be at least 1",
        ),
        (
            json!({"configuration_overrides": {"applicationConfiguration": {}}, "application_configuration": [{}]}),
            "custom.configuration_overrides.applicationConfiguration: must be a list",
        ),
        (
            json!({"execution_timeout_minutes": 1_000_001}),
            "custom.execution_timeout_minutes: 1000001 is more than",
        ),
    ] {
        let error = request(with(&more)).unwrap_err();
        assert!(error.message().starts_with(message), "{error}");
    }
}
