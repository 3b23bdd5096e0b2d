//! The fake's operations.

use std::sync::Arc;

use axum::{Router, body::Bytes, extract::State, response::Response};
use http::{HeaderMap, Method, StatusCode, Uri};
use serde_json::{Value, json};

use super::{Application, Fake, Shared, Submitted, run::Run};
use crate::fakes::aws::{Call, Received, error};

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new().fallback(answer).with_state(shared)
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
    match call.operation.as_str() {
        "ListApplications" => list_applications(&shared),
        "ListJobRuns" => list(&shared, &call.input),
        "GetApplication" => of_application(&shared, &call, |application| {
            application.advance();
            json!({ "application": application.described() })
        }),
        "StartApplication" => of_application(&shared, &call, |application| {
            "STARTING".clone_into(&mut application.state);
            json!({})
        }),
        "StartJobRun" => submit(&shared, &call),
        "GetJobRun" => of_run(&shared, &call, |run| {
            let described = run.described();
            run.advance();
            Ok(json!({ "jobRun": described }))
        }),
        "CancelJobRun" => of_run(&shared, &call, |run| match run.cancel() {
            true => Ok(json!({ "applicationId": run.application, "jobRunId": run.id })),
            false => {
                Err(format!("Job run {} is in a terminal state and cannot be cancelled", run.id))
            }
        }),
        other => {
            shared.checker.breach(format!("the fake has no {other}"));
            error(StatusCode::BAD_REQUEST, "UnknownOperationException", other)
        }
    }
}

fn list_applications(shared: &Shared) -> Response {
    let state = shared.state();
    let applications = state.applications.iter().map(Application::listed).collect::<Value>();
    shared.checker.answer("ListApplications", &json!({ "applications": applications }))
}

fn list(shared: &Shared, input: &Value) -> Response {
    let state = shared.state();
    let size = input["maxResults"].as_u64().map_or(50, |size| size as usize);
    let after = input["nextToken"].as_str().unwrap_or_default();
    let states = input["states"].as_array().cloned().unwrap_or_default();
    let matching = state.runs.values().filter(|run| {
        run.application == input["applicationId"]
            && run.id.as_str() > after
            && (states.is_empty() || states.iter().any(|state| state == run.state()))
    });
    let page = matching.take(size).collect::<Vec<_>>();
    let mut answer = json!({ "jobRuns": page.iter().map(|run| run.listed()).collect::<Value>() });
    if page.len() == size
        && let Some(last) = page.last()
    {
        answer["nextToken"] = last.id.as_str().into();
    }
    shared.checker.answer("ListJobRuns", &answer)
}

fn not_found(shared: &Shared, call: &Call, what: &str) -> Response {
    let message = format!("{what} does not exist");
    shared.checker.exception(&call.operation, "ResourceNotFoundException", &message, &json!({}))
}

fn of_application(
    shared: &Shared,
    call: &Call,
    then: impl FnOnce(&mut Application) -> Value,
) -> Response {
    let id = call.input["applicationId"].as_str().unwrap_or_default();
    let answer = shared.state().applications.iter_mut().find(|one| one.id == id).map(then);
    match answer {
        Some(answer) => shared.checker.answer(&call.operation, &answer),
        None => not_found(shared, call, &format!("Application {id}")),
    }
}

fn of_run(
    shared: &Shared,
    call: &Call,
    then: impl FnOnce(&mut Run) -> Result<Value, String>,
) -> Response {
    let id = call.input["jobRunId"].as_str().unwrap_or_default();
    let mut state = shared.state();
    let run = state.runs.get_mut(id).filter(|run| run.application == call.input["applicationId"]);
    match run.map(then) {
        Some(Ok(answer)) => shared.checker.answer(&call.operation, &answer),
        Some(Err(message)) => {
            shared.checker.exception(&call.operation, "ValidationException", &message, &json!({}))
        }
        None => not_found(shared, call, &format!("JobRun {id}")),
    }
}

/// A new run, or the one that has the token.
fn submit(shared: &Shared, call: &Call) -> Response {
    let refused = |code: &str, message: &str| {
        shared.checker.exception("StartJobRun", code, message, &json!({}))
    };
    let mut input = call.input.clone();
    let token = input.as_object_mut().and_then(|input| input.remove("clientToken"));
    let token = token.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut state = shared.state();
    let earlier = state.tokens.get(&token).and_then(|id| state.runs.get(id));
    let started = match earlier.map(|run| (run.input == input).then(|| run.started())) {
        Some(None) => {
            return refused("ConflictException", "The client token was used with other parameters");
        }
        Some(Some(started)) => {
            state.repeats += 1;
            started
        }
        None => match state.run(shared, token, input, &call.access_key) {
            Ok(started) => started,
            Err((code, message)) => return refused(code, &message),
        },
    };
    if state.lost_answers > 0 {
        state.lost_answers -= 1;
        return refused("InternalServerException", "The response was lost");
    }
    shared.checker.answer("StartJobRun", &started)
}

impl Fake {
    fn run(
        &mut self,
        shared: &Shared,
        token: String,
        input: Value,
        access_key: &str,
    ) -> Result<Value, (&'static str, String)> {
        let id = input["applicationId"].as_str().unwrap_or_default();
        let Some(application) = self.applications.iter_mut().find(|one| one.id == id) else {
            return Err(("ResourceNotFoundException", format!("Application {id} does not exist")));
        };
        let can_start =
            application.starts_itself && ["CREATED", "STOPPED"].contains(&&*application.state);
        if can_start {
            "STARTED".clone_into(&mut application.state);
        }
        if application.state != "STARTED" {
            let message = format!("Application {id} is in {} state", application.state);
            return Err(("ValidationException", message));
        }
        let number = self.runs.len() + 1;
        let ending = self.ending.clone().unwrap_or_else(|| shared.options.ending.clone());
        let states = shared.options.states.clone();
        let run =
            Run::new(format!("00f1r2v9{number:08x}"), application, input.clone(), states, ending);
        let started = run.started();
        self.tokens.insert(token, run.id.clone());
        self.runs.insert(run.id.clone(), run);
        self.submitted.push(Submitted { input, access_key: access_key.to_owned() });
        Ok(started)
    }
}
