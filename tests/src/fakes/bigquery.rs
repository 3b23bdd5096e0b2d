//! A BigQuery that runs no queries.
//!
//! Jobs pass through PENDING and RUNNING to the [`Ending`] they were given. Ids are unique per project
//! and location, jobs outside the US and EU are found only with their location, and tokens must be
//! ones this fake (as metadata server) or a service account's key issued. With Google's discovery
//! document at hand every request and every answer is checked against it.

mod job;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::Result;
use axum::{
    Json, Router,
    extract::{Path, Query, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::{HeaderMap, StatusCode, header};
use plugin_core::testing::rsa_private_key;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinHandle};

use self::job::Job;
use crate::discovery::{Direction, Discovery};

/// How jobs end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Well, with a table of results.
    Success,
    /// With this error result.
    Failure {
        /// Google's reason, for example `invalidQuery`.
        reason: String,
        /// Google's words.
        message: String,
    },
    /// Never: they stay in this state.
    Stuck(String),
}

/// How a fake is set up.
#[derive(Debug)]
pub struct Options {
    /// Where it listens.
    pub listen: SocketAddr,
    /// How many polls find a job unfinished.
    pub polls: u32,
    /// How jobs end.
    pub ending: Ending,
    /// What to check requests and answers against.
    pub discovery: Option<Discovery>,
    /// Whether calls need a token; an emulator's do not.
    pub require_token: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            polls: 2,
            ending: Ending::Success,
            discovery: None,
            require_token: true,
        }
    }
}

/// A running fake.
pub struct FakeBigQuery {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

struct Shared {
    options: Options,
    state: Mutex<Fake>,
    /// Held while inserts must not be answered.
    inserts: Semaphore,
}

/// What a fake knows and saw.
#[derive(Default)]
struct Fake {
    jobs: BTreeMap<String, Job>,
    ending: Option<Ending>,
    /// The bodies of all inserts that created a job, in order.
    inserted: Vec<Value>,
    /// Inserts of a job that was there already.
    duplicates: usize,
    /// What did not agree with the discovery document.
    violations: Vec<String>,
    /// Answers to give instead of the right one, soonest first.
    outages: Vec<u16>,
    requests: usize,
}

const MAX_HELD: usize = 1 << 20;

impl FakeBigQuery {
    /// Starts one.
    ///
    /// # Errors
    /// When its address cannot be bound.
    #[expect(clippy::disallowed_methods, reason = "the server ends with the fake")]
    pub async fn start(options: Options) -> Result<Self> {
        let listener = TcpListener::bind(options.listen).await?;
        let address = listener.local_addr()?;
        let inserts = Semaphore::new(MAX_HELD);
        let shared = Arc::new(Shared { options, state: Mutex::default(), inserts });
        let router = router(Arc::clone(&shared));
        let server = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, shared, server })
    }

    /// `http://127.0.0.1:port`: what to give `--endpoint`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends all jobs differently from now on.
    pub fn end_with(&self, ending: Ending) {
        self.state().ending = Some(ending);
    }

    /// Holds the answers to inserts back; the jobs are created all the same.
    pub fn hold_inserts(&self) {
        self.shared.inserts.forget_permits(MAX_HELD);
    }

    /// Lets the answers out.
    pub fn release_inserts(&self) {
        self.shared.inserts.add_permits(MAX_HELD);
    }

    /// Answers the next requests with these statuses instead.
    pub fn fail_with(&self, statuses: impl IntoIterator<Item = u16>) {
        self.state().outages = statuses.into_iter().collect();
    }

    /// How many jobs were created.
    #[must_use]
    pub fn jobs(&self) -> usize {
        self.state().jobs.len()
    }

    /// How many inserts found their job there already.
    #[must_use]
    pub fn duplicates(&self) -> usize {
        self.state().duplicates
    }

    /// How many requests came in all.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.state().requests
    }

    /// The bodies of all inserts that created a job.
    #[must_use]
    pub fn inserted(&self) -> Vec<Value> {
        self.state().inserted.clone()
    }

    /// What did not agree with the discovery document so far.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.state().violations.clone()
    }

    /// Serves until the process ends.
    pub async fn serve(mut self) {
        let _ = (&mut self.server).await;
    }

    fn state(&self) -> MutexGuard<'_, Fake> {
        self.shared.state()
    }
}

