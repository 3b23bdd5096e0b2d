//! REST: the verbs of jobs, execution, the served task types, and the API's documents.

mod body;
mod docs;
mod execute;
mod openapi;
mod page;
mod problems;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{FromRequestParts, Path, Query, State, rejection::QueryRejection},
};
use bytes::Bytes;
use http::{HeaderMap, request::Parts};
use serde::Deserialize;
use server_core::{Error, Kind, Result, ServiceInfo};
use utoipa::{IntoParams, OpenApi as _};
use utoipa_axum::{router::OpenApiRouter, routes};

pub use self::openapi::openapi;
use self::{
    body::{
        CreateJob, CreatedJob, DeletedJob, JobQuery, JobSpec, JobStatus, LogLink, ServedPlugin,
        ServedPlugins,
    },
    openapi::Document,
    problems::{Problems, RATE_LIMITED, SubmissionProblems, TaskProblems},
};
use crate::{
    context::{ConnectionValues, Verb},
    handle::{Job, from_job_id, to_job_id},
    verbs::{Incoming, Opened, Served, ServedAsync, UNREADABLE_HANDLE, Verbs},
};

#[derive(Clone)]
struct Rest {
    verbs: Arc<Verbs>,
    info: ServiceInfo,
}

/// The path of the list.
const LIST: &str = "/plugins/v1";
/// The path of the operations on tasks.
const TASKS: &str = "/plugins/v1/{task_type}/{version}";
/// The path of the schema.
const SCHEMA: &str = "/plugins/v1/{task_type}/{version}/schema";

/// Every operation with its documentation, which takes half a MiB to build.
fn documented() -> OpenApiRouter<Rest> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(create, execute::execute, get, delete))
        .routes(routes!(list))
        .routes(routes!(schema))
}

/// Every REST route.
pub(super) fn routes(verbs: Arc<Verbs>, info: ServiceInfo) -> Router {
    use axum::routing;
    let tasks = routing::put(create).post(execute::execute).get(get).delete(delete);
    let router = Router::new()
        .route(TASKS, tasks)
        .route(LIST, routing::get(list))
        .route(SCHEMA, routing::get(schema));
    let docs = docs::docs(&verbs, info);
    router.with_state(Rest { verbs, info }).merge(docs)
}

/// The task type in a path.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct TaskTypePath {
    /// As task templates spell it
    task_type: String,
    /// The task type's version, for example 0
    version: String,
}

type Address = Path<TaskTypePath>;

impl Rest {
    /// The plugin at a path. A version is an integer, with or without a leading `v`.
    fn find(&self, Path(TaskTypePath { task_type, version }): &Address) -> Result<&Served> {
        let digits = version.strip_prefix('v').unwrap_or(version);
        let number = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok());
        let number = number.flatten().ok_or_else(|| {
            Error::not_found(format!("version {version:?} is not a number; try {task_type}/0"))
        })?;
        self.verbs.find(task_type, Some(number))
    }

    fn open(
        &self,
        incoming: &Incoming,
        verb: Verb,
        served: &ServedAsync,
        job_id: &str,
    ) -> Result<Opened> {
        let sealed = from_job_id(job_id).ok_or_else(|| {
            Error::invalid("job_id: not issued by this service").with_code(UNREADABLE_HANDLE)
        })?;
        self.verbs.open(incoming, verb, &sealed, Some(served.task_type.name))
    }
}

/// The call, as the gate passes it on.
impl<S: Sync> FromRequestParts<S> for Incoming {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        Self::of(&mut parts.extensions)
    }
}

