//! The parts of Athena's API that a query needs, and what its states mean to Flyte.
//!
//! Members, states and errors: AWS's model `athena/2017-05-18`, as botocore has it.

use plugin_core::{
    Phase, Status,
    serde_json::Value as Json,
    upstream::{lenient, lenient_list},
};
use serde::{Deserialize, Serialize};

/// The answer to `StartQueryExecution`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Started {
    pub(crate) query_execution_id: String,
}

/// The request of the calls about one query.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct One<'a> {
    pub(crate) query_execution_id: &'a str,
}

/// The request of `BatchGetQueryExecution`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Many<'a> {
    pub(crate) query_execution_ids: Vec<&'a str>,
}

/// The answer to `GetQueryExecution`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Found {
    pub(crate) query_execution: Execution,
}

/// The answer to `BatchGetQueryExecution`. The queries that Athena did not process are polled one by one, which tells
/// why.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct FoundMany {
    #[serde(default, deserialize_with = "lenient_list")]
    pub(crate) query_executions: Vec<Execution>,
}

/// A query.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Execution {
    pub(crate) query_execution_id: String,
    /// The statement as it was run.
    #[serde(deserialize_with = "lenient")]
    pub(crate) query: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(crate) statement_type: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(crate) substatement_type: Option<String>,
    #[serde(deserialize_with = "lenient")]
    work_group: Option<String>,
    status: QueryStatus,
    #[serde(deserialize_with = "lenient")]
    statistics: Statistics,
    #[serde(deserialize_with = "lenient")]
    result_configuration: ResultConfiguration,
    #[serde(deserialize_with = "lenient")]
    managed_query_results_configuration: ManagedResults,
    #[serde(deserialize_with = "lenient")]
    engine_version: EngineVersion,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct QueryStatus {
    state: State,
    #[serde(deserialize_with = "lenient")]
    state_change_reason: Option<String>,
    #[serde(deserialize_with = "lenient")]
    athena_error: AthenaError,
}

/// A query's state.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Option<String>")]
enum State {
    /// Also without a state: the query has just been accepted.
    #[default]
    Queued,
    Running,
    Succeeded,
    Failed,
    Cancelled,
    Unknown(String),
}