impl Drop for FakeBigQuery {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// The key of a service account, as the JSON that Google's console hands out.
#[must_use]
pub fn service_account_key() -> String {
    json!({
        "type": "service_account",
        "project_id": "acme-analytics",
        "private_key_id": "5f2a9c0e7b314d86a1c4e8f0d9b2637515aa04ce",
        "private_key": rsa_private_key(),
        "client_email": "flyte@acme-analytics.iam.gserviceaccount.com",
        "client_id": "110000000000000000001",
        "token_uri": "https://oauth2.googleapis.com/token",
    })
    .to_string()
}

/// Like Google's metadata server, tokens of which this fake takes.
const METADATA_TOKEN: &str = "ya29.fake-token-of-the-metadata-server";

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/bigquery/v2/projects/{project}/jobs", post(insert))
        .route("/bigquery/v2/projects/{project}/jobs/{job}", get(look))
        .route("/bigquery/v2/projects/{project}/jobs/{job}/cancel", post(cancel))
        .route("/computeMetadata/v1/instance/service-accounts/default/token", get(token))
        .fallback(async || google_error(404, "notFound", "Not Found"))
        .with_state(shared)
}

type Fakes = State<Arc<Shared>>;
type Params = Query<BTreeMap<String, String>>;

impl Shared {
    fn state(&self) -> MutexGuard<'_, Fake> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request, and answers it at once if it is not to be served.
    fn admit(&self, headers: &HeaderMap) -> Result<(), Box<Response>> {
        let mut state = self.state();
        state.requests += 1;
        if !state.outages.is_empty() {
            let status = state.outages.remove(0);
            let error = google_error(status, "backendError", "The backend is on fire");
            return Err(Box::new(error));
        }
        if self.options.require_token && !has_token(headers) {
            return Err(Box::new(google_error(401, "authError", "Invalid Credentials")));
        }
        Ok(())
    }

    fn check(&self, checked: impl FnOnce(&Discovery) -> Result<(), String>) -> Result<(), String> {
        let result = self.options.discovery.as_ref().map_or(Ok(()), checked);
        if let Err(violation) = &result {
            self.state().violations.push(violation.clone());
        }
        result
    }

    /// Sends `body`, which has to be of the schema `schema`.
    fn answer(&self, schema: &str, body: Value) -> Response {
        let _ = self.check(|discovery| discovery.check_body(schema, &body, Direction::Response));
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

    fn ending(&self) -> Ending {
        self.state().ending.clone().unwrap_or_else(|| self.options.ending.clone())
    }
}

/// A token of the metadata server, or one that a service account's key signed.
fn has_token(headers: &HeaderMap) -> bool {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    value.and_then(|value| value.strip_prefix("Bearer ")).is_some_and(|token| {
        token == METADATA_TOKEN || token.split('.').filter(|part| !part.is_empty()).count() == 3
    })
}

async fn token(headers: HeaderMap) -> Response {
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
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    if let Err(refusal) = shared.admit(&headers) {
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
    let job = match Job::new(&project, &body, shared.options.polls, shared.ending()) {
        Ok(job) => job,
        Err(message) => return google_error(400, "invalid", &message),
    };
    let answer = {
        let mut state = shared.state();
        if state.jobs.contains_key(&job.key()) {
            state.duplicates += 1;
            return google_error(409, "duplicate", &format!("Already Exists: Job {}", job.key()));
        }
        let answer = job.to_json();
        state.inserted.push(body);
        state.jobs.insert(job.key(), job);
        answer
    };
    drop(shared.inserts.acquire().await);
    shared.answer("Job", answer)
}

async fn look(
    State(shared): Fakes,
    Path((project, id)): Path<(String, String)>,
    Query(query): Params,
    headers: HeaderMap,
) -> Response {
    if let Err(refusal) = shared.admit(&headers) {
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
        Some(job) => shared.answer("Job", job),
        None => missing(&project, &id),
    }
}

async fn cancel(
    State(shared): Fakes,
    Path((project, id)): Path<(String, String)>,
    Query(query): Params,
    headers: HeaderMap,
) -> Response {
    if let Err(refusal) = shared.admit(&headers) {
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
            shared.answer("JobCancelResponse", body)
        }
        None => missing(&project, &id),
    }
}

/// Without a location Google finds jobs in the US and EU only.
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