/// Submits a job.
///
/// For task types of mode `async`. A repeat of the request with the same `Idempotency-Key` header or `output_prefix` returns the
/// same job; where `GET /plugins/v1` has another `repeated_create` than `safe`, a second one may start.
#[utoipa::path(
    put,
    operation_id = "create_job",
    tag = "jobs",
    path = "/plugins/v1/{task_type}/{version}",
    params(
        TaskTypePath,
        ("Idempotency-Key" = Option<String>, Header, description = "Used instead of output_prefix"),
        ("X-Request-Timeout" = Option<String>, Header, description = "How long the caller waits, for example 8s"),
    ),
    request_body = CreateJob,
    responses(
        (status = 200, description = "The job was submitted, now or by an earlier request", body = CreatedJob),
        Problems,
        TaskProblems,
        SubmissionProblems,
        (status = 503, description = "Nothing is known to have been created; retry"),
    )
)]
async fn create(
    State(rest): State<Rest>,
    incoming: Incoming,
    address: Address,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<CreatedJob>> {
    let served = rest.find(&address)?.asynchronous()?;
    let (size, task_type) = (body.len(), served.task_type);
    let bounds = rest.verbs.bounds().clone();
    let permit = incoming.permit.clone();
    let read = move || {
        let _permit = permit;
        body::read(&body)?.into_request(task_type, &bounds)
    };
    let request = rest.verbs.heavy().run(size, read).await??;
    let key = idempotency_key(&headers)?;
    let created = rest.verbs.create(&incoming, request.into(), key).await?;
    if let Some(error) = created.refused {
        return Err(as_refusal(error));
    }
    let (job, described) = match &created.meta {
        Some(meta) => (served.plugin.ids(meta)?, Some(served.plugin.describe(meta))),
        None => (None, None),
    };
    Ok(Json(CreatedJob {
        job_id: to_job_id(&created.handle),
        job_spec: JobSpec::new(task_type, created.created_at, job),
        log_links: described.iter().flat_map(|status| &status.links).map(LogLink::of).collect(),
        error_code: None,
        message: if created.repeatable { String::new() } else { NOT_REPEATABLE.to_owned() },
    }))
}

const NOT_REPEATABLE: &str = "created; without Idempotency-Key or output_prefix, a repeat of this \
                              request starts another job";

fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Error::invalid("header Idempotency-Key: given twice"));
    }
    match value.to_str() {
        Ok(key) if !key.is_empty() && key.len() <= 255 => Ok(Some(key)),
        _ => Err(Error::invalid("header Idempotency-Key: must be 1 to 255 ASCII characters")),
    }
}

/// A refusal by the vendor as 422, with the vendor's code and message.
fn as_refusal(error: Error) -> Error {
    if !error.is_upstream() {
        return error;
    }
    let refusal = Error::new(Kind::FailedPrecondition, error.message().to_owned());
    match error.code() {
        Some(code) => refusal.with_code(code.to_owned()),
        None => refusal,
    }
}

/// Returns the status of a job.
///
/// Until the job has ended, repeat it: each poll is answered at once. The query names the job by either `job_id` or `resource_id`.
#[utoipa::path(
    get,
    operation_id = "get_job",
    tag = "jobs",
    path = "/plugins/v1/{task_type}/{version}",
    params(
        TaskTypePath,
        ("X-Request-Timeout" = Option<String>, Header, description = "How long the caller waits, for example 8s"),
        JobQuery,
    ),
    responses(
        (status = 200, description = "The status of the job", body = JobStatus),
        Problems,
        TaskProblems,
        (status = 400, description = "The job_id is missing or unreadable"),
        (status = 403, description = "The job belongs to another caller"),
    )
)]
async fn get(
    State(rest): State<Rest>,
    incoming: Incoming,
    address: Address,
    query: Result<Query<JobQuery>, QueryRejection>,
) -> Result<Json<JobStatus>> {
    let served = rest.find(&address)?.asynchronous()?;
    let job_id = job_id(query)?;
    let opened = rest.open(&incoming, Verb::Get, &served, &job_id)?;
    let status = rest.verbs.get(&incoming, &opened, ConnectionValues::default()).await;
    let job = match &opened.handle.job {
        Job::Created(meta) => served.plugin.ids(meta)?,
        Job::Refused { .. } => None,
    };
    let spec = JobSpec::new(served.task_type, opened.handle.created_at, job);
    Ok(Json(JobStatus::of(spec, &status)?))
}

