//! The parts of EMR Serverless's API that a job needs, and what its states mean to Flyte.
//!
//! Members, states and errors: AWS's model `emr-serverless/2021-07-13`, as botocore has it. What the states are:
//! "Job run states" in the EMR Serverless user guide.

use std::collections::HashMap;

use plugin_core::{
    Phase, Status,
    aws::mentions,
    serde_json::Value as Json,
    upstream::{Http, Request},
};
use serde::Deserialize;

/// The model's largest pages.
const PAGE: &str = "50";

/// The states of runs that have not ended.
const ACTIVE: [&str; 6] = ["SUBMITTED", "QUEUED", "PENDING", "SCHEDULED", "RUNNING", "CANCELLING"];

/// The states of applications that exist: the others are deleted.
const EXISTING: [&str; 6] = ["CREATING", "CREATED", "STARTING", "STARTED", "STOPPING", "STOPPED"];

/// The answer to `StartJobRun`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Started {
    pub(crate) job_run_id: Option<String>,
}

/// The answer to `GetJobRun`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Found {
    pub(crate) job_run: Run,
}

/// The answer to `ListJobRuns`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Listed {
    job_runs: Vec<Run>,
    next_token: Option<String>,
}

/// A run, as it is described or listed.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Run {
    /// In lists alone.
    id: String,
    state: String,
    state_details: Option<String>,
    release_label: Option<String>,
    attempt: Option<u64>,
    queued_duration_milliseconds: Option<u64>,
    total_execution_duration_seconds: Option<u64>,
    total_resource_utilization: Option<Utilization>,
    billed_resource_utilization: Option<Utilization>,
}

/// What a run used.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Utilization {
    #[serde(rename = "vCPUHour")]
    vcpu_hour: Option<f64>,
    #[serde(rename = "memoryGBHour")]
    memory_gb_hour: Option<f64>,
    #[serde(rename = "storageGBHour")]
    storage_gb_hour: Option<f64>,
}

impl Run {
    /// The run's status in Flyte's terms, without links and outputs. Flyte may retry after a failure whose details have one
    /// of the texts `retryable`.
    pub(crate) fn status(&self, retryable: &[String]) -> Status {
        let details = self.state_details.as_deref().unwrap_or_default();
        let or = |fallback: &str| if details.is_empty() { fallback } else { details }.to_owned();
        let status = match self.state.as_str() {
            "SUBMITTED" | "PENDING" => {
                Status::new(Phase::Queued).message(or("submitted to EMR Serverless"))
            }
            "QUEUED" => {
                Status::new(Phase::Queued).message(or("queued by the application's limit of runs"))
            }
            "SCHEDULED" => Status::new(Phase::Initializing).message(or("getting its workers")),
            "RUNNING" => Status::new(Phase::Running).message(details),
            "CANCELLING" => Status::new(Phase::Running).message(or("being cancelled")),
            "SUCCESS" => Status::new(Phase::Succeeded),
            "FAILED" => {
                let phase = if mentions(details, retryable) {
                    Phase::RetryableFailed
                } else {
                    Phase::Failed
                };
                Status::new(phase).code("FAILED").message(or("the run failed; AWS gave no details"))
            }
            // By somebody at AWS, or by its own timeout: Flyte no longer polls a run that it has cancelled.
            "CANCELLED" => Status::new(Phase::Failed)
                .code("CANCELLED")
                .message(or("the run was cancelled at AWS, or ran into its timeout")),
            unknown => Status::unknown_state(unknown),
        };
        self.with_facts(status)
    }

