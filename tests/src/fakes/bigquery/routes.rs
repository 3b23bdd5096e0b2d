//! The fake's API.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Path, Query, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};

use super::{Fake, Job, Shared, fields};
use crate::discovery::{Direction, Discovery};

/// The token that this fake issues as Google's metadata server, and accepts.
const METADATA_TOKEN: &str = "ya29.fake-token-of-the-metadata-server";

/// <https://cloud.google.com/bigquery/quotas>
const MAX_REQUEST_BYTES: usize = 10 << 20;

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/bigquery/v2/projects/{project}/jobs", post(insert).get(list))
        .route("/bigquery/v2/projects/{project}/jobs/{job}", get(look))
        .route("/bigquery/v2/projects/{project}/jobs/{job}/cancel", post(cancel))
        .route("/computeMetadata/v1/instance/service-accounts/default/token", get(token))
        .route("/fake/jobs", get(count))
        .fallback(async || google_error(404, "notFound", "Not Found"))
        .layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES))
        .with_state(shared)
}

type Fakes = State<Arc<Shared>>;
type Params = Query<BTreeMap<String, String>>;

impl Shared {
    /// Counts a request; an error is the response to a request that must not be served.
    fn accept(&self, headers: &HeaderMap) -> Result<(), Box<Response>> {
        let mut state = self.state();
        state.requests += 1;
        state.scopes.extend(scopes(headers));
        let outage = (!state.outages.is_empty()).then(|| state.outages.remove(0));
        if let Some(status) = outage.filter(|status| *status != 200) {
            let reason = match status {
                401 => "authError",
                403 => "accessDenied",
                429 => "rateLimitExceeded",
                _ => "backendError",
            };
            let error = google_error(status, reason, "The backend is on fire");
            return Err(Box::new(error));
        }
        if self.options.require_token && !has_token(headers) {
            return Err(Box::new(google_error(401, "authError", "Invalid Credentials")));
        }
        Ok(())
    }

    fn loses_answer(&self) -> bool {
        let mut state = self.state();
        let loses = state.lost > 0;
        state.lost -= usize::from(loses);
        loses
    }

    fn check(&self, checked: impl FnOnce(&Discovery) -> Result<(), String>) -> Result<(), String> {
        let result = self.options.discovery.as_ref().map_or(Ok(()), checked);
        if let Err(violation) = &result {
            self.state().violations.push(violation.clone());
        }
        result
    }

    /// A response with what `query` asks for of `body`, which must match the schema `schema`.
    fn answer(&self, schema: &str, body: Value, query: &BTreeMap<String, String>) -> Response {
        let _ = self.check(|discovery| discovery.check_body(schema, &body, Direction::Response));
        let asked = query.get("fields");
        let checked = asked.map_or(Ok(()), |asked| {
            self.check(|discovery| fields::check(discovery, schema, asked))
        });
        if let Err(violation) = checked {
            return google_error(400, "invalidParameter", &violation);
        }
        let body = match asked {
            Some(asked) => fields::select(&body, asked),
            None => body,
        };
        let mut state = self.state();
        state.longest_answer = state.longest_answer.max(body.to_string().len());
        Json(body).into_response()
    }

    fn check_query(
        &self,
        method: &str,
        query: &BTreeMap<String, String>,
    ) -> Result<(), Box<Response>> {
        self.check(|discovery| discovery.check_query(method, query.keys().map(String::as_str)))
            .map_err(|violation| Box::new(google_error(400, "invalidParameter", &violation)))
    }
}

