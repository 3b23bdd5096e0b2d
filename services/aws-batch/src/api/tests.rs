use plugin_core::serde_json::{self, json};

use super::*;

fn status_by(verdict: Verdict, job: Json) -> Status {
    let retryable_reasons =
        vec!["Host EC2".to_owned(), "DockerTimeoutError".to_owned(), String::new()];
    let verdicts = Verdicts { failed_jobs: verdict, retryable_reasons };
    serde_json::from_value::<Detail>(job).unwrap().status(&verdicts)
}

#[test]
fn every_state_of_the_model_has_a_phase() {
    let phases = [
        ("SUBMITTED", Phase::Queued),
        ("PENDING", Phase::Queued),
        ("RUNNABLE", Phase::Queued),
        ("STARTING", Phase::Initializing),
        ("RUNNING", Phase::Running),
        ("SUCCEEDED", Phase::Succeeded),
        ("FAILED", Phase::Failed),
        ("HIBERNATING", Phase::Running),
    ];
    for (state, phase) in phases {
        assert_eq!(status_by(Verdict::Final, json!({ "status": state })).phase(), phase, "{state}");
    }
    let model = include_str!("../../../../tests/aws-models/batch.json");
    let model = serde_json::from_str::<Json>(model).unwrap();
    for state in model["shapes"]["JobStatus"]["enum"].as_array().unwrap() {
        assert!(phases.iter().any(|(known, _)| state == known), "{state}");
    }
    let unknown = format!("{:?}", status_by(Verdict::Final, json!({"status": "HIBERNATING"})));
    assert!(unknown.contains("unknown_state: Some(\"HIBERNATING\")"), "{unknown}");
}

#[test]
fn reasons_and_exit_codes_decide_whether_a_failure_may_be_retried() {
    let (failed, retryable) = (Phase::Failed, Phase::RetryableFailed);
    for (job, by_final, by_retryable, code) in [
        (
            json!({"statusReason": "Essential container in task exited", "container": {"exitCode": 1}}),
            failed,
            retryable,
            "EXIT_1",
        ),
        (
            json!({"statusReason": "Essential container in task exited", "attempts": [{"container": {"exitCode": 137,
            "reason": "OutOfMemoryError: Container killed due to memory usage"}}]}),
            failed,
            retryable,
            "EXIT_137",
        ),
        (
            json!({"statusReason": "Host EC2 (instance i-0a1b) terminated."}),
            retryable,
            retryable,
            "FAILED",
        ),
        (
            json!({"statusReason": "Task failed", "container": {"reason": "DockerTimeoutError: Could not transition"}}),
            retryable,
            retryable,
            "FAILED",
        ),
        (
            json!({"statusReason": "Task failed", "container": {"reason": "CannotPullContainerError: not found"}}),
            failed,
            failed,
            "FAILED",
        ),
        (
            json!({"statusReason": "Job attempt duration exceeded timeout", "container": {"exitCode": 137}}),
            failed,
            failed,
            "TIMEOUT",
        ),
        (
            json!({"statusReason": "by hand", "isTerminated": true, "container": {"exitCode": 143}}),
            failed,
            failed,
            "TERMINATED",
        ),
        (
            json!({"statusReason": "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - All compute environments"}),
            failed,
            failed,
            "FAILED",
        ),
        (json!({}), failed, failed, "FAILED"),
    ] {
        let mut job = job;
        job["status"] = "FAILED".into();
        for (verdict, phase) in [(Verdict::Final, by_final), (Verdict::Retryable, by_retryable)] {
            let status = status_by(verdict, job.clone());
            assert_eq!(status.phase(), phase, "{verdict:?} {job}");
            let text = format!("{status:?}");
            assert!(text.contains(&format!("code: Some({code:?})")), "{text}");
        }
    }
}

#[test]
fn the_author_reads_all_that_aws_says() {
    let job = json!({"status": "FAILED", "statusReason": "Essential container in task exited", "container": {"exitCode": 137},
        "attempts": [{"statusReason": "Essential container in task exited", "container": {"reason": "OutOfMemoryError"}}]});
    let text = format!("{:?}", status_by(Verdict::Final, job));
    assert!(text.contains("\"Essential container in task exited; OutOfMemoryError\""), "{text}");
}

#[test]
fn facts_and_the_log_stream_are_found() {
    let job = json!({"status": "SUCCEEDED", "createdAt": 1000, "startedAt": 3000, "stoppedAt": 10_000,
        "container": {"exitCode": 0, "logStreamName": "flyte/default/1f2e"}, "attempts": [{}]});
    let found = serde_json::from_value::<Detail>(job.clone()).unwrap();
    assert_eq!(found.log_stream(), Some("flyte/default/1f2e"));
    let text = format!("{:?}", status_by(Verdict::Final, job));
    for fact in [
        "\"queued_millis\": Number(2000)",
        "\"execution_millis\": Number(7000)",
        "\"exit_code\": Number(0)",
        "\"attempts\": Number(1)",
    ] {
        assert!(text.contains(fact), "{fact}: {text}");
    }
}

#[test]
fn the_first_job_of_the_very_name_is_found() {
    let listed = json!({"jobSummaryList": [
        {"jobId": "b", "jobName": "key", "createdAt": 2}, {"jobId": "a", "jobName": "key", "createdAt": 1},
        {"jobId": "c", "jobName": "KEY", "createdAt": 0}]});
    let listed = serde_json::from_value::<Listed>(listed).unwrap();
    assert_eq!(listed.first("key").as_deref(), Some("a"));
    assert_eq!(listed.first("other"), None);
}

#[test]
fn the_newest_revision_that_fits_is_found() {
    let revisions = json!({"jobDefinitions": [
        {"jobDefinitionArn": "d:1", "revision": 1, "containerProperties": {"image": "a"}},
        {"jobDefinitionArn": "d:3", "revision": 3, "containerProperties": {"image": "b"}},
        {"jobDefinitionArn": "d:2", "revision": 2, "containerProperties": {"image": "a"}}]});
    let revisions = serde_json::from_value::<Definitions>(revisions).unwrap();
    assert_eq!(revisions.newest(|container| container["image"] == "a").as_deref(), Some("d:2"));
    assert_eq!(revisions.newest(|_| false), None);
}
