//! The fake's REST.

use std::{sync::Arc, time::Duration};

use axum::{
    Json as Body, Router,
    body::Bytes,
    extract::{FromRequestParts, Path, Query, Request, State},
    http::{HeaderMap, StatusCode, request::Parts},
    response::{IntoResponse as _, Response},
    routing::get,
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Value as Json, json};
use tokio::time::timeout;

use super::{
    ASYNC, Fake, Fault, LIMIT, SYNC, Shared,
    jobs::{Outcome, Status, task},
};

pub(super) fn routes() -> Router<Arc<Fake>> {
    Router::new()
        .route("/plugins/v1", get(list))
        .route("/plugins/v1/{name}/{version}", get(poll).put(create).post(execute).delete(delete))
        .route("/plugins/v1/{name}/{version}/schema", get(schema))
}

type Type = Path<(String, i32)>;

/// A caller that is known.
struct Known;

impl FromRequestParts<Arc<Fake>> for Known {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, fake: &Arc<Fake>) -> Result<Self, Response> {
        if fake.knows(&parts.headers) {
            return Ok(Self);
        }
        let mut refused = problem(StatusCode::UNAUTHORIZED, "no token");
        if !fake.is(Fault::NoChallenge) {
            refused.headers_mut().insert("www-authenticate", "Bearer".parse().unwrap());
        }
        Err(refused)
    }
}

fn problem(status: StatusCode, message: &str) -> Response {
    (status, Body(json!({"error_code": "", "message": message}))).into_response()
}

async fn list(State(fake): Shared, _: Known) -> Response {
    let version = if fake.is(Fault::RestListsAnotherVersion) { 5 } else { 0 };
    let mut plugins = vec![
        json!({"task_type": ASYNC, "version": version, "mode": "async"}),
        json!({"task_type": SYNC, "version": 0, "mode": "sync"}),
    ];
    if fake.is(Fault::TwoVersions) {
        plugins.push(json!({"task_type": ASYNC, "version": 1, "mode": "async"}));
    }
    match fake.fault {
        Fault::RestListFails => problem(StatusCode::INTERNAL_SERVER_ERROR, "no list"),
        _ => Body(json!({ "plugins": plugins })).into_response(),
    }
}

async fn schema(State(fake): Shared, _: Known) -> Response {
    if fake.is(Fault::NoSchema) {
        return problem(StatusCode::NOT_FOUND, "no schema");
    }
    Body(json!({"properties": {"text": {"type": "string"}}})).into_response()
}

/// The body of a request, within its bounds.
async fn body(fake: &Fake, headers: &HeaderMap, request: Request) -> Result<Bytes, Response> {
    let limit = if fake.is(Fault::LargeMessageIsRead) { usize::MAX } else { LIMIT };
    let length = headers.get("content-length").and_then(|length| length.to_str().ok());
    if length.is_some_and(|length| length.parse::<usize>().is_ok_and(|length| length > limit)) {
        return Err(problem(StatusCode::PAYLOAD_TOO_LARGE, "too large"));
    }
    let millis = headers.get("x-request-timeout").and_then(|value| value.to_str().ok());
    let millis = millis.and_then(|value| value.strip_suffix("ms")?.parse().ok()).unwrap_or(60_000);
    let read = axum::body::to_bytes(request.into_body(), limit);
    match timeout(Duration::from_millis(millis), read).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) => Err(problem(StatusCode::PAYLOAD_TOO_LARGE, "too large")),
        Err(_) => Err(problem(StatusCode::GATEWAY_TIMEOUT, "too late")),
    }
}

/// A task, after its type was found.
async fn submitted(
    fake: &Fake,
    path: &Type,
    is_sync: bool,
    request: Request,
) -> Result<plugin_core::testing::proto::flyteidl::admin::CreateTaskRequest, Response> {
    let Path((name, version)) = path;
    let headers = request.headers().clone();
    let served = if is_sync { SYNC } else { ASYNC };
    let executes = is_sync && name == ASYNC && fake.is(Fault::AsyncTypeExecutes);
    let lenient = [
        Fault::UnknownTypeIsAccepted,
        Fault::SyncUnknownTypeIsAccepted,
        Fault::UnknownVersionIsAccepted,
    ];
    let known = name == served && (*version == 0 || (*version == 1 && fake.is(Fault::TwoVersions)));
    let other = if is_sync { ASYNC } else { SYNC };
    let lenient = lenient.contains(&fake.fault) && name != other;
    if !(known || executes || lenient) {
        return Err(problem(StatusCode::NOT_FOUND, "no such type"));
    }
    let bytes = body(fake, &headers, request).await?;
    let json = serde_json::from_slice::<Json>(&bytes).unwrap_or_default();
    task(&json).ok_or_else(|| {
        let status = match fake.fault {
            Fault::MalformedJsonIs500 => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        };
        problem(status, "body: not a task")
    })
}

