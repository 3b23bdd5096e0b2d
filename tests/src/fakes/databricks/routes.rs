//! The fake's API.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json, Router,
    extract::{Query, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};

use super::{Run, Shared, schema};

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/api/2.2/jobs/runs/submit", post(submit))
        .route("/api/2.2/jobs/runs/get", get(look))
        .route("/api/2.2/jobs/runs/get-output", get(output))
        .route("/api/2.2/jobs/runs/cancel", post(cancel))
        .route("/api/2.2/jobs/runs/list", get(list))
        .route("/oidc/v1/token", post(token))
        .route("/fake/runs", get(count))
        .fallback(async || error(404, "ENDPOINT_NOT_FOUND", "No API found"))
        .with_state(shared)
}

type Fakes = State<Arc<Shared>>;
type Params = Query<BTreeMap<String, String>>;

impl Shared {
    /// Counts a request and returns its token; an error is the response to a request without a valid one.
    fn accept(&self, call: &str, headers: &HeaderMap) -> Result<String, Box<Response>> {
        let mut state = self.state();
        *state.requests.entry(call.to_owned()).or_default() += 1;
        let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = value.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        let known = self.options.tokens.is_empty()
            || self.options.tokens.iter().any(|known| known == token)
            || state.issued.contains(token);
        if token.is_empty() || token == "None" || !known {
            let message = "Credential was not sent or was of an unsupported type for this API.";
            return Err(Box::new(error(401, "401", message)));
        }
        Ok(token.to_owned())
    }

    /// The response to return instead of the regular one, if there is one.
    fn outage(&self) -> Option<Response> {
        let mut state = self.state();
        let status = (!state.outages.is_empty()).then(|| state.outages.remove(0))?;
        (status != 200).then(|| {
            error(status, "TEMPORARILY_UNAVAILABLE", "The service is temporarily unavailable.")
        })
    }
}

/// The URL that a request was sent to, for links.
fn url(headers: &HeaderMap) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    format!("https://{}", host.unwrap_or("localhost"))
}

/// The number of runs, for users of the fake as a program.
async fn count(State(shared): Fakes) -> String {
    shared.state().submitted.len().to_string()
}

async fn submit(State(shared): Fakes, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    let submitter = match shared.accept("runs/submit", &headers) {
        Ok(submitter) => submitter,
        Err(refusal) => return *refusal,
    };
    if let Err(violation) = schema::check(&body) {
        shared.state().violations.push(violation.clone());
        return error(400, "INVALID_PARAMETER_VALUE", &violation);
    }
    let id = start(&shared, submitter, body);
    shared.submits.pass().await;
    let answer = Json(json!({ "run_id": id })).into_response();
    shared.outage().unwrap_or(answer)
}

/// The run of a submit: a new one, unless its idempotency token is known.
fn start(shared: &Shared, submitter: String, body: Value) -> i64 {
    let mut state = shared.state();
    let token = body["idempotency_token"].as_str().unwrap_or_default().to_owned();
    if let Some(&id) = state.by_token.get(&token).filter(|_| !token.is_empty()) {
        state.duplicates += 1;
        return id;
    }
    let id = 455_644_833 + i64::try_from(state.submitted.len()).unwrap_or_default();
    state.by_token.insert(token, id);
    state.submitters.push(submitter);
    state.submitted.push(body.clone());
    let ending = shared.options.ending.clone();
    state.runs.push(Run::new(id, body, shared.options.polls, ending));
    id
}

/// Responds about the run `id`, or that it does not exist.
fn about(
    shared: &Shared,
    call: &str,
    headers: &HeaderMap,
    id: Option<i64>,
    answer: impl FnOnce(&mut Run) -> Response,
) -> Response {
    if let Err(refusal) = shared.accept(call, headers) {
        return *refusal;
    }
    if let Some(outage) = shared.outage() {
        return outage;
    }
    let Some(id) = id else {
        return error(400, "INVALID_PARAMETER_VALUE", "run_id must be a number");
    };
    let mut state = shared.state();
    let is_output = call == "runs/get-output";
    let found = state.runs.iter_mut().find(|run| run.id == id && !is_output || run.has_task(id));
    match found {
        Some(run) => answer(run),
        None => error(400, "INVALID_PARAMETER_VALUE", &format!("Run {id} does not exist.")),
    }
}

