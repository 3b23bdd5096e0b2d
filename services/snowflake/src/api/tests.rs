use plugin_core::serde_json::{Value as Json, json};

use super::*;
use crate::settings::RETRYABLE_CODES;

/// The codes that are retryable unless the operator lists others.
fn by_default() -> Vec<String> {
    RETRYABLE_CODES.split(',').map(str::to_owned).collect()
}

fn answer(json: Json) -> Answer {
    serde_json::from_value(json).unwrap()
}

fn error(status: u16, body: &Json) -> Error {
    let status = StatusCode::from_u16(status).unwrap();
    let failure = failure(status, body.to_string().as_bytes()).unwrap();
    let error = Error::new(failure.kind, failure.message).upstream();
    failure.code.map_or(error.clone(), |code| error.with_code(code))
}

#[test]
fn every_2xx_has_a_phase() {
    for (status, code, message, phase) in [
        (200, "090001", "Statement executed successfully.", Phase::Succeeded),
        (200, "391908", "Result set too large.", Phase::Succeeded),
        (202, "333334", "Asynchronous execution in progress.", Phase::Running),
        (202, "333333", "Statement execution in progress.", Phase::Running),
        (202, "333334", "Statement is queued.", Phase::Queued),
        (202, "333334", "Resuming warehouse.", Phase::WaitingForResources),
        (202, "999999", "Something new.", Phase::Running),
        (200, "999999", "Something new.", Phase::Succeeded),
        (200, "333333", "Statement execution in progress.", Phase::Running),
        (200, "", "", Phase::Succeeded),
    ] {
        let status = StatusCode::from_u16(status).unwrap();
        let answer = answer(json!({"code": code, "message": message, "statementHandle": "h"}));
        assert_eq!(answer.status(status).phase(), phase, "{code} {message}");
    }
    let known = answer(json!({"code": "333334"})).status(StatusCode::ACCEPTED);
    assert_eq!(known, Status::new(Phase::Running));
    let unknown = answer(json!({"code": "999999"})).status(StatusCode::ACCEPTED);
    assert_eq!(unknown, Status::unknown_state("202 Accepted 999999"));
}

#[test]
fn a_200_with_a_statement_is_a_success() {
    let unknown = |code| Status::unknown_state(format!("200 OK {code}"));
    let succeeded = Status::new(Phase::Succeeded);
    for (json, expected) in [
        (json!({}), unknown("")),
        (json!({"code": "999999", "message": "m", "statementHandle": ""}), unknown("999999")),
        (json!({"code": "999999", "statementHandle": "h"}), succeeded.clone()),
        (json!({"code": "090001"}), succeeded.clone()),
        (json!({"code": "000000", "resultSetMetaData": {}}), succeeded.clone()),
        (json!({"resultSetMetaData": {"numRows": 7}}), succeeded.info("rows", Some(7_u64))),
    ] {
        assert_eq!(answer(json.clone()).status(StatusCode::OK), expected, "{json}");
    }
}

#[test]
fn nulls_are_ignored() {
    let nulls = json!({
        "code": "333334",
        "sqlState": null,
        "message": null,
        "statementHandle": null,
        "statementHandles": null,
        "resultSetMetaData": null,
    });
    assert_eq!(answer(nulls).status(StatusCode::ACCEPTED), Status::new(Phase::Running));
    let done = json!({"code": null, "resultSetMetaData": {"numRows": null, "rowType": null}});
    assert_eq!(answer(done).status(StatusCode::OK), Status::new(Phase::Succeeded));
    let body = json!({"code": "001003", "sqlState": null, "message": "m"});
    assert_eq!(error(422, &body).message(), "m");
}

