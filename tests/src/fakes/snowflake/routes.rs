//! The fake's API.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::{
    Ending, Fake, Shared, Statement, Submitted,
    request::{check_body, check_count, check_headers, check_query},
};

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/api/v2/statements", post(submit))
        .route("/api/v2/statements/{handle}", get(look))
        .route("/api/v2/statements/{handle}/cancel", post(cancel))
        .route("/fake/statements", get(count))
        .fallback(async || error(404, "391404", "Not Found"))
        .with_state(shared)
}

type Fakes = State<Arc<Shared>>;
type Params = Query<BTreeMap<String, String>>;
type Refused = Box<Response>;

impl Shared {
    /// Counts a request and returns its issuer; an error is the response to a request that must not be
    /// served.
    fn accept(&self, headers: &HeaderMap, has_body: bool) -> Result<String, Refused> {
        let mut state = self.state();
        state.requests += 1;
        if !state.outages.is_empty() {
            let status = state.outages.remove(0);
            return Err(Box::new(error(status, "390000", "The service is on fire")));
        }
        if let Err(violation) = check_headers(headers, has_body) {
            state.violations.push(violation.clone());
            return Err(Box::new(error(400, "391903", &violation)));
        }
        state.keys.issuer(headers).map_err(|why| Box::new(error(401, "390144", &why)))
    }

    fn check(&self, query: &BTreeMap<String, String>, body: &Value) -> Result<(), Refused> {
        let checked = check_query(query).and_then(|()| check_body(body));
        checked.map_err(|violation| {
            self.state().violations.push(violation.clone());
            Box::new(error(400, "391902", &violation))
        })?;
        check_count(body).map_err(|message| Box::new(error(422, "000008", &message)))
    }
}

impl Fake {
    /// The statement of an earlier submit with the same request id.
    fn repeated(&mut self, query: &BTreeMap<String, String>) -> Option<String> {
        let is_retry = query.get("retry").is_some_and(|retry| retry == "true");
        let handle = self.request_ids.get(query.get("requestId")?).filter(|_| is_retry)?.clone();
        self.repeats += 1;
        Some(handle)
    }

    /// Runs a new statement.
    fn run(&mut self, submitted: Submitted, polls: u32, ending: Ending) -> String {
        let number = self.statements.len() + 1;
        let handle = format!("01b2c3d4-0000-1111-0000-00000000{:04x}", number * 256);
        let statement = Statement::new(handle.clone(), &submitted.body, polls, ending);
        self.statements.insert(handle.clone(), statement);
        self.request_ids.insert(submitted.request_id.clone(), handle.clone());
        self.submitted.push(submitted);
        handle
    }
}

/// The number of statements, for users of the fake as a program.
async fn count(State(shared): Fakes) -> String {
    shared.state().statements.len().to_string()
}

async fn submit(
    State(shared): Fakes,
    Query(query): Params,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    let issuer = match shared.accept(&headers, true) {
        Ok(issuer) => issuer,
        Err(refused) => return *refused,
    };
    if let Err(refused) = shared.check(&query, &body) {
        return *refused;
    }
    let (polls, ending) = (shared.options.polls, shared.ending());
    let (answer, lost) = {
        let mut state = shared.state();
        let request_id = query.get("requestId").cloned().unwrap_or_default();
        let handle = state
            .repeated(&query)
            .unwrap_or_else(|| state.run(Submitted { body, request_id, issuer }, polls, ending));
        let lost = state.lost_answers > 0;
        state.lost_answers = state.lost_answers.saturating_sub(1);
        let waits = query.get("async").is_none_or(|value| value != "true");
        let statement = state.statements.get_mut(&handle);
        let answer = statement.map(|statement| {
            if waits {
                statement.finish();
            }
            statement.answer()
        });
        (answer, lost)
    };
    shared.submits.pass().await;
    match answer {
        Some(answer) if !lost => respond(answer),
        _ => error(503, "390503", "The response was lost"),
    }
}

async fn look(State(shared): Fakes, Path(handle): Path<String>, headers: HeaderMap) -> Response {
    if let Err(refused) = shared.accept(&headers, false) {
        return *refused;
    }
    let mut state = shared.state();
    let answer = state.statements.get_mut(&handle).map(|statement| {
        let now = statement.answer();
        statement.advance();
        now
    });
    answer.map_or_else(|| missing(&handle), respond)
}

async fn cancel(State(shared): Fakes, Path(handle): Path<String>, headers: HeaderMap) -> Response {
    if let Err(refused) = shared.accept(&headers, false) {
        return *refused;
    }
    let mut state = shared.state();
    let answer = state.statements.get_mut(&handle).map(Statement::cancel);
    answer.map_or_else(|| missing(&handle), respond)
}

fn respond((status, body): (StatusCode, Value)) -> Response {
    (status, Json(body)).into_response()
}

fn missing(handle: &str) -> Response {
    error(404, "000709", &format!("Statement {handle} not found"))
}

fn error(status: u16, code: &str, message: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Json(json!({ "code": code, "message": message }))).into_response()
}