fn run_id(query: &BTreeMap<String, String>) -> Option<i64> {
    query.get("run_id")?.parse().ok()
}

async fn look(State(shared): Fakes, Query(query): Params, headers: HeaderMap) -> Response {
    about(&shared, "runs/get", &headers, run_id(&query), |run| {
        let now = run.to_json(&url(&headers));
        run.advance();
        Json(now).into_response()
    })
}

async fn output(State(shared): Fakes, Query(query): Params, headers: HeaderMap) -> Response {
    about(&shared, "runs/get-output", &headers, run_id(&query), |run| {
        Json(run.output(&url(&headers))).into_response()
    })
}

async fn cancel(State(shared): Fakes, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    about(&shared, "runs/cancel", &headers, body["run_id"].as_i64(), |run| {
        run.cancel();
        Json(json!({})).into_response()
    })
}

async fn list(State(shared): Fakes, Query(query): Params, headers: HeaderMap) -> Response {
    if let Err(refusal) = shared.accept("runs/list", &headers) {
        return *refusal;
    }
    let number = |name: &str| query.get(name).and_then(|text| text.parse::<usize>().ok());
    let limit = match number("limit").unwrap_or(20) {
        0 => 24,
        limit @ 1..25 => limit,
        _ => return error(400, "INVALID_PARAMETER_VALUE", "limit must be less than 25"),
    };
    let flag = |name: &str| query.get(name).is_some_and(|text| text == "true");
    let (active, ended) = (flag("active_only"), flag("completed_only"));
    if active && ended {
        return error(
            400,
            "INVALID_PARAMETER_VALUE",
            "active_only and completed_only exclude each other",
        );
    }
    let from = number("page_token").unwrap_or_default();
    let state = shared.state();
    let runs = state.runs.iter().rev().filter(|run| if run.is_done() { !active } else { !ended });
    let item = |run: &Run| {
        let mut item = run.to_json(&url(&headers));
        if !flag("expand_tasks") {
            item.as_object_mut().map(|item| item.remove("tasks"));
        }
        item
    };
    let mut runs = runs.skip(from).map(item).collect::<Vec<_>>();
    let mut answer = json!({ "has_more": runs.len() > limit });
    if runs.len() > limit {
        answer["next_page_token"] = (from + limit).to_string().into();
        runs.truncate(limit);
    }
    if !runs.is_empty() {
        answer["runs"] = runs.into();
    }
    Json(answer).into_response()
}

/// Issues tokens to known service principals and for trusted OIDC tokens.
async fn token(State(shared): Fakes, body: String) -> Response {
    let form = format!("/?{body}").parse().ok();
    let form = form.and_then(|uri| Params::try_from_uri(&uri).ok()).unwrap_or_default();
    let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    let options = &shared.options;
    let known = match field("grant_type") {
        "client_credentials" => options.clients.iter().any(|(id, secret)| {
            (id.as_str(), secret.as_str()) == (field("client_id"), field("client_secret"))
        }),
        "urn:ietf:params:oauth:grant-type:token-exchange" => {
            field("subject_token_type") == "urn:ietf:params:oauth:token-type:jwt"
                && options.trusted.iter().any(|trusted| trusted == field("subject_token"))
        }
        _ => false,
    };
    let mut state = shared.state();
    *state.requests.entry("token".to_owned()).or_default() += 1;
    if !known || field("scope") != "all-apis" {
        let body =
            json!({"error": "invalid_client", "error_description": "Client authentication failed"});
        return (StatusCode::UNAUTHORIZED, Json(body)).into_response();
    }
    let token = format!("token-{}-of-{}", state.issued.len() + 1, field("client_id"));
    state.issued.insert(token.clone());
    let answer = json!({"access_token": token, "token_type": "Bearer", "expires_in": 3600, "scope": "all-apis"});
    Json(answer).into_response()
}

fn error(status: u16, code: &str, message: &str) -> Response {
    let body = json!({ "error_code": code, "message": message });
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Json(body)).into_response()
}