    fn with_facts(&self, status: Status) -> Status {
        let (used, billed) = (&self.total_resource_utilization, &self.billed_resource_utilization);
        let of = |hours: &Option<Utilization>, field: fn(&Utilization) -> Option<f64>| {
            hours.as_ref().and_then(field).map(Json::from)
        };
        status
            .info("release_label", self.release_label.clone())
            .info("attempt", self.attempt)
            .info("queued_millis", self.queued_duration_milliseconds)
            .info("execution_seconds", self.total_execution_duration_seconds)
            .info("vcpu_hours", of(used, |used| used.vcpu_hour))
            .info("memory_gb_hours", of(used, |used| used.memory_gb_hour))
            .info("storage_gb_hours", of(used, |used| used.storage_gb_hour))
            .info("billed_vcpu_hours", of(billed, |billed| billed.vcpu_hour))
            .info("billed_memory_gb_hours", of(billed, |billed| billed.memory_gb_hour))
            .info("billed_storage_gb_hours", of(billed, |billed| billed.storage_gb_hour))
    }
}

/// The listed runs of an application that have not ended, by id.
#[derive(Debug, Default)]
pub(crate) struct Active(HashMap<String, Run>);

impl Active {
    /// Adds a page; returns the token of the next one.
    pub(crate) fn add(&mut self, page: Listed) -> Option<String> {
        self.0.extend(page.job_runs.into_iter().map(|run| (run.id.clone(), run)));
        page.next_token
    }

    pub(crate) fn has(&self, id: &str) -> bool {
        self.0.contains_key(id)
    }

    /// The status of the run `id`, if it is listed and has not ended.
    pub(crate) fn status(&self, id: &str) -> Option<Status> {
        let status = self.0.get(id)?.status(&[]);
        // A listed run lacks what a description of an ended one has.
        (!status.phase().is_terminal()).then_some(status)
    }
}

/// `ListJobRuns` of those that have not ended.
pub(crate) fn list<'a>(http: &'a Http, application: &str, page: Option<&str>) -> Request<'a> {
    let request =
        http.get(&["applications", application, "jobruns"]).query("maxResults", Some(PAGE));
    ACTIVE
        .iter()
        .fold(request, |request, state| request.query("states", Some(state)))
        .query("nextToken", page)
}

/// `ListApplications` of those that are not deleted.
pub(crate) fn list_applications<'a>(http: &'a Http, page: Option<&str>) -> Request<'a> {
    let request = http.get(&["applications"]).query("maxResults", Some(PAGE));
    EXISTING
        .iter()
        .fold(request, |request, state| request.query("states", Some(state)))
        .query("nextToken", page)
}

/// The answer to `ListApplications`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Applications {
    pub(crate) applications: Vec<Summary>,
    pub(crate) next_token: Option<String>,
}

/// A listed application.
#[derive(Debug, Deserialize)]
pub(crate) struct Summary {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) name: Option<String>,
}

/// The answer to `GetApplication`.
#[derive(Debug, Deserialize)]
pub(crate) struct Described {
    pub(crate) application: Application,
}

/// An application.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Application {
    pub(crate) state: String,
    auto_start_configuration: Option<AutoStart>,
    image_configuration: Option<Image>,
    worker_type_specifications: HashMap<String, Worker>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct AutoStart {
    enabled: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Worker {
    image_configuration: Option<Image>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Image {
    image_uri: String,
}

impl Application {
    /// Whether a submit starts it; AWS's default.
    pub(crate) fn starts_itself(&self) -> bool {
        self.auto_start_configuration.as_ref().and_then(|auto| auto.enabled).unwrap_or(true)
    }

    /// The images of its workers, if they are not AWS's.
    pub(crate) fn images(&self) -> impl Iterator<Item = &str> {
        let workers = self.worker_type_specifications.values();
        let of_workers = workers.filter_map(|worker| worker.image_configuration.as_ref());
        let all = self.image_configuration.iter().chain(of_workers);
        all.map(|image| image.image_uri.as_str()).filter(|uri| !uri.is_empty())
    }
}

/// Whether `id` can be one of AWS's, which the model has as `[0-9a-z]+` of at most 64 characters.
pub(crate) fn is_id(id: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    (1..=64).contains(&id.len()) && id.bytes().all(allowed)
}

#[cfg(test)]
mod tests;
