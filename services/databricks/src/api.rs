//! The parts of Databricks' Jobs API 2.2 that a submitted run needs.
//!
//! Field names and error codes: databricks-sdk 0.162.0, `service/jobs.py` and `errors/`.

use plugin_core::{
    Context, Error, Http, Kind, Result,
    http::StatusCode,
    serde_json::{self, Value as Json},
    upstream::Failure,
};
use serde::Deserialize;

/// The name of the link to a run's page.
pub(crate) const CONSOLE: &str = "Databricks Console";
/// How many lines of a stack trace are shown.
const TRACE_LINES: usize = 20;
/// How many characters of an error, and of a stack trace, are shown.
const MAX_CHARS: usize = 2000;

/// The path of a call about runs.
pub(crate) fn path(call: &str) -> [&str; 5] {
    ["api", "2.2", "jobs", "runs", call]
}

/// The response to a submit.
#[derive(Debug, Deserialize)]
pub(crate) struct Submitted {
    pub(crate) run_id: i64,
}

/// A page of the workspace's runs, newest first.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RunList {
    pub(crate) runs: Vec<Run>,
    pub(crate) next_page_token: Option<String>,
}

/// A run, or a task of one. All fields are optional, so that an unexpected response stays readable.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Run {
    pub(crate) run_id: Option<i64>,
    pub(crate) job_id: Option<i64>,
    pub(crate) run_page_url: Option<String>,
    pub(crate) state: Option<State>,
    pub(crate) status: Option<RunStatus>,
    pub(crate) cluster_instance: Option<ClusterInstance>,
    pub(crate) tasks: Option<Vec<Self>>,
    /// Of a task: its name in the run, and the number of its attempt, from 0.
    pub(crate) task_key: Option<String>,
    pub(crate) attempt_number: Option<u32>,
    /// Of a task: the notebook that it runs, if it runs one.
    pub(crate) notebook_task: Option<Json>,
    pub(crate) end_time: Option<i64>,
    pub(crate) setup_duration: Option<i64>,
    pub(crate) execution_duration: Option<i64>,
    pub(crate) creator_user_name: Option<String>,
}

/// The older form of a run's state, always present.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    pub(crate) life_cycle_state: Option<String>,
    pub(crate) result_state: Option<String>,
    pub(crate) state_message: Option<String>,
    pub(crate) queue_reason: Option<String>,
}

/// The newer form, with the reason why a run ended.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RunStatus {
    pub(crate) state: Option<String>,
    pub(crate) termination_details: Option<Details>,
    pub(crate) queue_details: Option<Details>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Details {
    pub(crate) code: Option<String>,
    #[serde(rename = "type")]
    pub(crate) ty: Option<String>,
    pub(crate) message: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ClusterInstance {
    pub(crate) cluster_id: Option<String>,
    pub(crate) spark_context_id: Option<String>,
}

/// The output of a task.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Output {
    error: Option<String>,
    error_trace: Option<String>,
    notebook_output: Option<NotebookOutput>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct NotebookOutput {
    result: Option<String>,
    truncated: Option<bool>,
}

impl Output {
    /// Fetches the output of the task run `task_id`.
    ///
    /// # Errors
    /// The call's.
    pub(crate) async fn of(cx: &Context, http: &Http, task_id: i64) -> Result<Self> {
        let request = http.get(&path("get-output"));
        request.query("run_id", Some(&task_id.to_string())).send_json(cx).await
    }

    /// The value that the notebook passed to `dbutils.notebook.exit`; empty if it did not call it. `None`
    /// if Databricks truncated it.
    pub(crate) fn exit_value(self) -> Option<String> {
        let output = self.notebook_output.unwrap_or_default();
        (output.truncated != Some(true)).then(|| output.result.unwrap_or_default())
    }

    /// The error and the end of its stack trace.
    pub(crate) fn error_message(self) -> Option<String> {
        let error = self.error.map(|text| plain(&text)).filter(|text| !text.trim().is_empty());
        let trace = self.error_trace.map(|text| tail(&plain(&text)));
        match (error, trace.filter(|text| !text.trim().is_empty())) {
            (Some(error), Some(trace)) => Some(format!("{}\n{trace}", head(&error))),
            (Some(text), None) => Some(head(&text)),
            (None, trace) => trace,
        }
    }
}

/// `text` without the terminal colours that notebooks put into their stack traces.
fn plain(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |plain, part| {
        let end = part.find(|c: char| c.is_ascii_alphabetic()).map_or(part.len(), |at| at + 1);
        plain + &part[end..]
    })
}

fn head(text: &str) -> String {
    text.chars().take(MAX_CHARS).collect()
}

/// The last lines, which show the cause.
fn tail(text: &str) -> String {
    let lines = text.trim_end().lines().collect::<Vec<_>>();
    let lines = lines[lines.len().saturating_sub(TRACE_LINES)..].join("\n");
    let start = lines.char_indices().rev().nth(MAX_CHARS - 1).map_or(0, |(at, _)| at);
    lines[start..].to_owned()
}

