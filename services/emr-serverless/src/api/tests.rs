use plugin_core::serde_json::{self, json};

use super::*;

fn status(run: Json) -> Status {
    let retryable = ["maximumCapacity".to_owned(), String::new()];
    serde_json::from_value::<Run>(run).unwrap().status(&retryable)
}

#[test]
fn every_state_of_the_model_has_a_phase() {
    let phases = [
        ("SUBMITTED", Phase::Queued),
        ("QUEUED", Phase::Queued),
        ("PENDING", Phase::Queued),
        ("SCHEDULED", Phase::Initializing),
        ("RUNNING", Phase::Running),
        ("SUCCESS", Phase::Succeeded),
        ("FAILED", Phase::Failed),
        ("CANCELLING", Phase::Running),
        ("CANCELLED", Phase::Failed),
        ("HIBERNATING", Phase::Running),
    ];
    for (state, phase) in phases {
        assert_eq!(status(json!({ "state": state })).phase(), phase, "{state}");
        assert_eq!(ACTIVE.contains(&state), !phase.is_terminal() && state != "HIBERNATING");
    }
    let model = include_str!("../../../../tests/aws-models/emr-serverless.json");
    let model = serde_json::from_str::<Json>(model).unwrap();
    for state in model["shapes"]["JobRunState"]["enum"].as_array().unwrap() {
        assert!(phases.iter().any(|(known, _)| state == known), "{state}");
    }
    let unknown = format!("{:?}", status(json!({"state": "HIBERNATING"})));
    assert!(unknown.contains("unknown_state: Some(\"HIBERNATING\")"), "{unknown}");
}

#[test]
fn a_failure_has_the_details_and_capacity_is_tried_again() {
    for (state, details, phase, text) in [
        (
            "FAILED",
            "Job failed, please check complete logs",
            Phase::Failed,
            "please check complete logs",
        ),
        ("FAILED", "", Phase::Failed, "AWS gave no details"),
        (
            "FAILED",
            "Job failed as the application has reached MaximumCapacity settings.",
            Phase::RetryableFailed,
            "reached MaximumCapacity",
        ),
        ("CANCELLED", "Job execution timed out.", Phase::Failed, "timed out"),
        ("CANCELLED", "", Phase::Failed, "was cancelled at AWS"),
    ] {
        let status = status(json!({"state": state, "stateDetails": details}));
        assert_eq!(status.phase(), phase, "{details}");
        let status = format!("{status:?}");
        assert!(status.contains(text), "{status}");
        assert!(status.contains(&format!("code: Some({state:?})")), "{status}");
    }
}

#[test]
fn what_a_run_used_are_facts() {
    let run = json!({
        "state": "SUCCESS", "releaseLabel": "emr-7.1.0", "attempt": 1, "queuedDurationMilliseconds": 1500,
        "totalExecutionDurationSeconds": 61, "totalResourceUtilization": {"vCPUHour": 0.02, "memoryGBHour": 0.1, "storageGBHour": 0.3},
        "billedResourceUtilization": {"vCPUHour": 0.03},
    });
    let status = format!("{:?}", status(run));
    for fact in [
        "\"release_label\": String(\"emr-7.1.0\")",
        "\"attempt\": Number(1)",
        "\"queued_millis\": Number(1500)",
        "\"execution_seconds\": Number(61)",
        "\"vcpu_hours\": Number(0.02)",
        "\"storage_gb_hours\": Number(0.3)",
        "\"billed_vcpu_hours\": Number(0.03)",
    ] {
        assert!(status.contains(fact), "{fact}: {status}");
    }
}

#[test]
fn members_that_aws_may_add_or_leave_out_do_no_harm() {
    for run in [
        json!({"state": "RUNNING", "new": {"a": 1}}),
        json!({"state": "RUNNING", "stateDetails": null, "totalResourceUtilization": null}),
    ] {
        assert_eq!(status(run).phase(), Phase::Running);
    }
}

#[test]
fn an_ended_run_is_not_active() {
    let mut active = Active::default();
    let runs = json!({"jobRuns": [{"id": "00a", "state": "RUNNING"}, {"id": "00b", "state": "FAILED"}], "nextToken": "n"});
    assert_eq!(active.add(serde_json::from_value(runs).unwrap()).as_deref(), Some("n"));
    assert_eq!(active.status("00a").unwrap().phase(), Phase::Running);
    assert!(active.has("00b") && active.status("00b").is_none() && active.status("00c").is_none());
}

#[test]
fn an_application_starts_itself_unless_it_says_no() {
    let read = |json: Json| serde_json::from_value::<Application>(json).unwrap();
    assert!(read(json!({"state": "STOPPED"})).starts_itself());
    assert!(!read(json!({"autoStartConfiguration": {"enabled": false}})).starts_itself());
    let images = json!({"imageConfiguration": {"imageUri": "a"},
        "workerTypeSpecifications": {"Spark_Driver": {"imageConfiguration": {"imageUri": "b"}}}});
    assert_eq!(read(images).images().collect::<Vec<_>>(), ["a", "b"]);
}
