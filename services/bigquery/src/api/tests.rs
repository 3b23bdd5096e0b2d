use plugin_core::serde_json::json;

use super::*;

fn status(status: &Json) -> Status {
    let job = json!({
        "jobReference": {"projectId": "p", "jobId": "j", "location": "EU"},
        "status": status,
    });
    serde_json::from_value::<Job>(job).unwrap().status()
}

#[test]
fn every_state_has_a_phase() {
    for (state, phase) in [
        ("PENDING", Phase::Queued),
        ("RUNNING", Phase::Running),
        ("DONE", Phase::Succeeded),
        ("SOMETHING_NEW", Phase::Running),
    ] {
        assert_eq!(status(&json!({"state": state})).phase(), phase, "{state}");
    }
    assert_eq!(status(&json!({})).phase(), Phase::Queued);
    for state in ["PENDING", "RUNNING", "DONE"] {
        let known = format!("{:?}", status(&json!({"state": state})));
        assert!(known.contains("unknown_state: None"), "{known}");
    }
}

fn job(job: &Json) -> Job {
    let mut whole = json!({"jobReference": {"projectId": "p", "jobId": "j"}});
    whole.as_object_mut().unwrap().extend(job.as_object().unwrap().clone());
    serde_json::from_value(whole).unwrap()
}

#[test]
fn a_job_succeeded_if_it_ended_without_an_error() {
    let error = json!({"reason": "invalid", "message": "m"});
    for (status, succeeded) in [
        (json!({"state": "DONE"}), true),
        (json!({"state": "RUNNING"}), false),
        (json!({"state": "DONE", "errorResult": error}), false),
    ] {
        assert_eq!(job(&json!({"status": status})).succeeded(), succeeded, "{status}");
    }
}

#[test]
fn statements_of_a_script_did_not_fail() {
    let error = json!({"state": "DONE", "errorResult": {"reason": "invalid"}});
    for (kind, status, expected) in [
        ("STATEMENT", json!({"state": "DONE"}), true),
        ("EXPRESSION", json!({"state": "DONE"}), false),
        ("STATEMENT", error.clone(), false),
        ("EXPRESSION", error, false),
    ] {
        let statistics = json!({"scriptStatistics": {"evaluationKind": kind}});
        let child = job(&json!({"statistics": statistics, "status": status}));
        assert_eq!(child.is_statement_of_script(), expected, "{kind} {status}");
    }
}

#[test]
fn the_results_are_the_table_that_was_written_or_created() {
    let table = |id: &str| json!({"projectId": "p", "datasetId": "d", "tableId": id});
    let written = json!({"query": {"destinationTable": table("written")}});
    let statistics =
        |kind: &str| json!({"query": {"statementType": kind, "ddlTargetTable": table("target")}});
    for (configuration, statistics, expected) in [
        (written.clone(), json!({}), Some("bq://p:d.written")),
        (written, statistics("CREATE_TABLE_AS_SELECT"), Some("bq://p:d.written")),
        (json!({}), statistics("CREATE_TABLE"), Some("bq://p:d.target")),
        (json!({}), statistics("DROP_TABLE"), None),
        (json!({}), json!({}), None),
    ] {
        let job = job(&json!({"configuration": configuration, "statistics": statistics}));
        assert_eq!(job.results(), expected.map(Value::structured_dataset), "{statistics}");
    }
}

#[test]
fn statistics_are_shown_as_far_as_there_are_any() {
    let statistics = json!({"totalBytesProcessed": "5", "query": {"cacheHit": true}});
    let status = job(&json!({"statistics": statistics})).status();
    let shown = format!("{status:?}");
    for expected in ["total_bytes_processed", "cache_hit"] {
        assert!(shown.contains(expected), "{shown}");
    }
    for missing in ["statement_type", "total_slot_ms"] {
        assert!(!shown.contains(missing), "{shown}");
    }
}

#[test]
fn warnings_do_not_fail_a_job() {
    let errors = json!([{"reason": "invalid", "message": "one row"}]);
    for (state, phase) in [("DONE", Phase::Succeeded), ("RUNNING", Phase::Running)] {
        assert_eq!(status(&json!({"state": state, "errors": errors})).phase(), phase);
    }
}

#[test]
fn every_error_reason_has_a_phase() {
    let table = [
        (
            Phase::RetryableFailed,
            "backendError badGateway internalError jobBackendError jobInternalError \
          jobRateLimitExceeded quotaExceeded rateLimitExceeded tableUnavailable",
        ),
        (
            Phase::Failed,
            "accessDenied attributeError billingNotEnabled billingTierLimitExceeded \
          blocked bytesBilledLimitExceeded duplicate invalid invalidQuery invalidUser notFound \
          notImplemented resourceInUse resourcesExceeded responseTooLarge stopped timeout somethingNew",
        ),
    ];
    for (phase, reasons) in table {
        for reason in reasons.split_whitespace() {
            let done = json!({"state": "DONE", "errorResult": {"reason": reason, "message": "m"}});
            assert_eq!(status(&done).phase(), phase, "{reason}");
        }
    }
}

