//! The fake's operations.

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::State,
    response::Response,
    routing::{get, post},
};
use http::{HeaderMap, Method, StatusCode, Uri};
use serde_json::{Value, json};

use super::{Fake, Shared, Statement, Submitted};
use crate::fakes::aws::{Call, Received, error};

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new().route("/", post(answer)).route("/fake/statements", get(count)).with_state(shared)
}

/// The number of statements, for users of the fake as a program.
async fn count(State(shared): State<Arc<Shared>>) -> String {
    shared.state().statements.len().to_string()
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let received = Received { method: &method, uri: &uri, headers: &headers, body: &body };
    let call = match shared.checker.check(received) {
        Ok(call) => call,
        Err(refused) => return *refused,
    };
    *shared.state().requests.entry(call.operation.clone()).or_default() += 1;
    if let Some(outage) = shared.state().outages.pop_front() {
        return outage.response();
    }
    if !call.input["WaitTimeSeconds"].is_null() {
        shared.checker.breach("WaitTimeSeconds: a call must not wait for its job");
    }
    match call.operation.as_str() {
        "ExecuteStatement" | "BatchExecuteStatement" => submit(&shared, call).await,
        "DescribeStatement" => of_statement(&shared, &call, |shared, statement| {
            let answer = statement.described();
            statement.advance();
            shared.checker.answer("DescribeStatement", &answer)
        }),
        "CancelStatement" => of_statement(&shared, &call, cancel),
        "GetStatementResult" => of_statement(&shared, &call, result),
        "ListStatements" => list(&shared, &call.input),
        other => {
            shared.checker.breach(format!("the fake has no {other}"));
            error(StatusCode::BAD_REQUEST, "UnknownOperationException", other)
        }
    }
}

/// What the model leaves to words: which combinations of members are valid.
fn check_target(input: &Value) -> Result<(), String> {
    let has = |field: &str| !input[field].is_null();
    if has("ClusterIdentifier") == has("WorkgroupName") {
        return Err("one of ClusterIdentifier and WorkgroupName must be set".to_owned());
    }
    if has("DbUser") && (has("WorkgroupName") || has("SecretArn")) {
        return Err("DbUser is for temporary credentials of a cluster".to_owned());
    }
    if !has("Database") {
        return Err("Database is missing".to_owned());
    }
    check_parameters(input)
}

/// Every parameter is referenced, and every reference has a parameter.
fn check_parameters(input: &Value) -> Result<(), String> {
    let batch = input["Sqls"].as_array().into_iter().flatten();
    let texts = batch.chain([&input["Sql"]]).filter_map(Value::as_str).collect::<Vec<_>>();
    for parameter in input["Parameters"].as_array().into_iter().flatten() {
        let name = format!(":{}", parameter["name"].as_str().unwrap_or_default());
        if !texts.iter().any(|text| text.contains(&name)) {
            return Err(format!("Parameters list contains unused parameters: {name}"));
        }
    }
    Ok(())
}

async fn submit(shared: &Shared, call: Call) -> Response {
    let Call { operation, input, access_key } = call;
    if let Err(message) = check_target(&input) {
        shared.checker.breach(&*message);
        return shared.checker.exception(&operation, "ValidationException", &message, &json!({}));
    }
    let (polls, ending) = (shared.options.polls, shared.ending());
    let (answer, lost) = {
        let mut state = shared.state();
        let token = input["ClientToken"].as_str().unwrap_or_default().to_owned();
        let id = match state.repeated(&token, &input) {
            Some(Ok(id)) => id,
            Some(Err(message)) => {
                let code = "ValidationException";
                return shared.checker.exception(&operation, code, message, &json!({}));
            }
            None => {
                let id = state.next_id();
                let statement = Statement::new(id.clone(), input.clone(), polls, ending);
                state.statements.insert(id.clone(), statement);
                state.tokens.insert(token, id.clone());
                state.submitted.push(Submitted { operation: operation.clone(), input, access_key });
                id
            }
        };
        let lost = state.lost_answers > 0;
        state.lost_answers = state.lost_answers.saturating_sub(1);
        (state.statements.get(&id).map(Statement::started), lost)
    };
    shared.submits.pass().await;
    match answer {
        Some(answer) if !lost => shared.checker.answer(&operation, &answer),
        _ => shared.checker.exception(
            &operation,
            "InternalServerException",
            "The response was lost",
            &json!({}),
        ),
    }
}

impl Fake {
    /// The statement of an earlier submit with the same token; an error if that had another input. AWS documents that
    /// the token makes a submit idempotent, and not what it answers to another one.
    fn repeated(&mut self, token: &str, input: &Value) -> Option<Result<String, &'static str>> {
        let id = self.tokens.get(token)?.clone();
        if self.statements.get(&id).is_some_and(|earlier| !earlier.is_of(input)) {
            return Some(Err("The client token was used with other parameters."));
        }
        self.repeats += 1;
        Some(Ok(id))
    }

    fn next_id(&self) -> String {
        format!("d9b6c0c9-0747-4bf4-b142-{:012x}", self.statements.len() + 1)
    }
}

fn of_statement(
    shared: &Shared,
    call: &Call,
    then: impl FnOnce(&Shared, &mut Statement) -> Response,
) -> Response {
    let id = call.input["Id"].as_str().unwrap_or_default();
    let mut state = shared.state();
    match state.statements.get_mut(id) {
        Some(statement) => then(shared, statement),
        None => {
            let (code, members) = ("ResourceNotFoundException", json!({ "ResourceId": id }));
            shared.checker.exception(&call.operation, code, "Query does not exist.", &members)
        }
    }
}

fn cancel(shared: &Shared, statement: &mut Statement) -> Response {
    if statement.cancel() {
        return shared.checker.answer("CancelStatement", &json!({ "Status": true }));
    }
    let message =
        format!("Could not cancel a query that is already in {} state.", statement.state());
    shared.checker.exception("CancelStatement", "ValidationException", &message, &json!({}))
}

/// No statement of the fake has rows: those of a task are unloaded.
fn result(shared: &Shared, statement: &mut Statement) -> Response {
    let message = "Query does not have result. Please check query status with DescribeStatement.";
    let members = json!({ "ResourceId": statement.id() });
    let code = "ResourceNotFoundException";
    shared.checker.exception("GetStatementResult", code, message, &members)
}

fn list(shared: &Shared, input: &Value) -> Response {
    let state = shared.state();
    let size = input["MaxResults"].as_u64().map_or(100, |size| size as usize);
    let after = input["NextToken"].as_str().unwrap_or_default();
    let status = input["Status"].as_str().unwrap_or("FINISHED");
    let matching = state.statements.values().filter(|one| {
        one.id() > after && one.is_at(input) && (status == "ALL" || one.state() == status)
    });
    let page = matching.take(size).collect::<Vec<_>>();
    let mut answer =
        json!({ "Statements": page.iter().map(|one| one.listed()).collect::<Value>() });
    if page.len() == size
        && let Some(last) = page.last()
    {
        answer["NextToken"] = last.id().into();
    }
    shared.checker.answer("ListStatements", &answer)
}
