use plugin_core::serde_json::json;

use super::*;

fn read(status: u16, body: &Json) -> Option<Failure> {
    failure(StatusCode::from_u16(status).unwrap(), body.to_string().as_bytes())
}

#[test]
fn every_error_code_has_a_kind() {
    for (status, code, expected) in [
        (400, "INVALID_PARAMETER_VALUE", Kind::InvalidArgument),
        (400, "MALFORMED_REQUEST", Kind::InvalidArgument),
        (400, "INVALID_STATE", Kind::FailedPrecondition),
        (400, "RESOURCE_DOES_NOT_EXIST", Kind::NotFound),
        (400, "SOMETHING_NEW", Kind::InvalidArgument),
        (401, "UNAUTHENTICATED", Kind::Unauthenticated),
        (403, "PERMISSION_DENIED", Kind::PermissionDenied),
        (404, "RESOURCE_DOES_NOT_EXIST", Kind::NotFound),
        (404, "NOT_FOUND", Kind::NotFound),
        (404, "FEATURE_DISABLED", Kind::FailedPrecondition),
        (404, "ENDPOINT_NOT_FOUND", Kind::FailedPrecondition),
        (409, "ABORTED", Kind::Unavailable),
        (400, "COULD_NOT_ACQUIRE_LOCK", Kind::Unavailable),
        (400, "SERVICE_UNDER_MAINTENANCE", Kind::Unavailable),
        (400, "WORKSPACE_TEMPORARILY_UNAVAILABLE", Kind::Unavailable),
        (400, "QUOTA_EXCEEDED", Kind::InvalidArgument),
        (409, "ALREADY_EXISTS", Kind::AlreadyExists),
        (409, "RESOURCE_ALREADY_EXISTS", Kind::AlreadyExists),
        (409, "RESOURCE_CONFLICT", Kind::AlreadyExists),
        (429, "RESOURCE_EXHAUSTED", Kind::ResourceExhausted),
        (429, "REQUEST_LIMIT_EXCEEDED", Kind::ResourceExhausted),
        (429, "SOMETHING_NEW", Kind::ResourceExhausted),
        (499, "CANCELLED", Kind::Unavailable),
        (500, "INTERNAL_ERROR", Kind::Unavailable),
        (500, "DATA_LOSS", Kind::Unavailable),
        (500, "UNKNOWN", Kind::Unavailable),
        (501, "NOT_IMPLEMENTED", Kind::FailedPrecondition),
        (503, "TEMPORARILY_UNAVAILABLE", Kind::Unavailable),
        (504, "DEADLINE_EXCEEDED", Kind::Unavailable),
    ] {
        let failure = read(status, &json!({"error_code": code, "message": "m"})).unwrap();
        let expected = Failure::new(expected, "m").code(code.to_owned());
        assert_eq!(failure, expected, "{status}");
    }
}

#[test]
fn the_readme_has_the_same_errors() {
    let rows = include_str!("../../README.md").lines();
    let rows = rows.filter(|row| row.contains("| transient |") || row.contains("| definitive |"));
    let mut found = 0;
    for row in rows {
        let codes = row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2);
        for code in codes.filter(|code| *code != "INVALID_STATE") {
            let kind = kind(StatusCode::BAD_REQUEST, Some(code), "m");
            assert_eq!(kind.is_transient(), row.contains("| transient |"), "{code}");
            found += 1;
        }
    }
    assert_eq!(found, 13);
}

#[test]
fn missing_runs_are_not_found_whatever_the_status() {
    for (message, expected) in [
        ("Run 7 does not exist.", Kind::NotFound),
        ("Run: 7 in job: 8 doesn't exist", Kind::NotFound),
        ("Cluster c-1 does not exist", Kind::InvalidArgument),
        ("Invalid notebook path", Kind::InvalidArgument),
    ] {
        let body = json!({"error_code": "INVALID_PARAMETER_VALUE", "message": message});
        assert_eq!(read(400, &body).unwrap().kind, expected, "{message}");
    }
}

#[test]
fn transient_errors_are_recognised_by_their_message() {
    for part in THROTTLING {
        let body = json!({"error_code": "INTERNAL_ERROR", "message": format!("x {part} y")});
        assert_eq!(read(500, &body).unwrap().kind, Kind::ResourceExhausted, "{part}");
    }
    for part in TRANSIENT {
        let body =
            json!({"error_code": "INVALID_PARAMETER_VALUE", "message": format!("x {part} y")});
        assert_eq!(read(400, &body).unwrap().kind, Kind::Unavailable, "{part}");
    }
}

#[test]
fn too_many_submits_in_an_hour_are_a_transient_error() {
    let message = "There were already 1000 jobs created in past 3600 seconds, exceeding rate limit: 1000 job \
                   creations per 3600 seconds.";
    for (message, expected) in
        [(message, Kind::Unavailable), ("Run 7 has ended", Kind::FailedPrecondition)]
    {
        let body = json!({"error_code": "INVALID_STATE", "message": message});
        assert_eq!(read(400, &body).unwrap().kind, expected, "{message}");
    }
}

#[test]
fn numeric_and_oauth_error_codes_are_read() {
    let numbered = read(403, &json!({"error_code": 403, "message": "Invalid access token."}));
    let numbered = numbered.unwrap();
    assert_eq!((numbered.kind, numbered.code), (Kind::Unauthenticated, None));
    let oauth =
        json!({"error": "invalid_client", "error_description": "Client authentication failed"});
    let oauth = read(401, &oauth).unwrap();
    assert_eq!(oauth.code.as_deref(), Some("invalid_client"));
    assert_eq!(oauth.message, "Client authentication failed");
}

#[test]
fn bodies_that_are_not_from_databricks_are_ignored() {
    assert_eq!(failure(StatusCode::NOT_FOUND, b"<html>"), None);
    assert_eq!(read(404, &json!({"message": "of something else"})), None);
}

#[test]
fn error_messages_include_the_end_of_the_stack_trace() {
    let trace =
        (0..50).map(|line| format!("\u{1b}[0;31mline {line}\u{1b}[0m\n")).collect::<String>();
    let output = json!({"error": "ZeroDivisionError: division by zero", "error_trace": trace});
    let text = serde_json::from_value::<Output>(output).unwrap().error_message().unwrap();
    assert!(text.starts_with("ZeroDivisionError: division by zero\nline 30\n"), "{text}");
    assert!(text.ends_with("line 49"), "{text}");
    assert_eq!(
        serde_json::from_value::<Output>(json!({"error": null})).unwrap().error_message(),
        None
    );
    assert_eq!(tail(&"é".repeat(5000)).chars().count(), MAX_CHARS);
}

#[test]
fn exit_values_are_read_unless_truncated() {
    let value = |json: Json| serde_json::from_value::<Output>(json).unwrap().exit_value();
    assert_eq!(
        value(json!({"notebook_output": {"result": "42", "truncated": false}})).unwrap(),
        "42"
    );
    assert_eq!(value(json!({"notebook_output": {"result": "4", "truncated": true}})), None);
    assert_eq!(value(json!({"notebook_output": {}})).unwrap(), "");
    assert_eq!(value(json!({})).unwrap(), "");
}
