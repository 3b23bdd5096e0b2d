//! The parts of Snowflake's SQL API v2 that a task needs.
//!
//! Fields and statuses: the OpenAPI document in snowflakedb/snowflake-rest-api-specs
//! (`specifications/sqlapi.yaml`) and <https://docs.snowflake.com/en/developer-guide/sql-api/reference>.

use plugin_core::{
    Error, Kind, Phase, Result, Status,
    http::StatusCode,
    serde_json,
    upstream::{Failure, Response},
};
use serde::Deserialize;

/// A statement that was submitted asynchronously is running.
const ASYNCHRONOUS: &str = "333334";
/// A statement is running that takes longer than a synchronous call may.
const IN_PROGRESS: &str = "333333";
/// A statement succeeded.
const DONE: &str = "090001";
/// A statement succeeded, and its result is too large for a response.
const RESULT_TOO_LARGE: &str = "391908";
/// The statement does not exist.
const NOT_FOUND: &str = "000709";

/// A response of any kind. Unused fields are not read, `data` least of all.
///
/// Any field may be absent or `null`, in spite of the OpenAPI document.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Answer {
    code: Option<String>,
    sql_state: Option<String>,
    message: Option<String>,
    statement_handle: Option<String>,
    /// One for each of several statements.
    statement_handles: Option<Vec<String>>,
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
    /// The status of a statement that was answered with this and a 2xx `status`.
    pub(crate) fn status(&self, status: StatusCode) -> Status {
        let set = self.result_set_meta_data.as_ref();
        let is_statement = set.is_some() || !self.handle().is_empty();
        match (status, text(&self.code)) {
            (StatusCode::ACCEPTED, "") | (_, ASYNCHRONOUS | IN_PROGRESS) => self.running(),
            // There are more codes of success than the documented ones.
            (StatusCode::OK, code) if is_statement || [DONE, RESULT_TOO_LARGE].contains(&code) => {
                Status::new(Phase::Succeeded).info("rows", set.and_then(|set| set.num_rows))
            }
            (_, unknown) => Status::unknown_state(format!("{status} {unknown}")),
        }
    }

    /// Identifies the statement; may be empty.
    pub(crate) fn handle(&self) -> &str {
        text(&self.statement_handle)
    }

    /// The API has one code for all statements that have not ended; its message may be more specific.
    fn running(&self) -> Status {
        let message = text(&self.message).to_lowercase();
        let phase = match () {
            () if message.contains("queued") => Phase::Queued,
            () if message.contains("resuming") => Phase::WaitingForResources,
            () => Phase::Running,
        };
        Status::new(phase).message(text(&self.message))
    }

    /// The statement whose rows are the task's result, if there is one: the last of several.
    pub(crate) fn result_handle<'a>(&'a self, own: &'a str) -> Option<&'a str> {
        let columns = self.result_set_meta_data.as_ref().and_then(|set| set.row_type.as_ref());
        let has_rows = columns.is_none_or(|columns| !columns.is_empty());
        let last = self.statement_handles.as_ref().and_then(|handles| handles.last());
        has_rows.then(|| last.map_or(own, String::as_str))
    }

    /// Its code; 422 if there is none but a message or a handle shows that the response is Snowflake's.
    fn error_code(&self, status: StatusCode) -> Option<&str> {
        let known = Some(text(&self.code)).filter(|code| !code.is_empty());
        let is_statement = !self.handle().is_empty() || !text(&self.message).is_empty();
        known.or((status == StatusCode::UNPROCESSABLE_ENTITY && is_statement).then_some("422"))
    }
}

fn text(field: &Option<String>) -> &str {
    field.as_deref().unwrap_or_default()
}

/// The status of a statement whose poll was answered with `error`, if that is about the statement.
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

/// The error of a submit; Flyte retries it if the operator listed its code.
pub(crate) fn refused(error: Error, retryable: &[String]) -> Error {
    let code = error.code().filter(|_| error.is_upstream());
    match code.filter(|code| retryable.iter().any(|known| known == code)) {
        Some(code) => Error::unavailable(error.message().to_owned())
            .with_code(code.to_owned())
            .with_source(error)
            .upstream(),
        None => error,
    }
}

/// Reads Snowflake's error body.
pub(crate) fn failure(status: StatusCode, body: &[u8]) -> Option<Failure> {
    let answer = serde_json::from_slice::<Answer>(body).ok()?;
    let code = answer.error_code(status)?.to_owned();
    let message = match (text(&answer.message), text(&answer.sql_state)) {
        ("", "") => "Snowflake gave no reason".to_owned(),
        (message, "") => message.to_owned(),
        (message, state) => format!("{message} (SQLSTATE {state})"),
    };
    Some(Failure::new(kind(status, &code), message).code(code))
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

/// The status of a statement whose response is too large to be read. One with status 200 contains rows; one
/// with 202 a message.
///
/// # Errors
/// `Unavailable` when the response is not Snowflake's, but for example a proxy's page.
pub(crate) fn cut(response: &Response) -> Result<Status> {
    let phase = match response.status {
        StatusCode::OK if response.body.starts_with(b"{") => Phase::Succeeded,
        StatusCode::ACCEPTED => Phase::Running,
        _ => return Err(Error::unavailable("the upstream's response is not the expected JSON")),
    };
    Ok(Status::new(phase))
}

#[cfg(test)]
mod tests;
