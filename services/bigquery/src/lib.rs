//! Runs Flyte's `bigquery_query_job_task`: a SQL statement as one BigQuery query job.

mod api;
mod asked;
#[cfg(test)]
mod corpus_tests;
mod dialect;
mod jobs;
mod labels;
mod parameters;
mod query;
mod sql;
mod task_types;
mod verdicts;

use std::sync::Arc;

use plugin_core::{
    Context, Fingerprint, Http, HttpBuilder, JointPolls, JointStatus, Kind, Options, Phase, Plugin,
    Polled, Result, Status, Task, TaskType, clap,
    context::AuthorSecret,
    google::{self, Google, Signer},
    schemars::{self, JsonSchema},
    secrecy::ExposeSecret as _,
    serde_json::{Map, Value as Json},
};
use serde::{Deserialize, Serialize};

use crate::jobs::Jobs;

/// Google's API, unless `--endpoint` replaces it.
const API: &str = "https://bigquery.googleapis.com/bigquery/v2";

/// The BigQuery plugin.
pub struct BigQuery {
    http: Http,
    /// None with an emulator.
    google: Option<Arc<Google>>,
}

/// The operator's settings.
#[derive(Debug, clap::Args)]
pub struct Settings {
    /// Service account to impersonate with the service's own credentials.
    #[arg(long, env = "BIGQUERY_IMPERSONATE", value_name = "EMAIL")]
    impersonate: Option<String>,

    /// What access tokens may be used for. Tables over Google Sheets also need
    /// `https://www.googleapis.com/auth/drive.readonly`.
    #[arg(
        long,
        env = "BIGQUERY_SCOPES",
        value_name = "SCOPE,…",
        value_delimiter = ',',
        value_parser = google::scope,
        default_value = google::CLOUD_PLATFORM
    )]
    scopes: Vec<String>,

    /// `host:port` of an emulator to call instead of Google, without credentials.
    #[arg(long, env = "BIGQUERY_EMULATOR_HOST", value_name = "HOST", conflicts_with = "endpoint")]
    emulator_host: Option<String>,
}

/// The task's configuration: `BigQueryConfig` of Flyte's SDKs.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Custom {
    /// The Google Cloud project that runs the query and pays for it.
    #[serde(rename = "ProjectID")]
    project: String,
    /// Where the query runs, for example `EU`; if absent, BigQuery infers it from the tables.
    #[serde(rename = "Location", default, deserialize_with = "query::non_empty")]
    location: Option<String>,
    /// Flyte's domain. The SDKs write it; it is ignored.
    #[serde(rename = "Domain")]
    _domain: Option<Json>,
    /// Flyte 2: names of secrets. `google_application_credentials` names one with a service account key.
    secrets: Option<Map<String, Json>>,
    /// Every key of `JobConfigurationQuery`, as the REST API spells it: allowLargeResults clustering
    /// connectionProperties continuous createDisposition createSession defaultDataset
    /// destinationEncryptionConfiguration destinationTable flattenResults maximumBillingTier
    /// maximumBytesBilled parameterMode preserveNulls priority queryParameters rangePartitioning
    /// schemaUpdateOptions scriptOptions secureContext systemVariables tableDefinitions
    /// timePartitioning useLegacySql useQueryCache userDefinedFunctionResources writeDisposition
    /// writeIncrementalResults, and what Google may add. And of `JobConfiguration`: jobTimeoutMs labels
    /// maxSlots reservation.
    #[serde(flatten)]
    query: Map<String, Json>,
}

/// Identifies the job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    project: String,
    location: Option<String>,
    id: String,
    /// Whether the task declares the output `results`.
    #[serde(default)]
    results: bool,
    /// The secret with the key that the author chose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<AuthorSecret>,
}

impl Plugin for BigQuery {
    const TASK_TYPES: &'static [TaskType] = task_types::TASK_TYPES;
    const EXAMPLE: &'static str =
        r#"{"custom": {"ProjectID": "your-project", "Location": "EU"}, "sql": "SELECT 1 AS one"}"#;

    type Settings = Settings;
    type Custom = Custom;
    type Meta = Job;

    fn new(settings: Settings, http: HttpBuilder) -> Result<Self> {
        let (http, google) = match settings.emulator_host {
            Some(host) => (http.emulator(&host)?, None),
            None => {
                let google = Google::new(&http, settings.impersonate, settings.scopes)?;
                (http, Some(Arc::new(google)))
            }
        };
        Ok(Self { http: http.failures(api::failure).build(API)?, google })
    }

    async fn create(&self, cx: &Context, mut task: Task<Custom>) -> Result<Job> {
        cx.caller().check_target(&task.custom.project)?;
        let key = AuthorSecret::read(task.custom.secrets.as_ref(), google::KEY_SECRET)?;
        // Before anything is sent: a missing key that the author chose is not replaced by the service's.
        google::key(cx, key.as_ref()).await?;
        let job = Job {
            project: task.custom.project.clone(),
            location: task.custom.location.clone(),
            id: format!("flyte-{}", cx.idempotency_key().hex()),
            results: task.declares_output("results"),
            key,
        };
        job.check(cx)?;
        let insert = query::insert(cx, &mut task, &job)?;
        let location = self.jobs(&job).insert(cx, &insert, &job).await?;
        Ok(job.in_location(location))
    }

    async fn get(&self, cx: &Context, job: Job) -> Result<Status> {
        let jobs = self.jobs(&job);
        match jobs.get(cx, &job).await {
            Ok(found) => jobs.status(cx, &job, found).await,
            Err(error) if error.kind() == Kind::NotFound => Err(jobs::not_found(&job, &error)),
            Err(error) => Err(error),
        }
    }

    fn describe(&self, job: &Job) -> Status {
        api::described(Status::new(Phase::Running), job)
    }

    async fn delete(&self, cx: &Context, job: Job) -> Result<()> {
        self.jobs(&job).cancel(cx, &job).await
    }

    fn options(&self) -> Options<Self> {
        Options::default().joint_polls()
    }
}

impl JointPolls for BigQuery {
    async fn group(&self, cx: &Context, job: &Job) -> Result<Option<Fingerprint>> {
        let key = google::key(cx, job.key.as_ref()).await?;
        let identity = key.as_ref().map_or("", |key| key.expose_secret());
        let name = job.key.as_ref().map_or("", AuthorSecret::name);
        Ok(Some(Fingerprint::of(&[&job.project, name, identity])))
    }

    async fn get_many(&self, cx: &Context, jobs: &[Polled<Job>]) -> Result<Vec<JointStatus>> {
        let Some(Polled { job, .. }) = jobs.first() else { return Ok(Vec::new()) };
        self.jobs(job).get_many(cx, jobs).await
    }
}

impl BigQuery {
    /// The calls about `job`, with the identity that its author chose.
    fn jobs(&self, job: &Job) -> Jobs {
        let signer = |google| Signer::new(Arc::clone(google), job.key.clone());
        let signed = self.google.as_ref().map(|google| self.http.signed_by(signer(google)));
        // Google's quotas are per project.
        Jobs(signed.unwrap_or_else(|| self.http.clone()).quota(&job.project))
    }
}

#[cfg(test)]
mod tests {
    use plugin_core::serde_json::{self, json};

    use super::*;

    #[test]
    fn handles_of_earlier_releases_open() {
        let handle = json!({"project": "acme", "location": "EU", "id": "flyte-1"});
        let job = serde_json::from_value::<Job>(handle).unwrap();
        assert_eq!((job.results, job.key), (false, None));
    }
}