/// Stops a job.
///
/// Succeeds for a job that has ended. The query names the job by either `job_id` or `resource_id`.
#[utoipa::path(
    delete,
    operation_id = "delete_job",
    tag = "jobs",
    path = "/plugins/v1/{task_type}/{version}",
    params(
        TaskTypePath,
        ("X-Request-Timeout" = Option<String>, Header, description = "How long the caller waits, for example 8s"),
        JobQuery,
    ),
    responses(
        (status = 200, description = "The job is being stopped, or is not running", body = DeletedJob),
        Problems,
        TaskProblems,
        (status = 400, description = "The job_id is missing or unreadable"),
        (status = 403, description = "The job belongs to another caller"),
        (status = 422, description = "A secret needed to stop the job is missing; the job may still be running"),
        (status = 429, description = RATE_LIMITED),
        (status = 503, description = "The job may still be running; retry"),
    )
)]
async fn delete(
    State(rest): State<Rest>,
    incoming: Incoming,
    address: Address,
    query: Result<Query<JobQuery>, QueryRejection>,
) -> Result<Json<DeletedJob>> {
    let served = rest.find(&address)?.asynchronous()?;
    let job_id = job_id(query)?;
    let opened = rest.open(&incoming, Verb::Delete, &served, &job_id)?;
    rest.verbs.delete(&incoming, &opened, ConnectionValues::default()).await?;
    Ok(Json(DeletedJob { job_id, error_code: None, message: String::new() }))
}

fn job_id(query: Result<Query<JobQuery>, QueryRejection>) -> Result<String> {
    let Query(query) = query.map_err(|rejection| Error::invalid(rejection.body_text()))?;
    match (query.job_id, query.resource_id) {
        (Some(job_id), None) | (None, Some(job_id)) => Ok(job_id),
        (None, None) => Err(Error::invalid("query parameter job_id: missing")),
        (Some(_), Some(_)) => {
            Err(Error::invalid("give either job_id or its alias resource_id, not both"))
        }
    }
}

/// Lists the task types that are served.
///
/// With each, its version, its mode, what a repeated create leads to, and the path of its operations.
#[utoipa::path(
    get,
    operation_id = "list_plugins",
    tag = "plugins",
    path = "/plugins/v1",
    responses(
        (status = 200, description = "Every task type of this service", body = ServedPlugins),
        Problems,
    )
)]
async fn list(State(rest): State<Rest>) -> Json<ServedPlugins> {
    let plugins = rest.verbs.served().map(ServedPlugin::of);
    Json(ServedPlugins {
        service: rest.info.name,
        service_version: rest.info.version,
        plugins: plugins.collect(),
    })
}

/// Returns the JSON Schema of a task type's `custom`.
///
/// That is the task's settings, in Flyte's template as in the short form.
#[utoipa::path(
    get,
    operation_id = "get_schema",
    tag = "plugins",
    path = "/plugins/v1/{task_type}/{version}/schema",
    params(
        TaskTypePath,
    ),
    responses(
        (status = 200, description = "A JSON Schema (2020-12)", body = serde_json::Value, content_type = "application/schema+json"),
        Problems,
        (status = 404, description = "The task type or version is unknown"),
    )
)]
async fn schema(
    State(rest): State<Rest>,
    address: Address,
) -> Result<([(http::HeaderName, &'static str); 1], String)> {
    let served = rest.find(&address)?;
    let schema = served.plugin.custom_schema(served.task_type);
    Ok(([(http::header::CONTENT_TYPE, "application/schema+json")], schema.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The gate's table of routes has the methods; a test of it compares them.
    #[test]
    fn what_is_documented_is_routed() {
        let mut documented = openapi().paths.paths.into_keys().collect::<Vec<_>>();
        documented.sort();
        assert_eq!(documented, [LIST, TASKS, SCHEMA]);
    }
}
