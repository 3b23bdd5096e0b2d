//! The type of the fakes of services that run jobs: what all of them can be told to do, around one service's operations.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use anyhow::Result;
use axum::{Json, Router, body::Bytes, extract::State, response::Response, routing::get};
use http::{HeaderMap, Method, StatusCode, Uri};
use serde_json::{Value, json};

use super::{
    ACCESS_KEY_ID, Call, Checker, Identity, Outage, Received, SECRET_ACCESS_KEY,
    course::Ending,
    error, lock,
    service::{Done, Exception, Service, UNKNOWN_OPERATION},
};
use crate::fakes::server::{Gate, Server};

/// A running fake. Every request and every response is checked against the service's model, and every signature is
/// verified.
pub struct Fake<S: Service> {
    shared: Arc<Shared<S>>,
    server: Server,
}

struct Shared<S> {
    checker: Checker,
    script: Mutex<Script<S>>,
    /// Shut while responses to submits are held back.
    submits: Gate,
}

/// The service, and what befalls its calls.
struct Script<S> {
    service: S,
    outages: VecDeque<Outage>,
    /// The number of submits that will still get an error although their job exists.
    lost_answers: usize,
    requests: usize,
    calls: Vec<Call>,
    started: Vec<Call>,
    repeats: usize,
}

impl<S: Service> Fake<S> {
    /// Starts a fake on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// If there is none.
    pub async fn start(options: S::Options) -> Result<Self> {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), options).await
    }

    /// Starts a fake that listens on `address`.
    ///
    /// # Errors
    /// If it cannot be bound.
    pub async fn start_at(address: SocketAddr, options: S::Options) -> Result<Self> {
        let checker = Checker::new(S::model(), S::regions()).with_rest(S::rest_model());
        checker.know(Identity::new(ACCESS_KEY_ID, SECRET_ACCESS_KEY));
        let script = Script {
            service: S::new(options),
            outages: VecDeque::new(),
            lost_answers: 0,
            requests: 0,
            calls: Vec::new(),
            started: Vec::new(),
            repeats: 0,
        };
        let (script, submits) = (Mutex::new(script), Gate::default());
        let shared = Arc::new(Shared { checker, script, submits });
        let router = Router::new()
            .route("/fake/jobs", get(count))
            .route("/fake/calls", get(calls))
            .fallback(answer)
            .with_state(Arc::clone(&shared));
        let server = Server::start(address, router).await?;
        Ok(Self { shared, server })
    }

    /// `http://127.0.0.1:port`, for `--endpoint`.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The keys that it knows, and what did not fit.
    #[must_use]
    pub fn checker(&self) -> &Checker {
        &self.shared.checker
    }

    /// What did not fit AWS's model so far.
    #[must_use]
    pub fn breaches(&self) -> Vec<String> {
        self.shared.checker.breaches()
    }

    /// Ends the jobs that are submitted from now on differently.
    pub fn end_with(&self, ending: Ending<S::Failure>) {
        *self.script().service.ending() = ending;
    }

    /// Answers the next requests with these errors.
    pub fn fail_with(&self, outages: impl IntoIterator<Item = Outage>) {
        self.script().outages = outages.into_iter().collect();
    }

    /// Starts the jobs of the next submits but answers with an error.
    pub fn lose_answers(&self, count: usize) {
        self.script().lost_answers = count;
    }

    /// Holds back responses to submits; their jobs are started nevertheless.
    pub fn hold_submits(&self) {
        self.shared.submits.shut();
    }

    /// Releases the responses to submits.
    pub fn release_submits(&self) {
        self.shared.submits.open();
    }

    /// Refuses the requests of the known key from now on, as AWS does those of ended sessions.
    pub fn expire_keys(&self) {
        self.shared.checker.expire(ACCESS_KEY_ID);
    }

    /// The number of jobs.
    #[must_use]
    pub fn jobs(&self) -> usize {
        self.states().len()
    }

    /// The states of all jobs, in order.
    #[must_use]
    pub fn states(&self) -> Vec<String> {
        self.script().service.states()
    }

    /// The calls that started a job, in order.
    #[must_use]
    pub fn submitted(&self) -> Vec<Call> {
        self.script().started.clone()
    }

    /// The number of submits of a job that already existed.
    #[must_use]
    pub fn repeats(&self) -> usize {
        self.script().repeats
    }

    /// The number of all requests, also of refused ones.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.script().requests
    }

    /// All requests that fit the model, in order.
    #[must_use]
    pub fn received(&self) -> Vec<Call> {
        self.script().calls.clone()
    }

    /// The number of requests for `operation` that fit the model.
    #[must_use]
    pub fn calls(&self, operation: &str) -> usize {
        self.script().calls.iter().filter(|call| call.operation == operation).count()
    }

    /// What `read` finds out about the service.
    pub fn service<T>(&self, read: impl FnOnce(&mut S) -> T) -> T {
        read(&mut self.script().service)
    }

    /// Serves until the process ends.
    pub async fn serve(self) {
        self.server.serve().await;
    }

    fn script(&self) -> MutexGuard<'_, Script<S>> {
        lock(&self.shared.script)
    }
}