#[test]
fn a_422_without_code_fails_the_statement() {
    for (body, message) in [
        (json!({"message": "m"}), "m"),
        (json!({"code": null, "sqlState": "42000", "message": "m"}), "m (SQLSTATE 42000)"),
        (json!({"statementHandle": "h"}), "Snowflake gave no reason"),
    ] {
        let status = ended(&error(422, &body), &[]);
        let expected = Status::new(Phase::Failed).code("422").message(message);
        assert_eq!(status, Some(expected), "{body}");
    }
    assert_eq!(failure(StatusCode::BAD_REQUEST, br#"{"message": "m"}"#), None);
}

#[test]
fn submits_with_retryable_codes_are_transient() {
    let retryable = by_default();
    for (code, kind) in [
        ("000603", Kind::Unavailable),
        ("000625", Kind::Unavailable),
        ("300002", Kind::Unavailable),
        ("370001", Kind::Unavailable),
        ("000604", Kind::FailedPrecondition),
        ("001003", Kind::FailedPrecondition),
    ] {
        let refused = refused(error(422, &json!({"code": code, "message": "m"})), &retryable);
        let actual = (refused.kind(), refused.code(), refused.message(), refused.is_upstream());
        assert_eq!(actual, (kind, Some(code), "m", true));
    }
    let ours = Error::new(Kind::FailedPrecondition, "no secret").with_code("000603");
    assert_eq!(refused(ours, &retryable).kind(), Kind::FailedPrecondition);
}

#[test]
fn a_statement_that_others_kept_from_a_locked_table_is_retryable() {
    let body = json!({
        "code": "000625",
        "sqlState": "57014",
        "message": "Statement '01..' has locked table 'STOCK' in transaction 1 and this lock has not yet been \
                    released. Your statement was aborted because the number of waiters for this lock exceeds \
                    the 20 statements limit.",
    });
    let status = ended(&error(422, &body), &by_default()).unwrap();
    assert_eq!(status.phase(), Phase::RetryableFailed);
    // Statements that somebody cancelled have the same SQLSTATE.
    let body = json!({"code": "000604", "sqlState": "57014", "message": "SQL execution canceled"});
    let status = ended(&error(422, &body), &by_default()).unwrap();
    assert_eq!(status.phase(), Phase::Failed);
}

#[test]
fn operators_replace_the_list_of_retryable_codes() {
    let error = error(422, &json!({"code": "000625", "message": "m"}));
    for (retryable, phase) in [("000603", Phase::Failed), ("000625", Phase::RetryableFailed)] {
        let status = ended(&error, &[retryable.to_owned()]).unwrap();
        assert_eq!(status.phase(), phase);
    }
}

#[test]
fn the_readme_has_the_same_verdicts() {
    let readme = include_str!("../../README.md");
    let rows = readme.lines().filter(|line| line.contains("| RETRYABLE_FAILED |"));
    let codes = rows.flat_map(|row| {
        let cell = row.split('|').nth(1).unwrap();
        cell.split('`').filter(|text| text.parse::<u32>().is_ok()).collect::<Vec<_>>()
    });
    let mut codes = codes.collect::<Vec<_>>();
    codes.sort_unstable();
    assert_eq!(codes.join(","), RETRYABLE_CODES);
    assert!(readme.contains(&format!("`{RETRYABLE_CODES}`")));
}

#[test]
fn every_error_has_a_kind() {
    for (status, code, kind) in [
        (400, "391902", Kind::InvalidArgument),
        (401, "390144", Kind::Unauthenticated),
        (401, "390318", Kind::Unauthenticated),
        (403, "390403", Kind::PermissionDenied),
        (404, "391404", Kind::NotFound),
        (405, "391911", Kind::InvalidArgument),
        (408, "000630", Kind::FailedPrecondition),
        (415, "391915", Kind::InvalidArgument),
        (422, "000604", Kind::FailedPrecondition),
        (422, "000709", Kind::NotFound),
        (422, "001003", Kind::FailedPrecondition),
        (422, "002003", Kind::FailedPrecondition),
        (429, "390429", Kind::ResourceExhausted),
        (500, "390000", Kind::Unavailable),
        (503, "390503", Kind::Unavailable),
        (504, "390504", Kind::Unavailable),
    ] {
        let error = error(status, &json!({"code": code, "message": "m"}));
        assert_eq!((error.kind(), error.code()), (kind, Some(code)), "{status} {code}");
    }
}

#[test]
fn bodies_that_are_not_from_snowflake_are_ignored() {
    assert_eq!(failure(StatusCode::NOT_FOUND, b"<html>"), None);
    assert_eq!(failure(StatusCode::UNPROCESSABLE_ENTITY, b"{}"), None);
}

#[test]
fn only_errors_about_the_statement_end_it() {
    let retryable = by_default();
    for (status, code, phase) in [
        (400, "391902", None),
        (401, "390144", None),
        (403, "390403", None),
        (404, "391404", None),
        (408, "000630", Some(Phase::Failed)),
        (422, "000603", Some(Phase::RetryableFailed)),
        (422, "000604", Some(Phase::Failed)),
        (422, "000625", Some(Phase::RetryableFailed)),
        (422, "000709", None),
        (422, "001003", Some(Phase::Failed)),
        (422, "002003", Some(Phase::Failed)),
        (422, "300002", Some(Phase::RetryableFailed)),
        (422, "370001", Some(Phase::RetryableFailed)),
        (422, "391908", Some(Phase::Succeeded)),
        (429, "390429", None),
        (500, "391908", Some(Phase::Succeeded)),
        (503, "390503", None),
    ] {
        let error = error(status, &json!({"code": code, "message": "m"}));
        let status = ended(&error, &retryable);
        assert_eq!(status.map(|status| status.phase()), phase, "{code}");
    }
    let ours = Error::new(Kind::FailedPrecondition, "no secret").with_code("000604");
    assert_eq!(ended(&ours, &retryable), None);
}

#[test]
fn failures_carry_snowflakes_message() {
    let body = json!({"code": "001003", "sqlState": "42000", "message": "unexpected 'FRM'."});
    let status = ended(&error(422, &body), &[]).unwrap();
    let expected = Status::new(Phase::Failed).code("001003");
    assert_eq!(status, expected.message("unexpected 'FRM'. (SQLSTATE 42000)"));
}

#[test]
fn the_result_is_the_last_statements() {
    let rows = |columns: Json| json!({"numRows": 1, "rowType": columns});
    for (json, handle) in [
        (json!({}), Some("own")),
        (json!({"resultSetMetaData": rows(json!([{"name": "A"}]))}), Some("own")),
        (json!({"resultSetMetaData": rows(json!([]))}), None),
        (json!({"statementHandles": ["a", "b"]}), Some("b")),
    ] {
        assert_eq!(answer(json.clone()).result_handle("own"), handle, "{json}");
    }
}
