//! What SageMaker says of a job or an endpoint, and what its states mean to Flyte.
//!
//! Members and states: AWS's model `sagemaker/2017-07-24`, as botocore has it. What the states are: `SecondaryStatus` of
//! DescribeTrainingJob and `EndpointStatus` of DescribeEndpoint in the API reference.

use plugin_core::{
    Context, Kind, Phase, Result, Status, Value,
    aws::Client,
    serde_json::{Value as Json, json},
};

use crate::{failure, outputs, resource::Resource};

/// The answer to a describe.
#[derive(Debug)]
pub(crate) struct Described {
    pub(crate) resource: Resource,
    pub(crate) answer: Json,
}

impl Described {
    /// What SageMaker says now of the `resource` called `name`.
    ///
    /// # Errors
    /// Those of the describe; `NotFound` if there is none.
    pub(crate) async fn read(
        cx: &Context,
        client: &Client,
        resource: Resource,
        name: &str,
    ) -> Result<Self> {
        let facts = resource.facts();
        let call = client.call(facts.describe, &json!({ facts.name: name }));
        let answer: Json = call.idempotent().send_json(cx).await?;
        Ok(Self { resource, answer })
    }

    /// The model of a tuning job's best training job, which only that one's description has.
    ///
    /// # Errors
    /// Those of its describe, unless it no longer exists.
    pub(crate) async fn artifacts(&self, cx: &Context, client: &Client) -> Result<Option<String>> {
        let best = self.answer["BestTrainingJob"]["TrainingJobName"].as_str();
        let Some(best) = best else { return Ok(None) };
        match Self::read(cx, client, Resource::Training, best).await {
            Ok(best) => {
                Ok(best.answer["ModelArtifacts"]["S3ModelArtifacts"].as_str().map(str::to_owned))
            }
            Err(error) if error.kind() == Kind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn text(&self, member: &str) -> &str {
        self.answer[member].as_str().unwrap_or_default()
    }

    pub(crate) fn state(&self) -> &str {
        self.text(self.resource.facts().state)
    }

    pub(crate) fn arn(&self) -> &str {
        self.text(self.resource.facts().arn)
    }

    /// Its status in Flyte's terms, without links and outputs. Flyte may retry after the failures `retryable`.
    pub(crate) fn status(&self, retryable: &[String]) -> Status {
        let (state, secondary) = (self.state(), self.text("SecondaryStatus"));
        let status = match (self.resource, state) {
            (Resource::Endpoint, _) => self.of_endpoint(retryable),
            (_, "PENDING") => Status::new(Phase::Queued).message("pending"),
            (_, "InProgress" | "IN_PROGRESS") => self.in_progress(secondary),
            (_, "Stopping" | "STOPPING") => Status::new(Phase::Running).message("being stopped"),
            (_, "Completed" | "COMPLETED") => Status::new(Phase::Succeeded),
            (_, "Failed" | "FAILED") => failure::status("Failed", &self.reason(), retryable),
            (_, "Stopped" | "STOPPED") => self.stopped(secondary),
            (Resource::Training | Resource::Tuning, "Deleting")
            | (Resource::Tuning, "DeleteFailed")
            | (Resource::Recommender, "DELETING" | "DELETED") => Status::new(Phase::Failed)
                .code(state)
                .message("somebody has it deleted, or tried to, at AWS"),
            (_, unknown) => Status::unknown_state(unknown),
        };
        self.with_facts(status)
    }

    fn of_endpoint(&self, retryable: &[String]) -> Status {
        match self.state() {
            "InService" => Status::new(Phase::Succeeded),
            "Creating" => Status::new(Phase::Initializing).message("the endpoint is being created"),
            // It goes back into service after these.
            "Updating" | "SystemUpdating" | "RollingBack" => {
                Status::new(Phase::Running).message(format!("the endpoint is {}", self.state()))
            }
            "Failed" => failure::status("Failed", &self.reason(), retryable),
            state @ "OutOfService" => Status::new(Phase::Failed)
                .code(state)
                .message(self.reason_or("the endpoint takes no requests")),
            state @ "Deleting" => Status::new(Phase::Failed)
                .code(state)
                .message("somebody has the endpoint deleted at AWS"),
            state @ "UpdateRollbackFailed" => Status::new(Phase::Failed).code(state).message(
                self.reason_or("an update of the endpoint failed, and so did its way back"),
            ),
            unknown => Status::unknown_state(unknown),
        }
    }

    fn in_progress(&self, secondary: &str) -> Status {
        let phase = match secondary {
            "Pending" => Phase::WaitingForResources,
            "Starting"
            | "LaunchingMLInstances"
            | "PreparingTrainingStack"
            | "Downloading"
            | "DownloadingTrainingImage" => Phase::Initializing,
            _ => Phase::Running,
        };
        let message = match self.resource {
            Resource::Tuning => self.trials(),
            _ => self.with_transition(secondary),
        };
        Status::new(phase).message(message)
    }

    /// By somebody at AWS, or by its own limit of time: Flyte no longer polls what it has stopped.
    fn stopped(&self, secondary: &str) -> Status {
        let phase = match secondary {
            // For want of spot capacity.
            "MaxWaitTimeExceeded" => Phase::RetryableFailed,
            _ => Phase::Failed,
        };
        let code = if secondary.is_empty() { "Stopped" } else { secondary };
        let why = match self.reason() {
            reason if !reason.is_empty() => reason,
            _ if code == "Stopped" => {
                "it was stopped at AWS, or ran into its time limit".to_owned()
            }
            _ => self.with_transition(code),
        };
        Status::new(phase).code(code).message(why)
    }

    /// The words of AWS for the last transition of a training job, after its `secondary` state.
    fn with_transition(&self, secondary: &str) -> String {
        let transitions = self.answer["SecondaryStatusTransitions"].as_array();
        let last = transitions.and_then(|all| all.last());
        match last.and_then(|last| last["StatusMessage"].as_str()) {
            Some(message) if !message.is_empty() => format!("{secondary}: {message}"),
            _ => secondary.to_owned(),
        }
    }

    /// How many training jobs of a tuning job are where.
    fn trials(&self) -> String {
        let count = |key: &str| self.answer["TrainingJobStatusCounters"][key].as_u64().unwrap_or(0);
        let failed = count("RetryableError") + count("NonRetryableError");
        let (completed, running) = (count("Completed"), count("InProgress"));
        format!("trials: {completed} completed, {running} in progress, {failed} failed")
    }

    fn reason(&self) -> String {
        let texts = ["FailureReason", "ExitMessage"].map(|member| self.text(member));
        texts.into_iter().find(|text| !text.is_empty()).unwrap_or_default().to_owned()
    }

    fn reason_or(&self, fallback: &str) -> String {
        let reason = self.reason();
        if reason.is_empty() { fallback.to_owned() } else { reason }
    }

    fn with_facts(&self, status: Status) -> Status {
        let number = |member: &str| self.answer[member].as_u64();
        let secondary = Some(self.text("SecondaryStatus")).filter(|text| !text.is_empty());
        status
            .info("arn", Some(self.arn()).filter(|arn| !arn.is_empty()))
            .info("secondary_status", secondary)
            .info("training_seconds", number("TrainingTimeInSeconds"))
            .info("billable_seconds", number("BillableTimeInSeconds"))
            .info("trials", self.answer.get("TrainingJobStatusCounters").cloned())
    }

    /// The output `result` of flytekit's tasks. `artifacts` are those of a tuning job's best training job.
    pub(crate) fn result(&self, artifacts: Option<&str>) -> Value {
        Value::Json(outputs::of(self.resource, &self.answer, artifacts))
    }
}

#[cfg(test)]
mod tests;
