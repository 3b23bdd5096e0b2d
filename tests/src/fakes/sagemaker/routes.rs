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

use super::{
    Fake, Shared, Submitted,
    resource::{Kind, Resource},
};
use crate::fakes::aws::{Call, Received, error};

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new().route("/", post(answer)).route("/fake/jobs", get(count)).with_state(shared)
}

/// The number of things made, for users of the fake as a program.
async fn count(State(shared): State<Arc<Shared>>) -> String {
    shared.state().resources.len().to_string()
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
    let operation = call.operation.clone();
    if operation == "ListTags" {
        return tags(&shared, &call.input);
    }
    for (verb, answer) in VERBS {
        if let Some(kind) = operation.strip_prefix(verb).and_then(Kind::of) {
            return answer(&shared, kind, &call);
        }
    }
    shared.checker.breach(format!("the fake has no {operation}"));
    error(StatusCode::BAD_REQUEST, "UnknownOperationException", &operation)
}

type Answer = fn(&Shared, &'static Kind, &Call) -> Response;
const VERBS: [(&str, Answer); 4] =
    [("Create", create), ("Describe", describe), ("Stop", stop), ("Delete", delete)];

fn create(shared: &Shared, kind: &'static Kind, call: &Call) -> Response {
    let Call { operation, input, access_key } = call.clone();
    let made = Resource::new(kind, input.clone(), shared.options.polls);
    let (arn, key) = (made.arn(), made.key());
    let mut state = shared.state();
    if state.resources.contains_key(&key) {
        let noun = kind.noun;
        return match kind.is_job() {
            true => {
                let message = format!("The {noun} name {} is in use; names must be unique.", key.1);
                shared.checker.exception(&operation, "ResourceInUse", &message, &json!({}))
            }
            false => invalid(&format!("Cannot create already existing {noun} \"{arn}\".")),
        };
    }
    if let Some(missing) = state.missing_part(&input).filter(|_| shared.options.needs_parts) {
        return invalid(&missing);
    }
    state.resources.insert(key, made);
    state.submitted.push(Submitted { operation: operation.clone(), input, access_key });
    let lost = state.lost_answers > 0;
    state.lost_answers = state.lost_answers.saturating_sub(1);
    drop(state);
    if lost {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        return error(status, "InternalFailure", "The response was lost");
    }
    let member =
        if kind.name == "JobName" { "JobArn".to_owned() } else { format!("{}Arn", kind.suffix) };
    shared.checker.answer(&operation, &json!({ member: arn }))
}

impl Fake {
    /// What SageMaker says if `input` refers to a model or an endpoint configuration that does not exist.
    fn missing_part(&self, input: &Value) -> Option<String> {
        let variants = input["ProductionVariants"].as_array().into_iter().flatten();
        let models = variants.filter_map(|variant| variant["ModelName"].as_str());
        let models = models.map(|name| ("Model", name));
        let configs = input.get("EndpointName").and(input["EndpointConfigName"].as_str());
        let configs = configs.map(|name| ("EndpointConfig", name));
        models.chain(configs).find_map(|(suffix, name)| {
            let kind = Kind::of(suffix)?;
            let is_missing = !self.resources.contains_key(&kind.key(name));
            is_missing.then(|| format!("Could not find {} \"{}\".", kind.noun, kind.arn(name)))
        })
    }
}

fn describe(shared: &Shared, kind: &'static Kind, call: &Call) -> Response {
    let ending = shared.ending();
    let name = call.input[kind.name].as_str().unwrap_or_default();
    let mut state = shared.state();
    if let Some(found) = state.resources.get_mut(&kind.key(name)) {
        let answer = found.described(&ending);
        found.advance();
        return shared.checker.answer(&call.operation, &answer);
    }
    // The training jobs of a tuning job.
    let of_tuning = |(suffix, parent): &(&str, String)| {
        *suffix == "HyperParameterTuningJob" && name.starts_with(&format!("{parent}-0"))
    };
    if kind.suffix == "TrainingJob" && state.resources.keys().any(of_tuning) {
        let input = json!({
            "TrainingJobName": name, "StoppingCondition": {"MaxRuntimeInSeconds": 60}});
        let answer = Resource::new(kind, input, 0).described(&ending);
        return shared.checker.answer(&call.operation, &answer);
    }
    not_found(shared, kind, &call.operation, name)
}

fn stop(shared: &Shared, kind: &'static Kind, call: &Call) -> Response {
    let ending = shared.ending();
    let name = call.input[kind.name].as_str().unwrap_or_default();
    match shared.state().resources.get_mut(&kind.key(name)) {
        None => not_found(shared, kind, &call.operation, name),
        Some(found) if found.has_ended(&ending) => invalid(&format!(
            "The request was rejected because the {} is in status {}.",
            kind.noun,
            found.state(&ending)
        )),
        Some(found) => {
            found.stop();
            shared.checker.done(&call.operation)
        }
    }
}

fn delete(shared: &Shared, kind: &'static Kind, call: &Call) -> Response {
    let name = call.input[kind.name].as_str().unwrap_or_default();
    match shared.state().resources.remove(&kind.key(name)) {
        None => not_found(shared, kind, &call.operation, name),
        Some(_) => shared.checker.done(&call.operation),
    }
}

fn tags(shared: &Shared, input: &Value) -> Response {
    let arn = input["ResourceArn"].as_str().unwrap_or_default();
    let found = Kind::of_arn(arn).map(|(kind, name)| kind.key(name));
    match found.and_then(|key| shared.state().resources.get(&key).map(Resource::tags)) {
        Some(tags) => shared.checker.answer("ListTags", &tags),
        None => invalid(&format!("Could not find resource \"{arn}\".")),
    }
}

fn not_found(shared: &Shared, kind: &Kind, operation: &str, name: &str) -> Response {
    match kind.is_job() {
        true => {
            let message = "Requested resource not found.";
            shared.checker.exception(operation, "ResourceNotFound", message, &json!({}))
        }
        false => invalid(&format!("Could not find {} \"{}\".", kind.noun, kind.arn(name))),
    }
}

/// The model has no error for what SageMaker calls invalid.
fn invalid(message: &str) -> Response {
    error(StatusCode::BAD_REQUEST, "ValidationException", message)
}
