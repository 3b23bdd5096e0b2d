//! REST: the RFC's three verbs, executing at once, what is served, and its documents.

mod body;
mod execute;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{FromRequestParts, Path, Query, State, rejection::QueryRejection},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, request::Parts};
use jiff::Timestamp;
use serde_json::{Value, json};
use server_core::{Error, Kind, Result, ServiceInfo};
use utoipa::OpenApi as _;
use utoipa_axum::{router::OpenApiRouter, routes};
use utoipa_swagger_ui::SwaggerUi;

use self::body::{
    CreateJob, CreatedJob, DeletedJob, JobQuery, JobStatus, Problem, ServedPlugin, ServedPlugins,
};
use crate::{
    context::Verb,
    handle::Job,
    task::TaskType,
    verbs::{self, Incoming, Opened, Served, ServedAsync, UNREADABLE_HANDLE, Verbs},
};

#[derive(Clone)]
struct Rest {
    verbs: Arc<Verbs>,
    info: ServiceInfo,
}

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Outrigger",
        description = "A Flyte backend plugin as a service. The same calls are served over gRPC to \
                       FlytePropeller and to Flyte 2."
    ),
    security(("bearer" = [])),
    modifiers(&Bearer)
)]
struct Document;

struct Bearer;

impl utoipa::Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    }
}

fn documented() -> OpenApiRouter<Rest> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(create, execute::execute, get, delete))
        .routes(routes!(list))
        .routes(routes!(schema))
}

/// The OpenAPI document of every plugin service.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut document = documented().into_openapi();
    document.info.version = env!("CARGO_PKG_VERSION").to_owned();
    document
}

/// Every REST route.
pub(super) fn routes(verbs: Arc<Verbs>, info: ServiceInfo) -> Router {
    let (router, _) = documented().split_for_parts();
    router.with_state(Rest { verbs, info }).merge(docs())
}

/// `/openapi.json`, and `/docs` to read and try it in a browser.
pub(super) fn docs() -> Router {
    SwaggerUi::new("/docs").url("/openapi.json", openapi()).into()
}

/// The task type and version in a path.
type Address = Path<(String, String)>;

impl Rest {
    /// The plugin at a path; a version is an integer, with or without a leading `v`.
    fn find(&self, Path((task_type, version)): &Address) -> Result<&Served> {
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
        let sealed = BASE64_URL_SAFE_NO_PAD.decode(job_id).map_err(|_| {
            Error::invalid("job_id: was not issued by this service").with_code(UNREADABLE_HANDLE)
        })?;
        self.verbs.open(incoming, verb, &sealed, Some(served.task_type.name))
    }
}

/// What the layers learned about a call.
impl<S: Sync> FromRequestParts<S> for Incoming {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        Self::of(&parts.extensions)
    }
}

/// Submits a job.
///
/// For task types of mode `async`. Repeating the request with the same `Idempotency-Key` header or `output_prefix` answers with the
/// same job.
#[utoipa::path(
    put,
    operation_id = "create_job",
    tag = "jobs",
    path = "/plugins/v1/{task_type}/{version}",
    params(
        ("task_type" = String, Path, description = "As task templates spell it"),
        ("version" = String, Path, description = "The task type's version, for example 0"),
        ("Idempotency-Key" = Option<String>, Header, description = "Stands in for output_prefix"),
        ("X-Request-Timeout" = Option<String>, Header, description = "How long the caller waits, for example 8s"),
    ),
    request_body = CreateJob,
    responses(
        (status = 200, description = "The job was submitted, now or before", body = CreatedJob),
        (status = 400, description = "The request is wrong", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No token, or one that is not accepted", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The token does not allow this", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "The task type or version is not served, or has no jobs", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The request is too large", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The vendor refuses the job, in its own words", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "The vendor asks for patience", body = Problem, content_type = "application/problem+json"),
        (status = 500, description = "A defect in the service", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Nothing is known to have been created; try again", body = Problem, content_type = "application/problem+json"),
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
    let request = body::read(&body)?.into_request(served.task_type)?;
    let key = idempotency_key(&headers)?;
    let created = rest.verbs.create(&incoming, request, key).await?;
    if let Some(error) = created.refused {
        return Err(as_refusal(error));
    }
    Ok(Json(CreatedJob {
        job_id: BASE64_URL_SAFE_NO_PAD.encode(&created.handle),
        error_code: None,
        message: if created.repeatable { String::new() } else { NOT_REPEATABLE.to_owned() },
    }))
}

const NOT_REPEATABLE: &str = "created; without Idempotency-Key or output_prefix, repeating this \
                              request starts another job";

fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    match value.to_str() {
        Ok(text) if !text.is_empty() && text.len() <= 255 => Ok(Some(text)),
        _ => Err(Error::invalid("header Idempotency-Key: 1 to 255 ASCII characters")),
    }
}

