//! The fake's API.

use std::sync::Arc;

use axum::{
    Router,
    body::to_bytes,
    extract::{Request, State},
    response::Response,
    routing::{get, post},
};
use http::StatusCode;
use serde_json::{Value, json};

use super::{
    super::aws::{self, Call},
    Execution, Refusal, Shared,
};

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", post(call))
        .route("/fake/queries", get(count))
        .fallback(async || refuse(&Refusal::new(404, "UnknownOperationException", "")))
        .with_state(shared)
}

type Fakes = State<Arc<Shared>>;

/// The number of queries, for users of the fake as a program.
async fn count(State(shared): Fakes) -> String {
    shared.state().executions.len().to_string()
}

async fn call(State(shared): Fakes, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap_or_default();
    let received = aws::Received {
        method: &parts.method,
        uri: &parts.uri,
        headers: &parts.headers,
        body: &body,
    };
    let Call { operation, input, .. } = match shared.accept(received) {
        Ok(call) => call,
        Err(refused) => return *refused,
    };
    let answer = match operation.as_str() {
        "StartQueryExecution" => shared.start(input).await,
        "GetQueryExecution" => shared.get(&input),
        "BatchGetQueryExecution" => Ok(shared.get_many(&input)),
        "StopQueryExecution" => shared.stop(&input),
        "GetQueryResults" => shared.results(&input),
        _ => Err(Refusal::new(400, "UnknownOperationException", "")),
    };
    match answer {
        Ok(answer) => shared.checker.answer(&operation, &answer),
        Err(refusal) if refusal.code == "InvalidRequestException" => {
            let members = json!({ "AthenaErrorCode": "INVALID_INPUT" });
            shared.checker.exception(&operation, &refusal.code, &refusal.message, &members)
        }
        Err(refusal) => refuse(&refusal),
    }
}

/// An error that any service of AWS may answer with.
fn refuse(Refusal { status, code, message }: &Refusal) -> Response {
    let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    aws::error(status, code, message)
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal { status: 400, code: "InvalidRequestException".to_owned(), message: message.into() }
}

impl Shared {
    /// Counts and checks a request; an error is the response to one that must not be served.
    fn accept(&self, received: aws::Received<'_>) -> Result<Call, Box<Response>> {
        let checked = self.checker.check(received);
        let mut state = self.state();
        state.requests += 1;
        if let Ok(call) = &checked {
            state.received.push(call.clone());
        }
        if !state.refusals.is_empty() {
            return Err(Box::new(refuse(&state.refusals.remove(0))));
        }
        checked
    }

    async fn start(&self, mut body: Value) -> Result<Value, Refusal> {
        let token = body["ClientRequestToken"].take();
        let token = token.as_str().unwrap_or_default().to_owned();
        let ending = self.ending();
        let (answer, is_lost) = {
            let mut state = self.state();
            let answer = match state.tokens.get(&token).cloned() {
                Some(id)
                    if state.executions.get(&id).is_some_and(|found| found.request != body) =>
                {
                    Err(invalid("Idempotent parameters do not match"))
                }
                Some(id) => {
                    state.repeats += 1;
                    Ok(id)
                }
                None => self.check_location(&body).map(|()| {
                    let id = format!("0a1b2c3d-0000-4000-8000-{:012x}", state.executions.len() + 1);
                    let execution = Execution::new(id.clone(), body, &self.options, ending);
                    state.executions.insert(id.clone(), execution);
                    state.tokens.insert(token, id.clone());
                    id
                }),
            };
            let is_lost = state.lost_answers > 0 && answer.is_ok();
            state.lost_answers -= usize::from(is_lost);
            (answer, is_lost)
        };
        self.submits.pass().await;
        match is_lost {
            true => Err(Refusal::new(503, "ServiceUnavailable", "the answer was lost")),
            false => answer.map(|id| json!({ "QueryExecutionId": id })),
        }
    }

    fn check_location(&self, body: &Value) -> Result<(), Refusal> {
        let has_own = body["ResultConfiguration"]["OutputLocation"].is_string();
        match (has_own, self.options.managed_results) {
            (true, true) => {
                Err(invalid("ResultConfiguration cannot be set with managed query results"))
            }
            (false, false) if self.options.workgroup_location.is_none() => Err(invalid(
                "No output location provided. An output location is required either through the Workgroup result \
                 configuration setting or as an API input.",
            )),
            _ => Ok(()),
        }
    }

    fn get(&self, body: &Value) -> Result<Value, Refusal> {
        let mut state = self.state();
        let id = body["QueryExecutionId"].as_str().unwrap_or_default();
        let found = state.executions.get_mut(id).ok_or_else(|| missing(id))?;
        Ok(json!({ "QueryExecution": found.poll() }))
    }

    fn get_many(&self, body: &Value) -> Value {
        let mut state = self.state();
        let ids =
            body["QueryExecutionIds"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let (mut found, mut unprocessed) = (Vec::new(), Vec::new());
        for id in ids {
            let skipped = state.unprocessed.iter().any(|skipped| skipped == id);
            match state.executions.get_mut(id).filter(|_| !skipped) {
                Some(execution) => found.push(execution.poll()),
                None => unprocessed.push(json!({
                    "QueryExecutionId": id, "ErrorCode": "INTERNAL_FAILURE", "ErrorMessage": "not processed",
                })),
            }
        }
        json!({ "QueryExecutions": found, "UnprocessedQueryExecutionIds": unprocessed })
    }

    fn results(&self, body: &Value) -> Result<Value, Refusal> {
        let state = self.state();
        let id = body["QueryExecutionId"].as_str().unwrap_or_default();
        state.executions.get(id).ok_or_else(|| missing(id))?.results().map_err(invalid)
    }

    fn stop(&self, body: &Value) -> Result<Value, Refusal> {
        let mut state = self.state();
        let id = body["QueryExecutionId"].as_str().unwrap_or_default();
        state.executions.get_mut(id).ok_or_else(|| missing(id))?.stop();
        Ok(json!({}))
    }
}

fn missing(id: &str) -> Refusal {
    invalid(format!("QueryExecution {id} was not found"))
}