/// The scopes in a token that was signed with a service account's key.
fn scopes(headers: &HeaderMap) -> Vec<String> {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let claims = value.and_then(|token| token.split('.').nth(1)).unwrap_or_default();
    let claims = BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap_or_default();
    let claims = serde_json::from_slice::<Value>(&claims).unwrap_or_default();
    claims["scope"].as_str().unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

/// Whether there is a token of the metadata server, or one signed with a service account's key.
fn has_token(headers: &HeaderMap) -> bool {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    value.and_then(|value| value.strip_prefix("Bearer ")).is_some_and(|token| {
        token == METADATA_TOKEN || token.split('.').filter(|part| !part.is_empty()).count() == 3
    })
}

/// The number of jobs, for users of the fake as a program.
async fn count(State(shared): Fakes) -> String {
    shared.state().jobs.len().to_string()
}

async fn token(State(shared): Fakes, Query(query): Params, headers: HeaderMap) -> Response {
    let scopes = query.get("scopes").map(String::as_str).unwrap_or_default();
    shared.state().scopes.extend(scopes.split(',').map(str::to_owned));
    if headers.get("metadata-flavor").is_none_or(|flavor| flavor != "Google") {
        return StatusCode::FORBIDDEN.into_response();
    }
    let token =
        json!({ "access_token": METADATA_TOKEN, "expires_in": 3599, "token_type": "Bearer" });
    Json(token).into_response()
}

async fn insert(
    State(shared): Fakes,
    Path(project): Path<String>,
    Query(query): Params,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    if let Err(refusal) = shared.accept(&headers) {
        return *refusal;
    }
    if let Err(refusal) = shared.check_query("jobs.insert", &query) {
        return *refusal;
    }
    if let Err(violation) =
        shared.check(|discovery| discovery.check_body("Job", &body, Direction::Request))
    {
        return google_error(
            400,
            "invalid",
            &format!("Invalid JSON payload received. {violation}"),
        );
    }
    if let Some((reason, message)) = &shared.state().refusal {
        return google_error(400, reason, message);
    }
    let job = match Job::new(&project, &body, shared.options.polls, shared.options.ending.clone()) {
        Ok(job) => job,
        Err(message) => return google_error(400, "invalid", &message),
    };
    let answer = {
        let mut state = shared.state();
        if state.jobs.contains_key(&job.key()) {
            state.duplicates += 1;
            if state.lost > 0 {
                state.lost -= 1;
                return google_error(503, "backendError", "The response was lost");
            }
            return google_error(409, "duplicate", &format!("Already Exists: Job {}", job.key()));
        }
        let answer = job.to_json();
        state.inserted.push(body);
        state.jobs.insert(job.key(), job);
        answer
    };
    shared.inserts.pass().await;
    if shared.loses_answer() {
        return google_error(503, "backendError", "The response was lost");
    }
    shared.answer("Job", answer, &query)
}

async fn look(
    State(shared): Fakes,
    Path((project, id)): Path<(String, String)>,
    Query(query): Params,
    headers: HeaderMap,
) -> Response {
    if let Err(refusal) = shared.accept(&headers) {
        return *refusal;
    }
    if let Err(refusal) = shared.check_query("jobs.get", &query) {
        return *refusal;
    }
    let found = {
        let mut state = shared.state();
        let job = find(&mut state, &project, &id, query.get("location"));
        job.map(|job| {
            let now = job.to_json();
            job.advance();
            now
        })
    };
    match found {
        Some(job) => shared.answer("Job", job, &query),
        None => missing(&project, &id),
    }
}

async fn list(
    State(shared): Fakes,
    Path(project): Path<String>,
    Query(query): Params,
    headers: HeaderMap,
) -> Response {
    if let Err(refusal) = shared.accept(&headers) {
        return *refusal;
    }
    if let Err(refusal) = shared.check_query("jobs.list", &query) {
        return *refusal;
    }
    let number = |name: &str| query.get(name).and_then(|text| text.parse::<u128>().ok());
    let size = number("maxResults").map_or(50, |size| usize::try_from(size).unwrap_or(50));
    let start = number("pageToken").map_or(0, |token| usize::try_from(token).unwrap_or(0));
    let all = match query.get("parentJobId") {
        Some(parent) => shared.children(&project, parent),
        None => shared.list(&project, number("minCreationTime"), number("maxCreationTime")),
    };
    let mut body = json!({ "kind": "bigquery#jobList" });
    if all.len() > start + size {
        body["nextPageToken"] = (start + size).to_string().into();
    }
    body["jobs"] = all.into_iter().skip(start).take(size).collect();
    shared.answer("JobList", body, &query)
}

impl Shared {
    fn children(&self, project: &str, parent: &str) -> Vec<Value> {
        let state = self.state();
        let job = state.jobs.values().find(|job| job.is(project, parent));
        job.map(Job::children).unwrap_or_default()
    }

    /// A project's jobs created within a period, newest first. Each advances by one poll.
    fn list(&self, project: &str, since: Option<u128>, until: Option<u128>) -> Vec<Value> {
        let mut state = self.state();
        let mut jobs = state.jobs.values_mut().filter(|job| {
            job.belongs_to(project)
                && since.is_none_or(|since| job.created_ms >= since)
                && until.is_none_or(|until| job.created_ms <= until)
        });
        let mut listed = jobs.by_ref().collect::<Vec<_>>();
        listed.sort_by_key(|job| std::cmp::Reverse(job.created_ms));
        let item = |job: &mut Job| {
            let mut item = job.to_json();
            item["state"] = item["status"]["state"].clone();
            job.advance();
            item
        };
        listed.into_iter().map(item).collect()
    }
}

async fn cancel(
    State(shared): Fakes,
    Path((project, id)): Path<(String, String)>,
    Query(query): Params,
    headers: HeaderMap,
) -> Response {
    if let Err(refusal) = shared.accept(&headers) {
        return *refusal;
    }
    if let Err(refusal) = shared.check_query("jobs.cancel", &query) {
        return *refusal;
    }
    let found = {
        let mut state = shared.state();
        let job = find(&mut state, &project, &id, query.get("location"));
        job.map(|job| {
            job.cancel();
            job.to_json()
        })
    };
    match found {
        Some(job) => {
            let body = json!({ "kind": "bigquery#jobCancelResponse", "job": job });
            shared.answer("JobCancelResponse", body, &query)
        }
        None => missing(&project, &id),
    }
}

/// Finds a job; without a location, Google finds only jobs in the US and EU.
fn find<'a>(
    state: &'a mut Fake,
    project: &str,
    id: &str,
    location: Option<&String>,
) -> Option<&'a mut Job> {
    let mut jobs = state.jobs.values_mut().filter(|job| job.is(project, id));
    match location {
        Some(location) => jobs.find(|job| job.location == *location),
        None => jobs.find(|job| matches!(job.location.as_str(), "US" | "EU")),
    }
}

fn missing(project: &str, id: &str) -> Response {
    google_error(404, "notFound", &format!("Not found: Job {project}:{id}"))
}

fn google_error(status: u16, reason: &str, message: &str) -> Response {
    let body = json!({"error": {
        "code": status,
        "message": message,
        "errors": [{"message": message, "domain": "global", "reason": reason}],
    }});
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Json(body)).into_response()
}
