use plugin_core::{
    Phase,
    serde_json::{self, Value as Json, json},
};

use super::*;

fn status(found: Json) -> Status {
    serde_json::from_value::<Execution>(found).unwrap().status()
}

/// What botocore's model has.
fn model() -> Json {
    let text = include_str!("../../../../tests/aws-models/athena.json");
    serde_json::from_str(text).unwrap()
}

#[test]
fn every_state_of_the_model_has_a_phase() {
    let error =
        |retryable: Json| json!({"ErrorCategory": 1, "ErrorType": 401, "Retryable": retryable});
    let table = [
        ("QUEUED", Json::Null, Phase::Queued),
        ("RUNNING", Json::Null, Phase::Running),
        ("SUCCEEDED", Json::Null, Phase::Succeeded),
        ("FAILED", Json::Null, Phase::Failed),
        ("FAILED", error(false.into()), Phase::Failed),
        ("FAILED", error(Json::Null), Phase::Failed),
        ("FAILED", error(true.into()), Phase::RetryableFailed),
        ("CANCELLED", Json::Null, Phase::Failed),
        ("CANCELLED", error(false.into()), Phase::Failed),
        ("CANCELLED", error(true.into()), Phase::RetryableFailed),
        ("HIBERNATING", Json::Null, Phase::Running),
    ];
    for state in model()["shapes"]["QueryExecutionState"]["enum"].as_array().unwrap() {
        assert!(table.iter().any(|row| row.0 == state), "{state}");
    }
    for (state, error, phase) in table {
        let mut found = json!({"QueryExecutionId": "q", "Status": {"State": state}});
        if !error.is_null() {
            found["Status"]["AthenaError"] = error;
        }
        assert_eq!(status(found.clone()).phase(), phase, "{found}");
    }
    assert_eq!(status(json!({})).phase(), Phase::Queued);
    let unknown = format!("{:?}", status(json!({"Status": {"State": "HIBERNATING"}})));
    assert!(unknown.contains("unknown_state: Some(\"HIBERNATING\")"), "{unknown}");
}

#[test]
fn the_author_reads_athenas_reason_and_code() {
    for (found, code, message) in [
        (
            json!({"State": "FAILED", "StateChangeReason": "TABLE_NOT_FOUND: line 1:15: Table 'd.t' does not exist",
                   "AthenaError": {"ErrorType": 1301, "ErrorMessage": "TABLE_NOT_FOUND: line 1:15"}}),
            "TABLE_NOT_FOUND",
            "TABLE_NOT_FOUND: line 1:15: Table 'd.t' does not exist",
        ),
        (
            json!({"State": "FAILED", "AthenaError": {"ErrorType": 233, "ErrorMessage": "Bucket is in another region"}}),
            "ATHENA_233",
            "Bucket is in another region",
        ),
        (json!({"State": "FAILED"}), "FAILED", "the query failed; Athena gave no reason"),
        (
            json!({"State": "CANCELLED", "StateChangeReason": "Bytes scanned limit was exceeded"}),
            "CANCELLED",
            "Bytes scanned limit was exceeded",
        ),
        (json!({"State": "CANCELLED"}), "CANCELLED", "the query was cancelled at Athena"),
    ] {
        let text = format!("{:?}", status(json!({ "Status": found })));
        assert!(text.contains(&format!("code: Some({code:?})")), "{text}");
        assert!(text.contains(&format!("message: {message:?}")), "{text}");
    }
}

#[test]
fn statistics_are_facts() {
    let found = json!({
        "QueryExecutionId": "q", "StatementType": "DML", "SubstatementType": "SELECT", "WorkGroup": "etl",
        "EngineVersion": {"SelectedEngineVersion": "AUTO", "EffectiveEngineVersion": "Athena engine version 3"},
        "ResultConfiguration": {"OutputLocation": "s3://b/q.csv"},
        "Status": {"State": "SUCCEEDED", "SubmissionDateTime": 1_772_346_615.25},
        "Statistics": {"DataScannedInBytes": 10_485_760, "EngineExecutionTimeInMillis": 900, "TotalExecutionTimeInMillis": 1200,
            "QueryQueueTimeInMillis": 100, "QueryPlanningTimeInMillis": 80, "ServicePreProcessingTimeInMillis": 20,
            "ServiceProcessingTimeInMillis": 30, "DpuCount": 4.5, "ResultReuseInformation": {"ReusedPreviousResult": true}},
    });
    let text = format!("{:?}", status(found));
    for fact in [
        "\"data_scanned_bytes\": Number(10485760)",
        "\"engine_execution_millis\": Number(900)",
        "\"total_execution_millis\": Number(1200)",
        "\"queue_millis\": Number(100)",
        "\"planning_millis\": Number(80)",
        "\"preprocessing_millis\": Number(20)",
        "\"service_processing_millis\": Number(30)",
        "\"dpus\": Number(4.5)",
        "\"reused_previous_result\": Bool(true)",
        "\"workgroup\": String(\"etl\")",
        "\"statement_type\": String(\"DML\")",
        "\"engine_version\": String(\"Athena engine version 3\")",
        "\"output_location\": String(\"s3://b/q.csv\")",
    ] {
        assert!(text.contains(fact), "{fact}: {text}");
    }
}