/// A refusal by the vendor is not one by this service: 422, in the vendor's words.
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

/// Looks at a job.
#[utoipa::path(
    get,
    operation_id = "get_job",
    tag = "jobs",
    path = "/plugins/v1/{task_type}/{version}",
    params(
        ("task_type" = String, Path, description = "As task templates spell it"),
        ("version" = String, Path, description = "The task type's version, for example 0"),
        ("X-Request-Timeout" = Option<String>, Header, description = "How long the caller waits, for example 8s"),
        JobQuery,
    ),
    responses(
        (status = 200, description = "Where the job stands", body = JobStatus),
        (status = 400, description = "The job_id is missing or cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No token, or one that is not accepted", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The job belongs to another caller", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "The task type or version is not served, or has no jobs", body = Problem, content_type = "application/problem+json"),
        (status = 500, description = "A defect in the service", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The service is overloaded or starting", body = Problem, content_type = "application/problem+json"),
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
    let status = rest.verbs.get(&incoming, &opened, verbs::ConnectionSecrets::new()).await;
    let job = match &opened.handle.job {
        Job::Created(meta) => serde_json::from_slice(meta).unwrap_or_default(),
        Job::Refused { .. } => Value::Null,
    };
    let spec = job_spec(served.task_type, opened.handle.created_at, &job);
    Ok(Json(JobStatus::of(spec, &status)?))
}

/// What the job was created as, and what finds it at the vendor.
fn job_spec(task_type: TaskType, created_at: Timestamp, job: &Value) -> Value {
    json!({
        "task_type": task_type.name,
        "version": task_type.version,
        "created_at": created_at.to_string(),
        "job": job,
    })
}

/// Stops a job. One that has ended is a success.
#[utoipa::path(
    delete,
    operation_id = "delete_job",
    tag = "jobs",
    path = "/plugins/v1/{task_type}/{version}",
    params(
        ("task_type" = String, Path, description = "As task templates spell it"),
        ("version" = String, Path, description = "The task type's version, for example 0"),
        ("X-Request-Timeout" = Option<String>, Header, description = "How long the caller waits, for example 8s"),
        JobQuery,
    ),
    responses(
        (status = 200, description = "The job is being stopped, or does not run", body = DeletedJob),
        (status = 400, description = "The job_id is missing or cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No token, or one that is not accepted", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The job belongs to another caller", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "The task type or version is not served, or has no jobs", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A secret that stopping the job takes is missing; it may still run", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "The vendor asks for patience", body = Problem, content_type = "application/problem+json"),
        (status = 500, description = "A defect in the service", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The job may still run; try again", body = Problem, content_type = "application/problem+json"),
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
    rest.verbs.delete(&incoming, &opened, verbs::ConnectionSecrets::new()).await?;
    Ok(Json(DeletedJob { job_id, error_code: None, message: String::new() }))
}

fn job_id(query: Result<Query<JobQuery>, QueryRejection>) -> Result<String> {
    let Query(query) = query.map_err(|rejection| Error::invalid(rejection.body_text()))?;
    match (query.job_id, query.resource_id) {
        (Some(job_id), None) | (None, Some(job_id)) => Ok(job_id),
        (None, None) => Err(Error::invalid("query parameter job_id: missing")),
        (Some(_), Some(_)) => Err(Error::invalid("give job_id or its alias resource_id, not both")),
    }
}

/// What is served.
#[utoipa::path(
    get,
    operation_id = "list_plugins",
    tag = "plugins",
    path = "/plugins/v1",
    responses(
        (status = 200, description = "Every task type of this service", body = ServedPlugins),
        (status = 400, description = "The request is wrong", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No token, or one that is not accepted", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The token does not allow this", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The service is overloaded or starting", body = Problem, content_type = "application/problem+json"),
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

/// The JSON Schema of a task type's `custom`.
#[utoipa::path(
    get,
    operation_id = "get_schema",
    tag = "plugins",
    path = "/plugins/v1/{task_type}/{version}/schema",
    params(
        ("task_type" = String, Path, description = "As task templates spell it"),
        ("version" = String, Path, description = "The task type's version, for example 0"),
    ),
    responses(
        (status = 200, description = "A JSON Schema (2020-12)", body = serde_json::Value, content_type = "application/schema+json"),
        (status = 400, description = "The request is wrong", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No token, or one that is not accepted", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The token does not allow this", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "The task type or version is not served", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The service is overloaded or starting", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn schema(
    State(rest): State<Rest>,
    address: Address,
) -> Result<([(http::HeaderName, &'static str); 1], String)> {
    let schema = rest.find(&address)?.plugin.custom_schema();
    Ok(([(http::header::CONTENT_TYPE, "application/schema+json")], schema.to_string()))
}
