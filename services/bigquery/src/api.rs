//! The parts of BigQuery's REST API v2 that a query job needs.
//!
//! Field names and tables: Google's discovery document (revision 20261009) and
//! <https://cloud.google.com/bigquery/docs/error-messages>.

mod lenient;

use plugin_core::{
    Kind, Phase, Status, Value, http::StatusCode, serde_json, serde_json::Value as Json,
    upstream::Failure,
};
use serde::Deserialize;

use self::lenient::{Object, Scalar};
use crate::verdicts;

/// A job.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Job {
    #[serde(rename = "jobReference")]
    pub(crate) reference: JobReference,
    #[serde(default)]
    status: JobStatus,
    #[serde(default)]
    statistics: Object<Statistics>,
    #[serde(default)]
    configuration: Object<Configuration>,
}

/// A job, with all that it was asked to do.
#[derive(Debug, Deserialize)]
pub(crate) struct AskedJob {
    #[serde(rename = "jobReference")]
    pub(crate) reference: JobReference,
    /// With BigQuery's defaults.
    #[serde(default)]
    pub(crate) configuration: Json,
}

/// A job that has been submitted.
#[derive(Debug, Deserialize)]
pub(crate) struct SubmittedJob {
    #[serde(rename = "jobReference")]
    pub(crate) reference: JobReference,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Statistics {
    total_bytes_processed: Scalar,
    total_slot_ms: Scalar,
    num_child_jobs: Scalar,
    script_statistics: Object<ScriptStatistics>,
    query: Object<QueryStatistics>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ScriptStatistics {
    evaluation_kind: Scalar,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct QueryStatistics {
    total_bytes_billed: Scalar,
    cache_hit: Scalar,
    statement_type: Scalar,
    ddl_target_table: Object<Table>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Configuration {
    query: Object<Query>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Query {
    destination_table: Object<Table>,
}

/// A page of `jobs.list`, newest first.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct JobList {
    #[serde(default)]
    pub(crate) jobs: Vec<Job>,
    pub(crate) next_page_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct JobReference {
    project_id: String,
    pub(crate) job_id: String,
    pub(crate) location: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct JobStatus {
    #[serde(default)]
    state: State,
    /// Why the job failed. `errors`, beside it, also holds warnings and is not read.
    error_result: Option<ErrorProto>,
}

/// A job's state. Only the error result tells whether a finished job succeeded.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(from = "String")]
enum State {
    Pending,
    Running,
    Done,
    Unknown(String),
}

impl Default for State {
    /// A job without a state has just been accepted.
    fn default() -> Self {
        Self::Pending
    }
}

impl From<String> for State {
    fn from(state: String) -> Self {
        match state.as_str() {
            "PENDING" => Self::Pending,
            "RUNNING" => Self::Running,
            "DONE" => Self::Done,
            _ => Self::Unknown(state),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ErrorProto {
    reason: String,
    message: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Table {
    project_id: Scalar,
    dataset_id: Scalar,
    table_id: Scalar,
}

impl Table {
    /// `None` if it is not a whole reference.
    fn uri(&self) -> Option<String> {
        let (project, dataset) = (self.project_id.as_str()?, self.dataset_id.as_str()?);
        Some(format!("bq://{project}:{dataset}.{}", self.table_id.as_str()?))
    }
}

impl Job {
    /// Whether it succeeded.
    pub(crate) fn succeeded(&self) -> bool {
        self.status.state == State::Done && self.status.error_result.is_none()
    }

    /// Whether it is a statement of a script, not the evaluation of an expression, and did not fail. A
    /// script that handles errors continues after a failed statement.
    pub(crate) fn is_statement_of_script(&self) -> bool {
        let kind = &self.statistics.0.script_statistics.0.evaluation_kind;
        kind.as_str() == Some("STATEMENT") && self.status.error_result.is_none()
    }

    /// The job's status in Flyte's terms, without its results.
    pub(crate) fn status(&self) -> Status {
        let status = match (&self.status.state, &self.status.error_result) {
            (State::Pending, _) => Status::new(Phase::Queued).message("queued in BigQuery"),
            (State::Running, _) => Status::new(Phase::Running),
            (State::Unknown(state), _) => Status::unknown_state(state.as_str()),
            (State::Done, None) => Status::new(Phase::Succeeded),
            (State::Done, Some(error)) => {
                Status::new(error.phase()).code(&*error.reason).message(&*error.message)
            }
        };
        self.describe(status)
    }

    /// The table with the rows: the query's destination table, the one that BigQuery chose, or the one
    /// that a DDL statement created. A script has none of its own.
    pub(crate) fn results(&self) -> Option<Value> {
        let written = &self.configuration.0.query.0.destination_table.0;
        let created = Some(&self.statistics.0.query.0.ddl_target_table.0).filter(|_| !self.drops());
        let uri = written.uri().or_else(|| created?.uri())?;
        Some(Value::structured_dataset(uri))
    }

    /// Whether its DDL statement dropped its target.
    fn drops(&self) -> bool {
        let statement_type = self.statistics.0.query.0.statement_type.as_str();
        statement_type.is_some_and(|statement_type| statement_type.starts_with("DROP"))
    }

    fn describe(&self, status: Status) -> Status {
        let (Object(statistics), query) = (&self.statistics, &self.statistics.0.query.0);
        self.reference
            .described(status)
            .info("statement_type", query.statement_type.json())
            .info("total_bytes_processed", statistics.total_bytes_processed.json())
            .info("total_bytes_billed", query.total_bytes_billed.json())
            .info("total_slot_ms", statistics.total_slot_ms.json())
            .info("cache_hit", query.cache_hit.json())
            .info("child_jobs", statistics.num_child_jobs.json())
    }
}

/// `status` with the link and info that a job's ids provide.
pub(crate) fn described(status: Status, job: &super::Job) -> Status {
    describe(status, &job.project, job.location.as_deref(), &job.id)
}

impl JobReference {
    fn described(&self, status: Status) -> Status {
        describe(status, &self.project_id, self.location.as_deref(), &self.job_id)
    }
}

fn describe(status: Status, project: &str, location: Option<&str>, id: &str) -> Status {
    let region = location.unwrap_or_default();
    let console = format!(
        "https://console.cloud.google.com/bigquery?project={project}&j=bq:{region}:{id}&page=queryresults"
    );
    status
        .link("BigQuery Console", console)
        .info("project", Some(project))
        .info("location", location)
        .info("job_id", Some(id))
}

impl ErrorProto {
    /// The phase of a job with this error result.
    fn phase(&self) -> Phase {
        if verdicts::is_transient(&self.reason, &self.message) {
            return Phase::RetryableFailed;
        }
        // Also `stopped`: Flyte no longer polls a job that it has cancelled itself.
        Phase::Failed
    }
}

/// Reads Google's error body.
pub(crate) fn failure(status: StatusCode, body: &[u8]) -> Option<Failure> {
    #[derive(Deserialize)]
    struct Body {
        error: Details,
    }
    #[derive(Deserialize)]
    struct Details {
        #[serde(default)]
        message: String,
        #[serde(default)]
        errors: Vec<ErrorProto>,
    }
    let Body { error } = serde_json::from_slice(body).ok()?;
    let reason = error.errors.into_iter().next().map(|first| first.reason);
    let reason = reason.filter(|reason| !reason.is_empty());
    let kind = kind(status, reason.as_deref(), &error.message);
    Some(Failure::new(kind, error.message).code(reason))
}

/// By the reason where there is one: 403 stands for missing permissions and for rate limits.
fn kind(status: StatusCode, reason: Option<&str>, message: &str) -> Kind {
    match (reason, status.as_u16()) {
        (Some("rateLimitExceeded" | "jobRateLimitExceeded"), _) => Kind::ResourceExhausted,
        // Also a quota: it belongs to one project and lasts for hours, no reason to throttle all others.
        (reason, _) if verdicts::is_transient(reason.unwrap_or_default(), message) => {
            Kind::Unavailable
        }
        (Some("duplicate"), _) | (_, 409) => Kind::AlreadyExists,
        // No retry helps, and credentials are not to blame. A quota that is left here is a month's.
        (
            Some(
                "billingNotEnabled" | "blocked" | "notImplemented" | "quotaExceeded"
                | "responseTooLarge",
            ),
            _,
        )
        | (_, 501) => Kind::FailedPrecondition,
        (_, 401) => Kind::Unauthenticated,
        (_, 403) => Kind::PermissionDenied,
        (_, 404) => Kind::NotFound,
        (_, 429) => Kind::ResourceExhausted,
        (_, 408 | 500..) => Kind::Unavailable,
        _ => Kind::InvalidArgument,
    }
}

/// The location in `Already Exists: Job project:LOCATION.id`.
///
/// Needed when the author specified none and the response that contained it was lost: outside the US and
/// EU, `jobs.get` finds no job without it.
pub(crate) fn location_of_duplicate(message: &str, id: &str) -> Option<String> {
    let before = &message[..message.find(&format!(".{id}"))?];
    let location = before.rsplit(':').next()?;
    let is_location = |c: char| c.is_ascii_alphanumeric() || c == '-';
    (!location.is_empty() && location.chars().all(is_location)).then(|| location.to_owned())
}

#[cfg(test)]
mod tests;