/// The number of jobs, for users of the fake as a program.
async fn count<S: Service>(State(shared): State<Arc<Shared<S>>>) -> String {
    lock(&shared.script).service.states().len().to_string()
}

/// The calls that fit the model, in order, likewise.
async fn calls<S: Service>(State(shared): State<Arc<Shared<S>>>) -> Json<Value> {
    let script = lock(&shared.script);
    let calls = script.calls.iter().map(|call| json!([call.operation, call.input]));
    Json(calls.collect())
}

async fn answer<S: Service>(
    State(shared): State<Arc<Shared<S>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let received = Received { method: &method, uri: &uri, headers: &headers, body: &body };
    let call = match shared.accept(received) {
        Ok(call) => call,
        Err(refused) => return *refused,
    };
    let (answer, is_lost) = lock(&shared.script).answer(&call, &shared.checker);
    if matches!(answer, Ok(Done::Started(_) | Done::Repeated(_))) {
        shared.submits.pass().await;
    }
    let exception = |Exception { status, code, message, members }: &Exception| match status {
        Some(status) => error(*status, code, message),
        None => shared.checker.exception(&call.operation, code, message, members),
    };
    match answer {
        Ok(_) if is_lost => exception(&S::fault("The response was lost")),
        Ok(Done::Nothing) => shared.checker.done(&call.operation),
        Ok(Done::Output(output) | Done::Started(output) | Done::Repeated(output)) => {
            shared.checker.answer(&call.operation, &output)
        }
        Err(refused) if refused.code == UNKNOWN_OPERATION => {
            shared.checker.breach(format!("the fake has no {}", call.operation));
            error(StatusCode::BAD_REQUEST, UNKNOWN_OPERATION, &call.operation)
        }
        Err(refused) => exception(&refused),
    }
}

impl<S: Service> Shared<S> {
    /// Counts and checks a request; an error is the response to one that must not be served.
    fn accept(&self, received: Received<'_>) -> Result<Call, Box<Response>> {
        let checked = self.checker.check(received);
        let mut script = lock(&self.script);
        script.requests += 1;
        script.calls.extend(checked.as_ref().ok().cloned());
        match script.outages.pop_front() {
            Some(outage) => Err(Box::new(outage.response())),
            None => checked,
        }
    }
}

impl<S: Service> Script<S> {
    /// The service's answer, and whether it gets lost.
    fn answer(&mut self, call: &Call, checker: &Checker) -> (Result<Done, Exception>, bool) {
        let answer = self.service.answer(call, checker);
        match &answer {
            Ok(Done::Started(_)) => self.started.push(call.clone()),
            Ok(Done::Repeated(_)) => self.repeats += 1,
            _ => return (answer, false),
        }
        let is_lost = self.lost_answers > 0;
        self.lost_answers -= usize::from(is_lost);
        (answer, is_lost)
    }
}

impl Call {
    /// Its input without `member`, and that member's text.
    #[must_use]
    pub fn without(&self, member: &str) -> (Value, String) {
        let mut input = self.input.clone();
        let taken = input.as_object_mut().and_then(|input| input.remove(member));
        (input, taken.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned())
    }

    /// The text of a member; empty if there is none.
    #[must_use]
    pub fn text(&self, member: &str) -> &str {
        self.input[member].as_str().unwrap_or_default()
    }
}
