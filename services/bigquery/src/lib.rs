//! Runs Flyte's `bigquery_query_job_task`: a SQL statement as one BigQuery query job.

mod api;
mod credentials;
mod jobs;
mod labels;
mod parameters;
mod query;
mod sql;
mod task_types;

use plugin_core::{
    BatchKey, BatchStatus, Context, HttpBuilder, Kind, Phase, Plugin, Polled, Result, Status, Task,
    TaskType,
};
use schemars::JsonSchema;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::{
    credentials::{Google, KEY_SECRET},
    jobs::Jobs,
};

/// Google's API, by whatever `--endpoint` names.
const API: &str = "https://bigquery.googleapis.com/bigquery/v2";

/// The BigQuery plugin.
pub struct BigQuery {
    jobs: Jobs,
}

/// What an operator sets.
#[derive(Debug, clap::Args)]
pub struct Settings {
    /// Service account to act as, with the service's own credentials as its delegate.
    #[arg(long, env = "BIGQUERY_IMPERSONATE", value_name = "EMAIL")]
    impersonate: Option<String>,

    /// `host:port` of an emulator to call instead of Google, without credentials.
    #[arg(long, env = "BIGQUERY_EMULATOR_HOST", value_name = "HOST", conflicts_with = "endpoint")]
    emulator_host: Option<String>,
}

/// What a task's author writes: `BigQueryConfig` of Flyte's SDKs.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Custom {
    /// The Google Cloud project that runs the query and pays for it.
    #[serde(rename = "ProjectID")]
    project: String,
    /// Where the query runs, for example `EU`; BigQuery finds out by the tables if absent.
    #[serde(rename = "Location", default, deserialize_with = "query::non_empty")]
    location: Option<String>,
    /// Flyte's domain. The SDKs write it; nothing reads it.
    #[serde(rename = "Domain")]
    _domain: Option<Json>,
    /// Flyte 2: which secret holds what. `google_application_credentials` is a service account's key.
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

/// What finds the job again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    project: String,
    location: Option<String>,
    id: String,
    /// Whether the task declares the output `results`.
    #[serde(default)]
    results: bool,
}

impl Plugin for BigQuery {
    const TASK_TYPES: &'static [TaskType] = task_types::TASK_TYPES;

    type Settings = Settings;
    type Custom = Custom;
    type Meta = Job;

    fn new(settings: Settings, http: HttpBuilder) -> Result<Self> {
        let http = match settings.emulator_host {
            Some(host) => http.emulator(&host)?,
            None => http.credentials(Google::new(settings.impersonate)?),
        };
        Ok(Self { jobs: Jobs(http.failures(api::failure).build(API)?) })
    }

    async fn create(&self, cx: &Context, task: Task<Custom>) -> Result<Job> {
        cx.caller().check_target(&task.custom.project)?;
        if task.custom.secrets.as_ref().is_some_and(|secrets| secrets.contains_key(KEY_SECRET)) {
            // The author chose an identity: never fall back to the service's own.
            cx.secret(KEY_SECRET).await?;
        }
        let job = Job {
            project: task.custom.project.clone(),
            location: task.custom.location.clone(),
            id: format!("flyte-{}", cx.idempotency_key().hex()),
            results: task.declares_output("results"),
        };
        self.jobs.insert(cx, &query::insert(cx, &task, &job)?, job).await
    }

    async fn get(&self, cx: &Context, job: Job) -> Result<Status> {
        match self.jobs.get(cx, &job).await {
            Ok(found) => self.jobs.status(cx, &job, found).await,
            Err(error) if error.kind() == Kind::NotFound => Err(jobs::not_found(&job, &error)),
            Err(error) => Err(error),
        }
    }

    async fn batch_key(&self, cx: &Context, job: &Job) -> Result<Option<BatchKey>> {
        let key = cx.find_secret(KEY_SECRET).await?;
        let identity = key.as_ref().map_or("", |key| key.expose_secret());
        Ok(Some(BatchKey::of(&[&job.project, identity])))
    }

    async fn get_many(&self, cx: &Context, jobs: &[Polled<Job>]) -> Result<Vec<BatchStatus>> {
        self.jobs.get_many(cx, jobs).await
    }

    fn describe(&self, job: &Job) -> Status {
        api::described(Status::new(Phase::Running), job)
    }

    async fn delete(&self, cx: &Context, job: Job) -> Result<()> {
        self.jobs.cancel(cx, &job).await
    }
}