#[test]
fn http_errors_are_classified_by_reason() {
    let table = [
        (400, "badRequest", Kind::InvalidArgument),
        (400, "billingTierLimitExceeded", Kind::InvalidArgument),
        (400, "invalid", Kind::InvalidArgument),
        (400, "invalidQuery", Kind::InvalidArgument),
        (400, "jobBackendError", Kind::Unavailable),
        (400, "jobInternalError", Kind::Unavailable),
        (400, "jobRateLimitExceeded", Kind::ResourceExhausted),
        (400, "resourceInUse", Kind::InvalidArgument),
        (400, "resourcesExceeded", Kind::InvalidArgument),
        (400, "tableUnavailable", Kind::Unavailable),
        (400, "timeout", Kind::InvalidArgument),
        (403, "blocked", Kind::FailedPrecondition),
        (403, "responseTooLarge", Kind::FailedPrecondition),
        (501, "notImplemented", Kind::FailedPrecondition),
        (401, "authError", Kind::Unauthenticated),
        (403, "accessDenied", Kind::PermissionDenied),
        (403, "billingNotEnabled", Kind::FailedPrecondition),
        (403, "rateLimitExceeded", Kind::ResourceExhausted),
        (403, "quotaExceeded", Kind::Unavailable),
        (404, "notFound", Kind::NotFound),
        (409, "duplicate", Kind::AlreadyExists),
        (408, "somethingNew", Kind::Unavailable),
        (429, "somethingNew", Kind::ResourceExhausted),
        (502, "somethingNew", Kind::Unavailable),
        (500, "backendError", Kind::Unavailable),
        (503, "backendError", Kind::Unavailable),
    ];
    for (code, reason, kind) in table {
        let body = json!({"error": {"message": "m", "errors": [{"reason": reason}]}}).to_string();
        let read = failure(StatusCode::from_u16(code).unwrap(), body.as_bytes()).unwrap();
        assert_eq!((read.kind, read.code.as_deref()), (kind, Some(reason)));
    }
    assert_eq!(failure(StatusCode::BAD_GATEWAY, b"<html>"), None);
}

#[test]
fn location_of_a_duplicate_is_parsed_from_the_message() {
    let find = |message| location_of_duplicate(message, "flyte-1");
    assert_eq!(
        find("Already Exists: Job acme:asia-northeast1.flyte-1").as_deref(),
        Some("asia-northeast1")
    );
    assert_eq!(find("Already Exists: Job example.com:acme:EU.flyte-1").as_deref(), Some("EU"));
    assert_eq!(find("Already Exists: Job acme:EU.flyte-2"), None);
    assert_eq!(find("Already Exists: Job acme:.flyte-1"), None);
    assert_eq!(find("Already Exists: Job acme:the EU.flyte-1"), None);
    assert_eq!(find("duplicate"), None);
}

#[test]
fn unexpected_values_in_members_do_not_make_a_job_unreadable() {
    for (statistics, configuration) in [
        (json!([]), json!("text")),
        (json!({"query": 1, "totalSlotMs": {}, "numChildJobs": []}), json!({"query": []})),
        (
            json!({"query": {"ddlTargetTable": "t", "cacheHit": [true]}}),
            json!({"query": {"destinationTable": 7}}),
        ),
        (json!(null), json!({"query": {"destinationTable": {"projectId": "p", "datasetId": 1}}})),
    ] {
        let job = job(&json!({"statistics": statistics, "configuration": configuration}));
        assert_eq!(job.results(), None, "{statistics}");
        let status = format!("{:?}", job.status());
        assert!(!status.contains("slot") && !status.contains("cache"), "{status}");
    }
}

#[test]
fn facts_are_told_as_the_vendor_tells_them() {
    let query = json!({"cacheHit": false, "totalBytesBilled": "10", "statementType": "SELECT"});
    let statistics = json!({"query": query, "totalSlotMs": "7", "numChildJobs": 2, "ratio": 0.5});
    let status = format!("{:?}", job(&json!({"statistics": statistics})).status());
    for fact in ["\"cache_hit\": Bool(false)", "String(\"10\")", "String(\"7\")", "Number(2)"] {
        assert!(status.contains(fact), "{fact} in {status}");
    }
}
