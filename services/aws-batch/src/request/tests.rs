use std::time::Duration;

use plugin_core::{serde_json, task::Container, testing};

use super::*;

fn task(custom: Json) -> Task<Custom> {
    let mut task = Task::<Custom>::new(serde_json::from_value(custom).unwrap());
    let mut container = Container::default();
    container.image = "etl:1".to_owned();
    container.args = ["pyflyte-execute", "--inputs", "s3://b/i"].map(str::to_owned).to_vec();
    container.requests = [("cpu".to_owned(), "2".to_owned())].into();
    task.container = Some(container);
    task
}

fn request(task: &Task<Custom>) -> Result<Json> {
    let cx = testing::context(Duration::from_secs(1));
    let request = Request::new(&cx, task, "etl".to_owned())?;
    let (_, body) =
        request.of("arn:aws:batch:eu-central-1:111122223333:job-definition/x:1".to_owned());
    Ok(body)
}

#[test]
fn every_field_is_sent() {
    let mut task =
        task(json!({"parameters": {"a": "b"}, "schedulingPriority": 5, "propagateTags": true,
        "tags": {"team": "x"}, "shareIdentifier": "s", "platformCapabilities": "EC2"}));
    task.timeout = Some(Duration::from_secs(5));
    let mut sent = request(&task).unwrap();
    assert_eq!(
        sent.as_object_mut().unwrap().remove("jobName").unwrap().as_str().unwrap().len(),
        64
    );
    assert_eq!(
        sent,
        json!({
            "jobQueue": "etl", "jobDefinition": "arn:aws:batch:eu-central-1:111122223333:job-definition/x:1",
            "containerOverrides": {
                "command": ["pyflyte-execute", "--inputs", "s3://b/i"],
                "environment": [{"name": "FLYTE_FAIL_ON_ERROR", "value": "true"}],
                "resourceRequirements": [{"type": "VCPU", "value": "2"}],
            },
            "retryStrategy": {"attempts": 1}, "timeout": {"attemptDurationSeconds": 60}, "parameters": {"a": "b"},
            "shareIdentifier": "s", "schedulingPriorityOverride": 5, "propagateTags": true, "tags": {"team": "x"},
        })
    );
}

#[test]
fn what_an_sdk_writes_for_unset_fields_is_not_sent() {
    let task = task(
        json!({"parameters": null, "schedulingPriority": null, "propagateTags": null, "tags": null}),
    );
    let sent = request(&task).unwrap();
    for key in ["parameters", "schedulingPriorityOverride", "propagateTags", "tags", "timeout"] {
        assert_eq!(sent[key], Json::Null, "{key}");
    }
}

#[test]
fn what_aws_would_refuse_is_refused_by_field() {
    let mut bare = task(json!({}));
    bare.container = None;
    assert!(request(&bare).unwrap_err().message().starts_with("template.container: missing"));
    let mut idle = task(json!({}));
    idle.container.as_mut().unwrap().args.clear();
    assert!(request(&idle).unwrap_err().message().starts_with("template.container.args: missing"));
    for (custom, message) in [
        (json!({"platformCapabilities": "EKS"}), "custom.platformCapabilities: \"EKS\" must be"),
        (json!({"tags": {"": "x"}}), "custom.tags: \"\""),
    ] {
        let error = request(&task(custom)).unwrap_err();
        assert!(error.message().starts_with(message), "{error}");
    }
}
