//! Runs Flyte's `bigquery_query_job_task`: a SQL statement as one BigQuery query job.

mod api;
mod credentials;
mod parameters;
mod query;
mod sql;

use jiff::{SignedDuration, Timestamp};
use plugin_core::{
    Context, Error, Http, HttpBuilder, Kind, Phase, Plugin, Result, Status, Task, TaskType,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::credentials::{Google, KEY_SECRET};

/// Google's API, by whatever `--endpoint` names.
const API: &str = "https://bigquery.googleapis.com/bigquery/v2";
/// How long a new job may be unknown to `jobs.get` (googleapis/python-bigquery#2134).
const SETTLES: SignedDuration = SignedDuration::from_secs(60);

/// The BigQuery plugin.
pub struct BigQuery {
    http: Http,
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
    /// Every key of `JobConfigurationQuery`, as the REST API spells it.
    #[serde(flatten)]
    query: Map<String, Json>,
}

/// What finds the job again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    project: String,
    location: Option<String>,
    id: String,
}

impl Plugin for BigQuery {
    const TASK_TYPES: &'static [TaskType] =
        &[TaskType { name: "bigquery_query_job_task", version: 0 }];

    type Settings = Settings;
    type Custom = Custom;
    type Meta = Job;

    fn new(settings: Settings, http: HttpBuilder) -> Result<Self> {
        let http = match settings.emulator_host {
            Some(host) => http.emulator(&host)?,
            None => http.credentials(Google::new(settings.impersonate)?),
        };
        Ok(Self { http: http.failures(api::failure).build(API)? })
    }

    async fn create(&self, cx: &Context, task: Task<Custom>) -> Result<Job> {
        cx.caller().check_target(&task.custom.project)?;
        if task.custom.secrets.as_ref().is_some_and(|secrets| secrets.contains_key(KEY_SECRET)) {
            // The author chose an identity: never fall back to the service's own.
            cx.secret(KEY_SECRET).await?;
        }
        let mut job = Job {
            project: task.custom.project.clone(),
            location: task.custom.location.clone(),
            id: format!("flyte-{}", cx.idempotency_key().hex()),
        };
        let insert = query::insert(cx, &task, &job)?;
        let request = self.http.post(&["projects", &job.project, "jobs"]).idempotent();
        match request.json(&insert).send_json::<api::Job>(cx).await {
            Ok(created) => job.location = created.reference.location.or(job.location),
            // The id is ours alone: an earlier try created it.
            Err(error) if error.kind() == Kind::AlreadyExists => {
                job.location =
                    api::location_of_duplicate(error.message(), &job.id).or(job.location);
                job = self.adopt(cx, job, &insert).await?;
            }
            Err(error) => return Err(error),
        }
        Ok(job)
    }

    async fn get(&self, cx: &Context, job: Job) -> Result<Status> {
        match self.find(cx, &job).await {
            Ok(found) => Ok(found.status()),
            Err(error) if error.kind() == Kind::NotFound => not_found(cx, &job, &error),
            Err(error) => Err(error),
        }
    }

    fn describe(&self, job: &Job) -> Status {
        api::described(Status::new(Phase::Running), &job.project, job.location.as_deref(), &job.id)
    }

    async fn delete(&self, cx: &Context, job: Job) -> Result<()> {
        let path = ["projects", &job.project, "jobs", &job.id, "cancel"];
        let request = self.http.post(&path).query("location", job.location.as_deref());
        request.idempotent().send(cx).await.map(drop)
    }
}

impl BigQuery {
    async fn find(&self, cx: &Context, job: &Job) -> Result<api::Job> {
        let path = ["projects", &job.project, "jobs", &job.id];
        self.http.get(&path).query("location", job.location.as_deref()).send_json(cx).await
    }

    /// The job that an earlier try created, unless it runs something else.
    async fn adopt(&self, cx: &Context, job: Job, insert: &Json) -> Result<Job> {
        let found = match self.find(cx, &job).await {
            Ok(found) => found,
            Err(error) if error.kind() == Kind::NotFound => return Ok(job),
            Err(error) => return Err(error),
        };
        let ours = &insert["configuration"]["query"]["query"];
        if found.statement().is_some_and(|statement| ours != statement) {
            let message =
                "another statement was submitted under this key; give it a key of its own";
            return Err(Error::new(Kind::FailedPrecondition, message).with_code("duplicate"));
        }
        Ok(Job { location: found.reference.location.or(job.location), ..job })
    }
}

/// A job that BigQuery does not find: not yet, or not any more.
fn not_found(cx: &Context, job: &Job, error: &Error) -> Result<Status> {
    if Timestamp::now().duration_since(cx.created_at()) < SETTLES {
        let queued = Status::new(Phase::Queued).message("submitted; BigQuery does not list it yet");
        return Ok(api::described(queued, &job.project, job.location.as_deref(), &job.id));
    }
    let location = job.location.as_deref().unwrap_or("unknown");
    Err(Error::not_found(format!(
        "BigQuery has no job {} in project {}, location {location}: jobs are kept for six months",
        job.id, job.project
    ))
    .with_code("notFound")
    .with_source(error.clone()))
}
