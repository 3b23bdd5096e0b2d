//! Snowflake's SQL API v2, as far as a task needs it.
//!
//! Fields and statuses: the OpenAPI document in snowflakedb/snowflake-rest-api-specs
//! (`specifications/sqlapi.yaml`) and <https://docs.snowflake.com/en/developer-guide/sql-api/reference>.

use http::StatusCode;
use plugin_core::{Error, Kind, Phase, Status, http::Failure};
use serde::Deserialize;

/// A statement is running because it was submitted so.
const ASYNCHRONOUS: &str = "333334";
/// A statement is running because it takes longer than a synchronous call may.
const IN_PROGRESS: &str = "333333";
/// A statement went well.
const DONE: &str = "090001";
/// A statement went well, and its result is too large to be shown here.
const RESULT_TOO_LARGE: &str = "391908";
/// There is no such statement.
const NOT_FOUND: &str = "000709";

/// An answer of any kind. What is of no use is not read: `data` least of all.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Answer {
    #[serde(default)]
    code: String,
    #[serde(default)]
    sql_state: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    pub(crate) statement_handle: String,
    /// One for each of several statements.
    #[serde(default)]
    statement_handles: Vec<String>,
    result_set_meta_data: Option<ResultSet>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResultSet {
    num_rows: Option<u64>,
    /// The columns.
    row_type: Option<Vec<serde::de::IgnoredAny>>,
}

impl Answer {
    /// Where a statement stands that was answered with this and a 2xx `status`.
    pub(crate) fn status(&self, status: StatusCode) -> Status {
        let set = self.result_set_meta_data.as_ref();
        match (status, self.code.as_str()) {
            (StatusCode::ACCEPTED, ASYNCHRONOUS | IN_PROGRESS | "") => self.running(),
            (StatusCode::OK, DONE | RESULT_TOO_LARGE) => {
                Status::new(Phase::Succeeded).info("rows", set.and_then(|set| set.num_rows))
            }
            (StatusCode::OK, "") if set.is_some() => Status::new(Phase::Succeeded),
            (_, unknown) => Status::unknown_state(format!("{status} {unknown}")),
        }
    }

    /// The API has one code for all that is not at its end; its words may tell more.
    fn running(&self) -> Status {
        let message = self.message.to_lowercase();
        let phase = match () {
            () if message.contains("queued") => Phase::Queued,
            () if message.contains("resuming") => Phase::WaitingForResources,
            () => Phase::Running,
        };
        Status::new(phase).message(&self.message)
    }

    /// The statement whose rows are the task's result, if there is one: the last of several.
    pub(crate) fn result_handle<'a>(&'a self, own: &'a str) -> Option<&'a str> {
        let columns = self.result_set_meta_data.as_ref().and_then(|set| set.row_type.as_ref());
        let has_rows = columns.is_none_or(|columns| !columns.is_empty());
        has_rows.then(|| self.statement_handles.last().map_or(own, String::as_str))
    }
}

/// What `error`, the answer to a poll, says of the statement, if it says something.
pub(crate) fn ended(error: &Error, retryable: &[String]) -> Option<Status> {
    let code = error.code().filter(|_| error.is_upstream())?;
    if code == RESULT_TOO_LARGE {
        return Some(Status::new(Phase::Succeeded));
    }
    if error.kind() != Kind::FailedPrecondition {
        return None;
    }
    let phase = match code {
        code if retryable.iter().any(|known| known == code) => Phase::RetryableFailed,
        _ => Phase::Failed,
    };
    Some(Status::new(phase).code(code).message(error.message()))
}

/// Reads Snowflake's error body.
pub(crate) fn failure(status: StatusCode, body: &[u8]) -> Option<Failure> {
    let answer = serde_json::from_slice::<Answer>(body).ok();
    let answer = answer.filter(|answer| !answer.code.is_empty())?;
    let message = match answer.sql_state.as_str() {
        "" => answer.message,
        state => format!("{} (SQLSTATE {state})", answer.message),
    };
    Some(Failure { kind: kind(status, &answer.code), code: Some(answer.code), message })
}

fn kind(status: StatusCode, code: &str) -> Kind {
    match (status.as_u16(), code) {
        (_, NOT_FOUND) | (404, _) => Kind::NotFound,
        (401, _) => Kind::Unauthenticated,
        (403, _) => Kind::PermissionDenied,
        // The statement failed, or took longer than its timeout.
        (408 | 422, _) => Kind::FailedPrecondition,
        (429, _) => Kind::ResourceExhausted,
        (500.., _) => Kind::Unavailable,
        _ => Kind::InvalidArgument,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

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
            (200, "999999", "Something new.", Phase::Running),
            (200, "", "", Phase::Running),
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
    fn a_page_that_is_not_snowflakes_is_not_read() {
        assert_eq!(failure(StatusCode::NOT_FOUND, b"<html>"), None);
        assert_eq!(failure(StatusCode::UNPROCESSABLE_ENTITY, b"{}"), None);
    }

    #[test]
    fn only_what_is_said_of_the_statement_ends_it() {
        let retryable = ["000603".to_owned(), "300002".to_owned(), "370001".to_owned()];
        for (status, code, phase) in [
            (400, "391902", None),
            (401, "390144", None),
            (403, "390403", None),
            (404, "391404", None),
            (408, "000630", Some(Phase::Failed)),
            (422, "000603", Some(Phase::RetryableFailed)),
            (422, "000604", Some(Phase::Failed)),
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
    fn a_failure_is_told_in_snowflakes_words() {
        let body = json!({"code": "001003", "sqlState": "42000", "message": "unexpected 'FRM'."});
        let status = ended(&error(422, &body), &[]).unwrap();
        let expected = Status::new(Phase::Failed).code("001003");
        assert_eq!(status, expected.message("unexpected 'FRM'. (SQLSTATE 42000)"));
    }

    #[test]
    fn the_result_is_that_of_the_last_statement() {
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
}
