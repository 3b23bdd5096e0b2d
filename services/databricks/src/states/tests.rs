use plugin_core::serde_json::{self, Value as Json, json};

use super::*;

const BY_DEFAULT: Verdicts =
    Verdicts { failed_runs: Verdict::Retryable, timed_out_runs: Verdict::Final };
const INVERTED: Verdicts =
    Verdicts { failed_runs: Verdict::Final, timed_out_runs: Verdict::Retryable };

fn read(run: &Json) -> Run {
    serde_json::from_value(run.clone()).unwrap()
}

fn phase_with(verdicts: &Verdicts, run: &Json) -> Phase {
    read(run).status(verdicts, "https://acme/jobs/runs/1".to_owned()).phase()
}

fn phase(run: &Json) -> Phase {
    phase_with(&BY_DEFAULT, run)
}

/// A run with the older form of the state.
fn older(life_cycle: &str, result: Option<&str>) -> Json {
    json!({"state": {"life_cycle_state": life_cycle, "result_state": result, "state_message": ""}})
}

fn newer(state: &str, code: &str, ty: &str) -> Json {
    json!({"status": {"state": state, "termination_details": {"code": code, "type": ty}}})
}

#[test]
fn every_life_cycle_state_has_a_phase() {
    for (state, expected) in [
        ("BLOCKED", Phase::Running),
        ("INTERNAL_ERROR", Phase::RetryableFailed),
        ("PENDING", Phase::Initializing),
        ("QUEUED", Phase::Queued),
        ("RUNNING", Phase::Running),
        ("SKIPPED", Phase::Failed),
        ("TERMINATING", Phase::Running),
        ("WAITING_FOR_RETRY", Phase::Running),
        ("SOMETHING_NEW", Phase::Running),
    ] {
        assert_eq!(phase(&older(state, None)), expected, "{state}");
    }
    for (state, expected) in [
        ("BLOCKED", Phase::Running),
        ("PENDING", Phase::Initializing),
        ("QUEUED", Phase::Queued),
        ("RUNNING", Phase::Running),
        ("TERMINATING", Phase::Running),
        ("WAITING", Phase::Running),
        ("SOMETHING_NEW", Phase::Running),
    ] {
        assert_eq!(phase(&json!({"status": {"state": state}})), expected, "{state}");
    }
    assert_eq!(phase(&json!({})), Phase::Running);
}

#[test]
fn known_states_are_not_reported_as_unknown() {
    for state in ["BLOCKED", "RUNNING", "TERMINATING", "WAITING", "WAITING_FOR_RETRY"] {
        let known = read(&json!({"status": {"state": state}}));
        let status = format!("{:?}", known.status(&BY_DEFAULT, String::new()));
        assert!(status.contains("unknown_state: None"), "{status}");
    }
}

#[test]
fn failures_have_a_code_and_the_first_message_there_is() {
    let status = |run: &Json| read(run).status(&BY_DEFAULT, "https://acme".to_owned());
    let with = |phase, code: &str, message: &str| Status::new(phase).code(code).message(message);
    let shown = |status: Status| {
        let bare = format!("{status:?}");
        bare.split(", links").next().unwrap().to_owned()
    };
    let mut run = newer("TERMINATED", "CLUSTER_ERROR", "CLOUD_FAILURE");
    run["state"] = json!({"state_message": "older", "life_cycle_state": "TERMINATED"});
    let expected = with(Phase::RetryableFailed, "CLUSTER_ERROR", "older");
    assert_eq!(shown(status(&run)), shown(expected));
    run["status"]["termination_details"]["message"] = json!("newer");
    let expected = with(Phase::RetryableFailed, "CLUSTER_ERROR", "newer");
    assert_eq!(shown(status(&run)), shown(expected));
    let expected = with(Phase::Failed, "CANCELED", "");
    assert_eq!(shown(status(&older("TERMINATED", Some("CANCELED")))), shown(expected));
    let expected = with(Phase::Succeeded, "", "");
    assert_eq!(shown(status(&older("TERMINATED", Some("SUCCESS")))), shown(expected));
}

#[test]
fn every_result_has_a_phase() {
    for (result, expected, inverted) in [
        ("CANCELED", Phase::Failed, Phase::Failed),
        ("DISABLED", Phase::Failed, Phase::Failed),
        ("EXCLUDED", Phase::Failed, Phase::Failed),
        ("FAILED", Phase::RetryableFailed, Phase::Failed),
        ("MAXIMUM_CONCURRENT_RUNS_REACHED", Phase::RetryableFailed, Phase::RetryableFailed),
        ("SUCCESS", Phase::Succeeded, Phase::Succeeded),
        ("SUCCESS_WITH_FAILURES", Phase::Succeeded, Phase::Succeeded),
        ("TIMEDOUT", Phase::Failed, Phase::RetryableFailed),
        ("UPSTREAM_CANCELED", Phase::Failed, Phase::Failed),
        ("UPSTREAM_FAILED", Phase::Failed, Phase::Failed),
    ] {
        let run = older("TERMINATED", Some(result));
        assert_eq!(phase(&run), expected, "{result}");
        assert_eq!(phase_with(&INVERTED, &run), inverted, "{result}");
    }
}