impl From<Option<String>> for State {
    fn from(state: Option<String>) -> Self {
        let Some(state) = state else { return Self::default() };
        match state.as_str() {
            "QUEUED" => Self::Queued,
            "RUNNING" => Self::Running,
            "SUCCEEDED" => Self::Succeeded,
            "FAILED" => Self::Failed,
            "CANCELLED" => Self::Cancelled,
            _ => Self::Unknown(state),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct AthenaError {
    #[serde(deserialize_with = "lenient")]
    error_category: Option<i64>,
    #[serde(deserialize_with = "lenient")]
    error_type: Option<i64>,
    #[serde(deserialize_with = "lenient")]
    retryable: Option<bool>,
    #[serde(deserialize_with = "lenient")]
    error_message: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Statistics {
    #[serde(deserialize_with = "lenient")]
    data_scanned_in_bytes: Option<u64>,
    #[serde(deserialize_with = "lenient")]
    engine_execution_time_in_millis: Option<u64>,
    #[serde(deserialize_with = "lenient")]
    total_execution_time_in_millis: Option<u64>,
    #[serde(deserialize_with = "lenient")]
    query_queue_time_in_millis: Option<u64>,
    #[serde(deserialize_with = "lenient")]
    query_planning_time_in_millis: Option<u64>,
    #[serde(deserialize_with = "lenient")]
    service_pre_processing_time_in_millis: Option<u64>,
    #[serde(deserialize_with = "lenient")]
    service_processing_time_in_millis: Option<u64>,
    #[serde(deserialize_with = "lenient")]
    data_manifest_location: Option<String>,
    #[serde(deserialize_with = "lenient")]
    dpu_count: Option<f64>,
    #[serde(deserialize_with = "lenient")]
    result_reuse_information: ResultReuse,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ResultReuse {
    #[serde(deserialize_with = "lenient")]
    reused_previous_result: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ResultConfiguration {
    #[serde(deserialize_with = "lenient")]
    output_location: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ManagedResults {
    #[serde(deserialize_with = "lenient")]
    enabled: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct EngineVersion {
    #[serde(deserialize_with = "lenient")]
    effective_engine_version: Option<String>,
}

impl Execution {
    /// The query's status in Flyte's terms, without link and results.
    pub(crate) fn status(&self) -> Status {
        let reason = self.status.state_change_reason.as_deref().unwrap_or_default();
        let status = match &self.status.state {
            State::Queued => Status::new(Phase::Queued).message(or(reason, "queued in Athena")),
            State::Running => Status::new(Phase::Running).message(reason),
            State::Succeeded => Status::new(Phase::Succeeded),
            State::Failed => {
                self.ended(self.reason("the query failed; Athena gave no reason"), None)
            }
            State::Cancelled => {
                let reason = self.reason("the query was cancelled at Athena");
                self.ended(reason, Some("CANCELLED"))
            }
            State::Unknown(state) => Status::unknown_state(state.as_str()),
        };
        self.with_facts(status)
    }

    /// A failed or cancelled query. `Retryable` decides for both: Athena cancels some queries itself, such as those
    /// beyond a workgroup's limit of scanned bytes, and a repeat would be cancelled again. Flyte no longer polls a
    /// query that it has cancelled.
    fn ended(&self, reason: String, code: Option<&str>) -> Status {
        let error = &self.status.athena_error;
        let phase = match error.retryable {
            Some(true) => Phase::RetryableFailed,
            _ => Phase::Failed,
        };
        let by_type = || error.error_type.map(|ty| format!("ATHENA_{ty}"));
        let code = code.map(str::to_owned).or_else(|| prefix(&reason).map(str::to_owned));
        let code = code.or_else(by_type).unwrap_or_else(|| "FAILED".to_owned());
        Status::new(phase).code(code).message(reason)
    }

    fn reason(&self, fallback: &str) -> String {
        let texts = [
            self.status.state_change_reason.as_deref(),
            self.status.athena_error.error_message.as_deref(),
        ];
        let found = texts.into_iter().flatten().find(|text| !text.is_empty());
        found.unwrap_or(fallback).to_owned()
    }

    fn with_facts(&self, status: Status) -> Status {
        let (statistics, error) = (&self.statistics, &self.status.athena_error);
        status
            .info("workgroup", self.work_group.clone())
            .info("statement_type", self.statement_type.clone())
            .info("substatement_type", self.substatement_type.clone())
            .info("engine_version", self.engine_version.effective_engine_version.clone())
            .info("output_location", self.output_location().map(str::to_owned))
            .info("data_manifest_location", statistics.data_manifest_location.clone())
            .info("data_scanned_bytes", statistics.data_scanned_in_bytes)
            .info("engine_execution_millis", statistics.engine_execution_time_in_millis)
            .info("total_execution_millis", statistics.total_execution_time_in_millis)
            .info("queue_millis", statistics.query_queue_time_in_millis)
            .info("planning_millis", statistics.query_planning_time_in_millis)
            .info("preprocessing_millis", statistics.service_pre_processing_time_in_millis)
            .info("service_processing_millis", statistics.service_processing_time_in_millis)
            .info("dpus", statistics.dpu_count)
            .info(
                "reused_previous_result",
                statistics.result_reuse_information.reused_previous_result,
            )
            .info("error_category", error.error_category.map(category))
            .info("error_type", error.error_type)
            .info("retryable", error.retryable)
    }

    /// Where the result is, if it is in S3.
    pub(crate) fn output_location(&self) -> Option<&str> {
        let location = self.result_configuration.output_location.as_deref()?;
        Some(location).filter(|location| !location.is_empty())
    }

    /// Whether Athena keeps the result in its own storage.
    pub(crate) fn has_managed_results(&self) -> bool {
        self.managed_query_results_configuration.enabled
    }
}

fn or<'a>(text: &'a str, fallback: &'a str) -> &'a str {
    if text.is_empty() { fallback } else { text }
}

/// Athena's names of its categories of errors.
fn category(number: i64) -> Json {
    match number {
        1 => "system".into(),
        2 => "user".into(),
        3 => "other".into(),
        unknown => unknown.into(),
    }
}

/// The code that many of Athena's reasons begin with: `SYNTAX_ERROR: line 1:8: …`.
fn prefix(reason: &str) -> Option<&str> {
    let (code, _) = reason.split_once(':')?;
    let is_code = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    (code.len() > 3 && code.chars().all(is_code)).then_some(code)
}

#[cfg(test)]
mod tests;
