//! Executing a synchronous task.

use axum::{extract::State, response::Response};
use bytes::Bytes;
use http::HeaderMap;
use jiff::Timestamp;
use server_core::Result;

use super::{
    Address, Rest, TaskTypePath,
    answer::{JobSpec, JobStatus},
    as_refusal,
    body::{self, CreateJob},
    idempotency_key,
    problems::{Problems, SubmissionProblems, TaskProblems},
};
use crate::verbs::Incoming;

/// Executes a task and returns its outcome.
///
/// For task types of mode `sync`. A repeat of the request with the same `Idempotency-Key` header or
/// `output_prefix` joins an execution in progress and returns the same outcome.
#[utoipa::path(
    post,
    operation_id = "execute_task",
    tag = "tasks",
    path = "/plugins/v1/{task_type}/{version}",
    params(
        TaskTypePath,
        ("Idempotency-Key" = Option<String>, Header, description = "Used instead of output_prefix"),
        ("X-Request-Timeout" = Option<String>, Header, description = "How long the caller waits, for example 8s"),
    ),
    request_body = CreateJob,
    responses(
        (status = 200, description = "The task has ended; job_state is its outcome", body = JobStatus<'_>),
        Problems,
        TaskProblems,
        SubmissionProblems,
        (status = 404, description = "The task type or version is unknown, or is asynchronous and runs as a job"),
        (status = 503, description = "The outcome is unknown; retry"),
    )
)]
pub(super) async fn execute(
    State(rest): State<Rest>,
    incoming: Incoming,
    address: Address,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response> {
    let served = rest.find(&address.task_type, &address.version)?.synchronous()?;
    let (size, task_type) = (body.len(), served.task_type);
    let bounds = rest.verbs.bounds().clone();
    let permit = incoming.permit.clone();
    let read = move || {
        let _permit = permit;
        body::read(&body)?.into_request(task_type, &bounds)
    };
    let request = rest.verbs.heavy().run(size, read).await??;
    let key = idempotency_key(&headers)?;
    let started = Timestamp::now();
    let executed = rest.verbs.execute(&incoming, request.into(), key).await?;
    if let Some(error) = executed.refused {
        return Err(as_refusal(error));
    }
    let spec = JobSpec::new(task_type, started, None);
    JobStatus::of(spec, &executed.status)?.response()
}