/// Every termination code of the SDK, with its phase by default.
const BY_CODE: [(Phase, &str); 3] = [
    (Phase::Succeeded, "SUCCESS SUCCESS_WITH_FAILURES"),
    (
        Phase::Failed,
        "USER_CANCELED CANCELED SKIPPED DISABLED INVALID_CLUSTER_REQUEST FEATURE_DISABLED \
         UNAUTHORIZED_ERROR RESOURCE_NOT_FOUND INVALID_RUN_CONFIGURATION BUDGET_POLICY_LIMIT_EXCEEDED",
    ),
    (
        Phase::RetryableFailed,
        "INTERNAL_ERROR DRIVER_ERROR CLUSTER_ERROR REPOSITORY_CHECKOUT_FAILED \
         WORKSPACE_RUN_LIMIT_EXCEEDED CLUSTER_REQUEST_LIMIT_EXCEEDED STORAGE_ACCESS_ERROR \
         RUN_EXECUTION_ERROR LIBRARY_INSTALLATION_ERROR MAX_CONCURRENT_RUNS_EXCEEDED \
         MAX_SPARK_CONTEXTS_EXCEEDED CLOUD_FAILURE MAX_JOB_QUEUE_SIZE_EXCEEDED BREAKING_CHANGE \
         CLUSTER_TERMINATED_BY_USER",
    ),
];

#[test]
fn every_termination_code_has_a_phase() {
    for (expected, codes) in BY_CODE {
        for code in codes.split_whitespace() {
            assert_eq!(phase(&newer("TERMINATED", code, "CLIENT_ERROR")), expected, "{code}");
            // A run that was never started has it in the older form, too.
            let mut skipped = newer("TERMINATED", code, "CLIENT_ERROR");
            skipped["state"] = json!({"life_cycle_state": "SKIPPED"});
            assert_eq!(phase(&skipped), expected, "{code}");
        }
    }
}

#[test]
fn the_readme_has_the_same_verdicts() {
    let readme = include_str!("../../README.md");
    let table = readme.split_once("Ended, with a termination code:").unwrap().1;
    let rows = table.lines().skip_while(|line| !line.starts_with('|'));
    let rows = rows.take_while(|line| line.starts_with('|')).filter(|row| row.starts_with("| `"));
    let mut documented = Vec::new();
    for row in rows {
        let mut cells = row.split('|').skip(1);
        let (codes, verdict) = (cells.next().unwrap(), cells.next().unwrap().trim());
        for code in codes.split('`').skip(1).step_by(2) {
            let phase =
                BY_CODE.iter().find(|(_, codes)| codes.split_whitespace().any(|c| c == code));
            let name = match phase.map(|(phase, _)| *phase) {
                Some(Phase::Succeeded) => "SUCCEEDED",
                Some(Phase::RetryableFailed) => "RETRYABLE_FAILED",
                _ => "FAILED",
            };
            assert_eq!(verdict.split(';').next(), Some(name), "{code}");
            documented.push(code);
        }
    }
    let mut codes =
        BY_CODE.iter().flat_map(|(_, codes)| codes.split_whitespace()).collect::<Vec<_>>();
    codes.sort_unstable();
    documented.sort_unstable();
    assert_eq!(documented, codes);
}

#[test]
fn only_failures_of_the_task_are_configurable() {
    for code in ["RUN_EXECUTION_ERROR", "LIBRARY_INSTALLATION_ERROR"] {
        let run = newer("TERMINATED", code, "CLIENT_ERROR");
        assert_eq!(phase_with(&INVERTED, &run), Phase::Failed, "{code}");
    }
    let run = newer("TERMINATED", "CLUSTER_ERROR", "CLOUD_FAILURE");
    assert_eq!(phase_with(&INVERTED, &run), Phase::RetryableFailed);
}

#[test]
fn unknown_codes_are_classified_by_type() {
    for (ty, expected) in [
        ("SUCCESS", Phase::Succeeded),
        ("INTERNAL_ERROR", Phase::RetryableFailed),
        ("CLOUD_FAILURE", Phase::RetryableFailed),
        ("CLIENT_ERROR", Phase::Failed),
        ("SOMETHING_NEW", Phase::Running),
    ] {
        let run = newer("TERMINATED", "SOMETHING_NEW", ty);
        assert_eq!(phase_with(&INVERTED, &run), expected, "{ty}");
    }
}

#[test]
fn timeouts_are_not_cancellations() {
    let mut run = newer("TERMINATED", "CANCELED", "CLIENT_ERROR");
    run["state"] = json!({"life_cycle_state": "TERMINATED", "result_state": "TIMEDOUT"});
    assert_eq!(phase(&run), Phase::Failed);
    assert_eq!(phase_with(&INVERTED, &run), Phase::RetryableFailed);
}