async fn create(State(fake): Shared, _: Known, path: Type, request: Request) -> Response {
    let task = match submitted(&fake, &path, false, request).await {
        Ok(task) => task,
        Err(refused) => return refused,
    };
    match fake.create(&task).await {
        Outcome::Accepted(_) if fake.is(Fault::EmptyRestHandle) => {
            Body(json!({"job_id": ""})).into_response()
        }
        Outcome::Accepted(number) => {
            let handle = BASE64_URL_SAFE_NO_PAD.encode(fake.handle(number));
            Body(json!({ "job_id": handle })).into_response()
        }
        other => refusal(&other),
    }
}

fn refusal<T>(outcome: &Outcome<T>) -> Response {
    match outcome {
        Outcome::Refused(message) => problem(StatusCode::UNPROCESSABLE_ENTITY, message),
        Outcome::Invalid(message) => problem(StatusCode::BAD_REQUEST, message),
        Outcome::NotFound => problem(StatusCode::NOT_FOUND, "no such type"),
        Outcome::Unavailable => problem(StatusCode::SERVICE_UNAVAILABLE, "try again"),
        Outcome::Accepted(_) => unreachable!("no refusal"),
    }
}

async fn execute(State(fake): Shared, _: Known, path: Type, request: Request) -> Response {
    let task = match submitted(&fake, &path, true, request).await {
        Ok(task) => task,
        Err(refused) => return refused,
    };
    match fake.execute(&task) {
        Outcome::Accepted(mut status) => {
            if fake.is(Fault::SyncOutcomeDiffersOverRest) {
                status.links.clear();
            }
            answer(&status, &Json::Null)
        }
        other => refusal(&other),
    }
}

#[derive(Deserialize)]
struct JobId {
    job_id: String,
}

impl JobId {
    fn handle(&self) -> Vec<u8> {
        BASE64_URL_SAFE_NO_PAD.decode(&self.job_id).unwrap_or_default()
    }
}

async fn poll(State(fake): Shared, _: Known, Query(job_id): Query<JobId>) -> Response {
    let handle = job_id.handle();
    fake.unpickle(&handle).await;
    let number = match fake.open(&handle) {
        Ok(number) => number,
        Err(altered) => return not_a_job(&fake, altered),
    };
    let Some(mut status) = fake.poll(number).await else {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "try again");
    };
    if fake.is(Fault::OutputsDifferOverRest)
        && let Some(outputs) = &mut status.outputs
    {
        outputs["literals"]["text"]["scalar"]["primitive"]["string_value"] = "bye".into();
    }
    let job = match fake.fault {
        Fault::SecondJobWithoutIds => Json::Null,
        _ => json!({ "id": number }),
    };
    match fake.fault {
        Fault::InfoDiffersOverRest => answer_with(&status, &job, &json!({"bytes": 1})),
        _ => answer(&status, &job),
    }
}

fn not_a_job(fake: &Fake, altered: bool) -> Response {
    let fault = if altered { Fault::AlteredHandleIsAJob } else { Fault::GarbageIsAJob };
    if fake.is(fault) {
        return answer(&Status::of("RUNNING", ""), &json!({"id": 0}));
    }
    problem(StatusCode::BAD_REQUEST, &fake.about_garbage())
}

fn answer(status: &Status, job: &Json) -> Response {
    // An integer, where gRPC has a double.
    answer_with(status, job, &json!({"bytes": 2}))
}

fn answer_with(status: &Status, job: &Json, info: &Json) -> Response {
    let links = status.links.iter().map(|(name, uri)| json!({"name": name, "uri": uri}));
    let state = match status.phase {
        "SUCCEEDED" => "succeed",
        "FAILED" => "failed",
        _ => "running",
    };
    Body(json!({
        "job_spec": {"job": job}, "job_state": state, "phase": status.phase,
        "outputs": status.outputs, "log_links": links.collect::<Vec<_>>(), "custom_info": info,
        "error_code": null, "message": status.message,
    }))
    .into_response()
}

async fn delete(State(fake): Shared, _: Known, Query(job_id): Query<JobId>) -> Response {
    match fake.open(&job_id.handle()) {
        Err(_) => problem(StatusCode::BAD_REQUEST, "not a handle"),
        Ok(number) => match fake.delete(number) {
            Ok(()) => Body(json!({"job_id": job_id.job_id})).into_response(),
            Err(()) => problem(StatusCode::CONFLICT, "it has ended"),
        },
    }
}
