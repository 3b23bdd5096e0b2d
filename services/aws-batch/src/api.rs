//! The parts of AWS Batch's API that a job needs, and what its states mean to Flyte.
//!
//! Members, states and errors: AWS's model `batch/2016-08-10`, as botocore has it.

use plugin_core::{Phase, Status, aws::mentions, serde_json::Value as Json};
use serde::Deserialize;

use crate::settings::{Verdict, Verdicts};

/// Why a delete stops a job.
pub(crate) const STOPPED_BY_FLYTE: &str = "Stopped by Flyte";

/// What AWS says of a job that ran into its timeout ("Job timeouts" in the user guide).
const TIMED_OUT: &str = "duration exceeded timeout";

/// The answer to `SubmitJob`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Submitted {
    pub(crate) job_id: String,
}

/// The answer to `ListJobs`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Listed {
    job_summary_list: Vec<Summary>,
    pub(crate) next_token: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Summary {
    job_id: String,
    job_name: String,
    created_at: u64,
}

impl Listed {
    /// The id of the first job called `name`: the filter does not tell upper from lower case.
    pub(crate) fn first(&self, name: &str) -> Option<String> {
        let named = self.job_summary_list.iter().filter(|job| job.job_name == name);
        named.min_by_key(|job| job.created_at).map(|job| job.job_id.clone())
    }
}

/// The answer to `DescribeJobDefinitions`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Definitions {
    job_definitions: Vec<Revision>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Revision {
    job_definition_arn: String,
    revision: u64,
    container_properties: Json,
}

impl Definitions {
    /// The ARN of the newest revision whose container is `wanted`.
    pub(crate) fn newest(&self, wanted: impl Fn(&Json) -> bool) -> Option<String> {
        let all = self.job_definitions.iter().filter(|one| wanted(&one.container_properties));
        all.max_by_key(|one| one.revision).map(|one| one.job_definition_arn.clone())
    }
}

/// The answer to `RegisterJobDefinition`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Registered {
    pub(crate) job_definition_arn: String,
}

/// The answer to `DescribeJobs`. Unknown jobs are absent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Described {
    pub(crate) jobs: Vec<Detail>,
}

/// A job.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Detail {
    pub(crate) job_id: String,
    status: String,
    status_reason: Option<String>,
    is_cancelled: Option<bool>,
    is_terminated: Option<bool>,
    container: Option<Container>,
    attempts: Vec<Attempt>,
    created_at: Option<u64>,
    started_at: Option<u64>,
    stopped_at: Option<u64>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Container {
    exit_code: Option<i64>,
    reason: Option<String>,
    log_stream_name: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Attempt {
    container: Option<Container>,
    status_reason: Option<String>,
}

impl Detail {
    /// The job's status in Flyte's terms, without links.
    pub(crate) fn status(&self, verdicts: &Verdicts) -> Status {
        let reason = self.status_reason.as_deref().unwrap_or_default();
        let or = |fallback: &str| if reason.is_empty() { fallback } else { reason }.to_owned();
        let status = match self.status.as_str() {
            "SUBMITTED" | "PENDING" => {
                Status::new(Phase::Queued).message(or("submitted to AWS Batch"))
            }
            "RUNNABLE" => Status::new(Phase::Queued)
                .message(or("waiting for the queue's compute environments")),
            "STARTING" => Status::new(Phase::Initializing).message(or("the container is starting")),
            "RUNNING" => Status::new(Phase::Running).message(reason),
            "SUCCEEDED" => Status::new(Phase::Succeeded),
            "FAILED" => self.failed(verdicts),
            unknown => Status::unknown_state(unknown),
        };
        self.with_facts(status)
    }

    fn failed(&self, verdicts: &Verdicts) -> Status {
        let reasons = self.reasons();
        let text = reasons.join("; ");
        let is_stopped = self.is_terminated == Some(true) || self.is_cancelled == Some(true);
        let exit = self.exit_code().filter(|code| *code != 0);
        let (is_retryable, code) = if text.contains(TIMED_OUT) {
            (false, "TIMEOUT".to_owned())
        } else if is_stopped {
            (false, "TERMINATED".to_owned())
        } else {
            let by_reason = mentions(&text, &verdicts.retryable_reasons);
            let by_exit = exit.is_some() && verdicts.failed_jobs == Verdict::Retryable;
            (by_reason || by_exit, exit.map_or("FAILED".to_owned(), |code| format!("EXIT_{code}")))
        };
        let phase = if is_retryable { Phase::RetryableFailed } else { Phase::Failed };
        let message = match reasons.is_empty() {
            true => "the job failed; AWS gave no reason".to_owned(),
            false => text,
        };
        Status::new(phase).code(code).message(message)
    }

    /// What AWS says of the failure, from the job to its last attempt.
    fn reasons(&self) -> Vec<&str> {
        let last = self.attempts.last();
        let all = [
            self.status_reason.as_deref(),
            self.container.as_ref().and_then(|one| one.reason.as_deref()),
            last.and_then(|attempt| attempt.status_reason.as_deref()),
            last.and_then(|attempt| attempt.container.as_ref()?.reason.as_deref()),
        ];
        let mut reasons = Vec::new();
        for reason in all.into_iter().flatten().filter(|reason| !reason.is_empty()) {
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
        reasons
    }

    fn exit_code(&self) -> Option<i64> {
        let last = self.attempts.last().and_then(|attempt| attempt.container.as_ref());
        let containers = self.container.as_ref().into_iter().chain(last);
        containers.filter_map(|container| container.exit_code).next()
    }

    /// The stream of the job's log; of its last attempt's, if that is the only one known.
    pub(crate) fn log_stream(&self) -> Option<&str> {
        let last = self.attempts.last().and_then(|attempt| attempt.container.as_ref());
        let containers = self.container.as_ref().into_iter().chain(last);
        let mut streams = containers.filter_map(|container| container.log_stream_name.as_deref());
        streams.find(|stream| !stream.is_empty())
    }

    fn with_facts(&self, status: Status) -> Status {
        let between = |from: Option<u64>, to: Option<u64>| to?.checked_sub(from?);
        status
            .info("exit_code", self.exit_code())
            .info("attempts", Some(self.attempts.len()).filter(|count| *count > 0))
            .info("queued_millis", between(self.created_at, self.started_at))
            .info("execution_millis", between(self.started_at, self.stopped_at))
    }
}

#[cfg(test)]
mod tests;
