//! The calls of BigQuery's jobs API that a query job needs.

use jiff::{SignedDuration, Timestamp};
use plugin_core::{Context, Error, Http, Kind, Phase, Result, Status};
use serde_json::Value as Json;

use crate::{Job, api};

/// How long a new job may be unknown to `jobs.get` (googleapis/python-bigquery#2134).
const SETTLES: SignedDuration = SignedDuration::from_secs(60);

/// BigQuery's jobs.
pub(crate) struct Jobs(pub(crate) Http);

impl Jobs {
    /// Submits `insert` as `job`, or adopts the job that an earlier try submitted.
    pub(crate) async fn insert(&self, cx: &Context, insert: &Json, job: Job) -> Result<Job> {
        let request = self.0.post(&["projects", &job.project, "jobs"]).idempotent();
        match request.json(insert).send_json::<api::Job>(cx).await {
            Ok(created) => Ok(job.in_location(created.reference.location)),
            Err(error) if error.kind() == Kind::AlreadyExists => {
                let location = api::location_of_duplicate(error.message(), &job.id);
                self.adopt(cx, job.in_location(location), insert).await
            }
            Err(error) => Err(error),
        }
    }

    /// The id is ours alone, so the job is an earlier try's, unless somebody used its key for another
    /// statement.
    async fn adopt(&self, cx: &Context, job: Job, insert: &Json) -> Result<Job> {
        let found = match self.get(cx, &job).await {
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
        Ok(job.in_location(found.reference.location))
    }

    /// Looks at `job`.
    pub(crate) async fn get(&self, cx: &Context, job: &Job) -> Result<api::Job> {
        let path = ["projects", &job.project, "jobs", &job.id];
        self.0.get(&path).query("location", job.location.as_deref()).send_json(cx).await
    }

    /// Asks BigQuery to stop `job`.
    pub(crate) async fn cancel(&self, cx: &Context, job: &Job) -> Result<()> {
        let path = ["projects", &job.project, "jobs", &job.id, "cancel"];
        let request = self.0.post(&path).query("location", job.location.as_deref());
        request.idempotent().send(cx).await.map(drop)
    }
}

impl Job {
    /// The same job, in `location` if that has become known.
    fn in_location(self, location: Option<String>) -> Self {
        Self { location: location.or(self.location), ..self }
    }
}

/// A job that BigQuery does not find: not yet, or not any more.
pub(crate) fn not_found(cx: &Context, job: &Job, error: &Error) -> Result<Status> {
    if Timestamp::now().duration_since(cx.created_at()) < SETTLES {
        let queued = Status::new(Phase::Queued);
        return Ok(api::described(queued.message("submitted; BigQuery does not list it yet"), job));
    }
    let location = job.location.as_deref().unwrap_or("unknown");
    Err(Error::not_found(format!(
        "BigQuery has no job {} in project {}, location {location}: jobs are kept for six months",
        job.id, job.project
    ))
    .with_code("notFound")
    .with_source(error.clone()))
}