#[test]
fn the_failed_task_refines_the_phase_of_its_run() {
    let task = |result: &str, code: &str, id: i64| {
        json!({
            "run_id": id,
            "state": {"life_cycle_state": "TERMINATED", "result_state": result},
            "status": {"state": "TERMINATED", "termination_details": {"code": code}},
        })
    };
    // A run of several tasks whose code failed ends with an internal error, in the older form.
    let mut run = older("INTERNAL_ERROR", Some("FAILED"));
    run["tasks"] = json!([
        task("SUCCESS", "SUCCESS", 1),
        task("FAILED", "RUN_EXECUTION_ERROR", 2),
        task("UPSTREAM_FAILED", "SKIPPED", 3),
    ]);
    assert_eq!(phase_with(&INVERTED, &run), Phase::Failed);
    assert_eq!(read(&run).failed_task_id(), Some(2));
    assert_eq!(read(&run).notebook_task_id(), Some(3));
    run["tasks"][0]["notebook_task"] = json!({"notebook_path": "/etl"});
    assert_eq!(read(&run).notebook_task_id(), Some(1));

    let mut run = newer("TERMINATED", "RUN_EXECUTION_ERROR", "CLIENT_ERROR");
    run["tasks"] = json!([task("FAILED", "CLUSTER_ERROR", 2)]);
    assert_eq!(phase_with(&INVERTED, &run), Phase::RetryableFailed);

    // A run that says itself why it failed, that timed out, or that succeeded although a task failed.
    let mut run = newer("TERMINATED", "INVALID_RUN_CONFIGURATION", "CLIENT_ERROR");
    run["tasks"] = json!([task("FAILED", "CLUSTER_ERROR", 2)]);
    assert_eq!(phase(&run), Phase::Failed);
    let mut run = older("TERMINATED", Some("TIMEDOUT"));
    run["tasks"] = json!([task("FAILED", "CLUSTER_ERROR", 2)]);
    assert_eq!(phase(&run), Phase::Failed);
    let mut run = older("TERMINATED", Some("SUCCESS_WITH_FAILURES"));
    run["tasks"] = json!([task("FAILED", "CLUSTER_ERROR", 2)]);
    assert_eq!(phase(&run), Phase::Succeeded);

    // A task that never ran explains nothing.
    let mut run = newer("TERMINATED", "RUN_EXECUTION_ERROR", "CLIENT_ERROR");
    run["tasks"] = json!([
        task("FAILED", "CLUSTER_ERROR", 2),
        task("UPSTREAM_FAILED", "RUN_EXECUTION_ERROR", 3),
        task("FAILED", "SKIPPED", 4),
        task("SUCCESS", "SUCCESS", 5),
    ]);
    assert_eq!(read(&run).failed_task_id(), Some(2));
}

#[test]
fn the_last_attempt_of_a_task_counts() {
    let attempt = |number: u32, code: &str, id: i64| {
        json!({
            "task_key": "flyte_task", "attempt_number": number, "run_id": id, "notebook_task": {},
            "state": {"life_cycle_state": "TERMINATED", "result_state": "FAILED"},
            "status": {"state": "TERMINATED", "termination_details": {"code": code}},
        })
    };
    for attempts in [[0, 1], [1, 0]] {
        let mut run = newer("TERMINATED", "RUN_EXECUTION_ERROR", "CLIENT_ERROR");
        let codes = ["CLOUD_FAILURE", "RUN_EXECUTION_ERROR"];
        let tasks = attempts.map(|at| attempt(at, codes[at as usize], i64::from(at)));
        run["tasks"] = json!(tasks);
        assert_eq!(phase_with(&INVERTED, &run), Phase::Failed);
        assert_eq!(read(&run).failed_task_id(), Some(1));
        assert_eq!(read(&run).notebook_task_id(), Some(1));
    }
}

#[test]
fn unknown_results_fail_after_a_grace_period() {
    let mut run = older("TERMINATED", None);
    run["end_time"] = Timestamp::now().as_millisecond().into();
    assert_eq!(phase(&run), Phase::Running);
    run["end_time"] = 1_700_000_000_000_i64.into();
    assert_eq!(phase(&run), Phase::Failed);
    // Databricks writes 0 for a run that has not ended.
    run["end_time"] = 0.into();
    assert_eq!(phase(&run), Phase::Running);
}

#[test]
fn links_point_to_the_workspace_of_the_run() {
    assert_eq!(
        cluster_page("https://acme/?o=7#job/1/run/2", "c-1", "driver-logs"),
        "https://acme/?o=7#setting/sparkui/c-1/driver-logs"
    );
    assert_eq!(
        cluster_page("https://acme/jobs/runs/2", "c-1", "99"),
        "https://acme/#setting/sparkui/c-1/99"
    );
}