#[test]
fn members_that_athena_may_add_or_leave_out_do_no_harm() {
    for found in
        [json!({"Statistics": null}), json!({"ResultConfiguration": {}}), json!({"New": {"a": 1}})]
    {
        assert_eq!(status(found).phase(), Phase::Queued);
    }
}

#[test]
fn facts_of_another_form_are_left_out() {
    let odd =
        [Json::Null, json!(-1), json!(1.5), json!("x"), json!([1]), json!({"a": 1}), json!(true)];
    let paths = [
        "/Query",
        "/StatementType",
        "/SubstatementType",
        "/WorkGroup",
        "/EngineVersion",
        "/ResultConfiguration",
        "/ManagedQueryResultsConfiguration",
        "/Statistics",
        "/Status/StateChangeReason",
        "/Status/AthenaError",
        "/EngineVersion/EffectiveEngineVersion",
        "/ResultConfiguration/OutputLocation",
        "/ManagedQueryResultsConfiguration/Enabled",
        "/Statistics/DataScannedInBytes",
        "/Statistics/DpuCount",
        "/Statistics/ResultReuseInformation",
        "/Statistics/ResultReuseInformation/ReusedPreviousResult",
        "/Status/AthenaError/ErrorType",
        "/Status/AthenaError/ErrorCategory",
        "/Status/AthenaError/Retryable",
        "/Status/AthenaError/ErrorMessage",
    ];
    for path in paths {
        for value in &odd {
            let mut found = json!({
                "QueryExecutionId": "q", "Query": "SELECT 1", "StatementType": "DML", "SubstatementType": "SELECT",
                "WorkGroup": "etl", "EngineVersion": {"EffectiveEngineVersion": "3"},
                "ResultConfiguration": {"OutputLocation": "s3://b/q.csv"},
                "ManagedQueryResultsConfiguration": {"Enabled": false},
                "Statistics": {"DataScannedInBytes": 1, "DpuCount": 1.5, "QueryQueueTimeInMillis": 77,
                               "ResultReuseInformation": {"ReusedPreviousResult": true}},
                "Status": {"State": "SUCCEEDED", "StateChangeReason": "", "AthenaError": {"ErrorType": 1,
                           "ErrorCategory": 2, "Retryable": false, "ErrorMessage": ""}},
            });
            *found.pointer_mut(path).unwrap() = value.clone();
            let status = status(found);
            assert_eq!(status.phase(), Phase::Succeeded, "{path} {value}");
            // The other facts stay.
            let others = format!("{status:?}").contains("\"queue_millis\": Number(77)");
            assert!(others || path == "/Statistics", "{path} {value}: {status:?}");
        }
    }
}

#[test]
fn a_state_of_another_form_is_no_answer() {
    assert_eq!(status(json!({"Status": {"State": null}})).phase(), Phase::Queued);
    for odd in [json!({"Status": {"State": 1}}), json!({"QueryExecutionId": null}), json!("x")] {
        assert!(serde_json::from_value::<Execution>(odd.clone()).is_err(), "{odd}");
    }
}

#[test]
fn an_unreadable_query_does_not_hide_the_others_of_its_batch() {
    let many = json!({"QueryExecutions": [{"QueryExecutionId": "a"}, {"Status": {"State": 1}}, null, {"QueryExecutionId": "b"}]});
    let many = serde_json::from_value::<FoundMany>(many).unwrap().query_executions;
    let ids = many.iter().map(|one| one.query_execution_id.as_str()).collect::<Vec<_>>();
    assert_eq!(ids, ["a", "b"]);
    let none = serde_json::from_value::<FoundMany>(json!({"QueryExecutions": null})).unwrap();
    assert!(none.query_executions.is_empty());
}