/// Reads the error bodies of the Jobs API and of the token endpoint.
pub(crate) fn failure(status: StatusCode, body: &[u8]) -> Option<Failure> {
    #[derive(Deserialize)]
    struct Body {
        /// A name, or the HTTP status as a number.
        error_code: Option<Json>,
        message: Option<String>,
        /// OAuth's.
        error: Option<String>,
        error_description: Option<String>,
    }
    let body = serde_json::from_slice::<Body>(body).ok();
    let body = body.filter(|body| body.error_code.is_some() || body.error.is_some());
    let body = body?;
    let code = body.error_code.as_ref().and_then(Json::as_str).map(str::to_owned);
    let code = code.or(body.error).filter(|code| code.parse::<u16>().is_err());
    let message = body.message.or(body.error_description);
    let message = message.unwrap_or_else(|| format!("Databricks answered {status}"));
    Some(Failure::new(kind(status, code.as_deref(), &message), message).code(code))
}

/// Parts of the messages of transient errors, whatever their status: those that Databricks' own clients
/// retry (`databricks/sdk/_base_client.py`, `apierr/error_overrides.go`), and the limit of runs submitted in
/// an hour, whose code is that of a wrong request
/// (<https://kb.databricks.com/jobs/job-rate-limit>).
const TRANSIENT: [&str; 9] = [
    "UnknownWorkerEnvironmentException",
    "does not have any associated worker environments",
    "There is no worker environment with id",
    "Unknown worker environment",
    "ClusterNotReadyException",
    "Unexpected error",
    "Timed out after ",
    "deadline exceeded",
    "exceeding rate limit",
];
/// The first and the last part of another.
const UNKNOWN_ENVIRONMENT: (&str, &str) = ("worker env ", " not found");
/// Parts of the messages of rate limits, whatever their status.
const THROTTLING: [&str; 2] = [
    "Please try again later or try a faster operation.",
    "RPC token bucket limit has been exceeded",
];

/// By the error code where there is one. The meanings: `ErrorCode` in
/// <https://github.com/mlflow/mlflow/blob/master/mlflow/protos/databricks.proto>.
fn kind(status: StatusCode, code: Option<&str>, message: &str) -> Kind {
    if status == StatusCode::TOO_MANY_REQUESTS
        || THROTTLING.iter().any(|part| message.contains(part))
    {
        return Kind::ResourceExhausted;
    }
    if TRANSIENT.iter().any(|part| message.contains(part)) || is_unknown_environment(message) {
        return Kind::Unavailable;
    }
    match (code.unwrap_or_default(), status.as_u16()) {
        ("INVALID_PARAMETER_VALUE", _) if is_missing_run(message) => Kind::NotFound,
        ("RESOURCE_DOES_NOT_EXIST" | "NOT_FOUND", _) => Kind::NotFound,
        ("RESOURCE_EXHAUSTED" | "REQUEST_LIMIT_EXCEEDED", _) => Kind::ResourceExhausted,
        // A conflict with another request at the same time.
        ("ABORTED" | "COULD_NOT_ACQUIRE_LOCK", _) => Kind::Unavailable,
        (
            "TEMPORARILY_UNAVAILABLE"
            | "UNAVAILABLE"
            | "SERVICE_UNDER_MAINTENANCE"
            | "WORKSPACE_TEMPORARILY_UNAVAILABLE"
            | "DATA_LOSS"
            | "UNKNOWN",
            _,
        ) => Kind::Unavailable,
        ("INVALID_STATE", _) => Kind::FailedPrecondition,
        // Each names a resource that the request would meet again.
        ("ALREADY_EXISTS" | "RESOURCE_ALREADY_EXISTS" | "RESOURCE_CONFLICT", _) | (_, 409) => {
            Kind::AlreadyExists
        }
        (_, 401) => Kind::Unauthenticated,
        // As far as is known, also the response to an expired token.
        (_, 403) if message.contains("Invalid access token") => Kind::Unauthenticated,
        (_, 403) => Kind::PermissionDenied,
        // No such endpoint, or not in this workspace: it says nothing about the run.
        (_, 404) => Kind::FailedPrecondition,
        // Not implemented, or not enabled in this workspace: no retry helps.
        (_, 501) => Kind::FailedPrecondition,
        (_, 408 | 499 | 500..) => Kind::Unavailable,
        _ => Kind::InvalidArgument,
    }
}

fn is_unknown_environment(message: &str) -> bool {
    let (first, last) = UNKNOWN_ENVIRONMENT;
    message.split_once(first).is_some_and(|(_, rest)| rest.contains(last))
}

/// Databricks does not answer 404 for a run that does not exist.
fn is_missing_run(message: &str) -> bool {
    let after = |start: &str| message.find(start).map(|at| &message[at..]);
    after("Run ").is_some_and(|rest| rest.contains("does not exist"))
        || after("Run: ").is_some_and(|rest| rest.contains("doesn't exist"))
}

/// Whether a cancel failed because the run has already ended.
pub(crate) fn has_ended(error: &Error) -> bool {
    error.code() == Some("INVALID_STATE")
}

#[cfg(test)]
mod tests;
