//! The fake's operations.

use std::sync::Arc;

use axum::{Router, body::Bytes, extract::State, response::Response};
use http::{HeaderMap, Method, StatusCode, Uri};
use serde_json::{Value, json};

use super::{Fake, Shared, job::Job};
use crate::fakes::aws::{Received, error};

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
    let mut state = shared.state();
    *state.requests.entry(call.operation.clone()).or_default() += 1;
    if let Some(outage) = state.outages.pop_front() {
        return outage.response();
    }
    let answer = match call.operation.as_str() {
        "DescribeJobDefinitions" => state.definitions_called(&call.input),
        "RegisterJobDefinition" => state.register(call.input),
        "ListJobs" => state.list(&shared, &call.input),
        "SubmitJob" => state.submit(&shared, call.input),
        "DescribeJobs" => state.describe(&call.input),
        "TerminateJob" => state.terminate(&call.input),
        other => {
            shared.checker.breach(format!("the fake has no {other}"));
            return error(StatusCode::BAD_REQUEST, "UnknownOperationException", other);
        }
    };
    match answer {
        Ok(answer) => shared.checker.answer(&call.operation, &answer),
        Err((code, message)) => {
            shared.checker.exception(&call.operation, code, &message, &json!({}))
        }
    }
}

type Answer = Result<Value, (&'static str, String)>;

fn refused(message: String) -> Answer {
    Err(("ClientException", message))
}

/// The name of the queue in `input`, which may be an ARN.
fn check_queue(shared: &Shared, input: &Value) -> Result<(), (&'static str, String)> {
    let queue = input["jobQueue"].as_str().unwrap_or_default();
    let name = queue.rsplit('/').next().unwrap_or_default();
    match shared.options.queues.iter().any(|known| known == name) {
        true => Ok(()),
        false => refused(format!("JobQueue {queue} not found.")).map(drop),
    }
}

impl Fake {
    /// The definitions of a name, with their revisions.
    fn revisions<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (usize, &'a Value)> {
        let named = self.definitions.iter().filter(move |one| one["jobDefinitionName"] == name);
        named.enumerate().map(|(before, one)| (before + 1, one))
    }

    fn definitions_called(&self, input: &Value) -> Answer {
        let name = input["jobDefinitionName"].as_str().unwrap_or_default();
        let found = self.revisions(name).map(|(revision, one)| {
            json!({
                "jobDefinitionName": name, "jobDefinitionArn": definition_arn(name, revision), "revision": revision,
                "status": "ACTIVE", "type": "container", "containerProperties": one["containerProperties"],
                "platformCapabilities": one["platformCapabilities"],
            })
        });
        Ok(json!({ "jobDefinitions": found.collect::<Value>() }))
    }

    fn register(&mut self, input: Value) -> Answer {
        let name = input["jobDefinitionName"].as_str().unwrap_or_default().to_owned();
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        if name.is_empty() || name.len() > 128 || !name.chars().all(is_name) {
            return refused(format!("{name} is no name"));
        }
        self.definitions.push(input);
        let revision = self.revisions(&name).count();
        let arn = definition_arn(&name, revision);
        Ok(json!({ "jobDefinitionName": name, "jobDefinitionArn": arn, "revision": revision }))
    }

    fn list(&self, shared: &Shared, input: &Value) -> Answer {
        check_queue(shared, input)?;
        let filter = &input["filters"][0];
        let name = filter["values"][0].as_str().unwrap_or_default();
        if filter["name"] != "JOB_NAME" || name.is_empty() {
            return refused(format!("the fake knows no filter {filter}"));
        }
        let named = self.jobs.values().filter(|job| {
            let its = job.input["jobName"].as_str().unwrap_or_default();
            its.eq_ignore_ascii_case(name) && job.input["jobQueue"] == input["jobQueue"]
        });
        Ok(json!({ "jobSummaryList": named.map(Job::listed).collect::<Value>() }))
    }

    fn submit(&mut self, shared: &Shared, input: Value) -> Answer {
        check_queue(shared, &input)?;
        let definition = input["jobDefinition"].as_str().unwrap_or_default();
        let name = definition.rsplit('/').next().unwrap_or_default();
        let (name, revision) = name.rsplit_once(':').unwrap_or((name, "1"));
        if !self.revisions(name).any(|(known, _)| known.to_string() == revision) {
            return refused(format!("JobDefinition {definition} not found."));
        }
        let id = format!("876da822-4198-45f2-a252-{:012x}", self.jobs.len() + 1);
        let ending = self.ending.clone().unwrap_or_else(|| shared.options.ending.clone());
        let job = Job::new(id.clone(), input.clone(), shared.options.states.clone(), ending);
        let submitted = job.submitted();
        self.jobs.insert(id, job);
        self.submitted.push(input);
        if self.lost_answers > 0 {
            self.lost_answers -= 1;
            return Err(("ServerException", "The response was lost".to_owned()));
        }
        Ok(submitted)
    }

    fn describe(&mut self, input: &Value) -> Answer {
        let ids = input["jobs"].as_array().cloned().unwrap_or_default();
        if ids.len() > 100 {
            return refused(format!("{} jobs are more than 100", ids.len()));
        }
        let mut found = Vec::new();
        for id in ids.iter().filter_map(Value::as_str) {
            // Unknown jobs are absent.
            if let Some(job) = self.jobs.get_mut(id) {
                found.push(job.described());
                job.advance();
            }
        }
        Ok(json!({ "jobs": found }))
    }

    fn terminate(&mut self, input: &Value) -> Answer {
        let id = input["jobId"].as_str().unwrap_or_default();
        let reason = input["reason"].as_str().unwrap_or_default();
        if let Some(job) = self.jobs.get_mut(id) {
            job.terminate(reason);
        }
        Ok(json!({}))
    }
}

fn definition_arn(name: &str, revision: usize) -> String {
    format!("arn:aws:batch:eu-central-1:111122223333:job-definition/{name}:{revision}")
}
