//! Answering a task at once.

use axum::{Json, extract::State};
use bytes::Bytes;
use http::HeaderMap;
use jiff::Timestamp;
use serde_json::Value;
use server_core::Result;

use super::{
    Address, Rest, as_refusal,
    body::{self, CreateJob, JobStatus, Problem},
    idempotency_key, job_spec,
};
use crate::verbs::Incoming;

/// Does what the task asks for, and answers with how it ended.
///
/// For task types of mode `sync`. Repeating the request with the same `Idempotency-Key` header or
/// `output_prefix` while it is under way answers with the same outcome.
#[utoipa::path(
    post,
    operation_id = "execute_task",
    tag = "tasks",
    path = "/plugins/v1/{task_type}/{version}",
    params(
        ("task_type" = String, Path, description = "As task templates spell it"),
        ("version" = String, Path, description = "The task type's version, for example 0"),
        ("Idempotency-Key" = Option<String>, Header, description = "Stands in for output_prefix"),
        ("X-Request-Timeout" = Option<String>, Header, description = "How long the caller waits, for example 8s"),
    ),
    request_body = CreateJob,
    responses(
        (status = 200, description = "The task has ended; job_state tells how", body = JobStatus),
        (status = 400, description = "The request is wrong", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No token, or one that is not accepted", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The token does not allow this", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "The task type or version is not served, or runs as a job", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The request is too large", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The vendor refuses the task, in its own words", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "The vendor asks for patience", body = Problem, content_type = "application/problem+json"),
        (status = 500, description = "A defect in the service", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The outcome is not known; try again", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn execute(
    State(rest): State<Rest>,
    incoming: Incoming,
    address: Address,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<JobStatus>> {
    let served = rest.find(&address)?.synchronous()?;
    let request = body::read(&body)?.into_request(served.task_type)?;
    let key = idempotency_key(&headers)?;
    let started = Timestamp::now();
    let executed = rest.verbs.execute(&incoming, request, key).await?;
    if let Some(error) = executed.refused {
        return Err(as_refusal(error));
    }
    let spec = job_spec(served.task_type, started, &Value::Null);
    Ok(Json(JobStatus::of(spec, &executed.status)?))
}
