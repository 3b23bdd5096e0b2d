//! A fake Athena that runs no queries.
//!
//! It speaks awsJson 1.1 as `AmazonAthena`: a client request token returns the existing query, or an error if anything
//! else of the request differs; queries go through scripted states. Every request is checked against AWS's model, member by
//! member, and its signature is verified.

mod execution;
mod routes;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::Result;
use serde_json::Value;

use self::execution::Execution;
use super::{
    aws::{Call, Checker, Identity, Model},
    server::{Gate, Server},
};

/// The id of the access key that the fake knows. Like the one of AWS's documentation, it belongs to nobody.
pub const ACCESS_KEY_ID: &str = "AKIAIOSFODNN7EXAMPLE";
/// Its secret.
pub const SECRET_ACCESS_KEY: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

/// The regions for which requests may be signed.
const REGIONS: &[&str] = &["eu-central-1", "us-gov-west-1", "cn-north-1"];

/// How queries end.
#[derive(Debug, Clone, PartialEq)]
pub enum Ending {
    /// Successfully.
    Success,
    /// As `FAILED` or `CANCELLED`.
    Failure {
        /// The state.
        state: String,
        /// `StateChangeReason`.
        reason: String,
        /// `AthenaError`; null for none.
        error: Value,
    },
    /// Never: they stay in this state.
    Stuck(String),
}

impl Ending {
    /// A query that does not compile.
    #[must_use]
    pub fn syntax_error() -> Self {
        Self::failed("SYNTAX_ERROR: line 1:8: Column 'nope' cannot be resolved", 2, 1006, false)
    }

    /// A query that met an outage of Athena's.
    #[must_use]
    pub fn internal_error() -> Self {
        Self::failed("Query exhausted resources at this scale factor", 1, 401, true)
    }

    fn failed(reason: &str, category: u8, ty: u16, retryable: bool) -> Self {
        let error = serde_json::json!({
            "ErrorCategory": category, "ErrorType": ty, "Retryable": retryable, "ErrorMessage": reason,
        });
        Self::Failure { state: "FAILED".to_owned(), reason: reason.to_owned(), error }
    }
}

/// The configuration of a fake.
#[derive(Debug)]
pub struct Options {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// The states that polls find before the query ends, one each.
    pub states: Vec<String>,
    /// How queries end.
    pub ending: Ending,
    /// Where the workgroup has results written; `None` if it does not say.
    pub workgroup_location: Option<String>,
    /// Whether results are kept in Athena's own storage.
    pub managed_results: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            states: vec!["QUEUED".to_owned(), "RUNNING".to_owned()],
            ending: Ending::Success,
            workgroup_location: Some("s3://acme-athena/results/".to_owned()),
            managed_results: false,
        }
    }
}

/// An error that the fake answers with.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// `__type`.
    pub code: String,
    /// The message.
    pub message: String,
}

impl Refusal {
    /// An error of `code` with `status`.
    #[must_use]
    pub fn new(status: u16, code: &str, message: &str) -> Self {
        Self { status, code: code.to_owned(), message: message.to_owned() }
    }

    /// A throttle, which AWS answers with 400.
    #[must_use]
    pub fn throttle() -> Self {
        Self::new(400, "ThrottlingException", "Rate exceeded")
    }

    /// Expired credentials.
    #[must_use]
    pub fn expired() -> Self {
        Self::new(
            400,
            "ExpiredTokenException",
            "The security token included in the request is expired",
        )
    }
}

/// A running fake.
pub struct FakeAthena {
    shared: Arc<Shared>,
    server: Server,
}

struct Shared {
    options: Options,
    checker: Checker,
    state: Mutex<Fake>,
    /// Shut while responses to submits are held back.
    submits: Gate,
}

/// The state of a fake.
#[derive(Default)]
struct Fake {
    executions: BTreeMap<String, Execution>,
    /// The query of each token.
    tokens: BTreeMap<String, String>,
    repeats: usize,
    ending: Option<Ending>,
    requests: usize,
    refusals: Vec<Refusal>,
    /// The number of submits that will still get 503 although their query runs.
    lost_answers: usize,
    received: Vec<Call>,
    /// The queries that `BatchGetQueryExecution` does not process.
    unprocessed: Vec<String>,
}

impl FakeAthena {
    /// Starts a fake.
    ///
    /// # Errors
    /// If its address cannot be bound.
    pub async fn start(options: Options) -> Result<Self> {
        let listen = options.listen;
        let checker = Checker::new(Model::athena(), REGIONS);
        checker.know(Identity::new(ACCESS_KEY_ID, SECRET_ACCESS_KEY));
        let (state, submits) = (Mutex::default(), Gate::default());
        let shared = Arc::new(Shared { options, checker, state, submits });
        let server = Server::start(listen, routes::router(Arc::clone(&shared))).await?;
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

    /// Ends all queries differently from now on.
    pub fn end_with(&self, ending: Ending) {
        self.state().ending = Some(ending);
    }

    /// Fails the next requests with `refusals`.
    pub fn fail_with(&self, refusals: impl IntoIterator<Item = Refusal>) {
        self.state().refusals = refusals.into_iter().collect();
    }

    /// Runs the queries of the next submits but responds with 503.
    pub fn lose_answers(&self, count: usize) {
        self.state().lost_answers = count;
    }

    /// Holds back responses to submits; their queries run nevertheless.
    pub fn hold_submits(&self) {
        self.shared.submits.shut();
    }

    /// Releases the responses to submits.
    pub fn release_submits(&self) {
        self.shared.submits.open();
    }

    /// Lets `BatchGetQueryExecution` not process any of the queries so far.
    pub fn process_none(&self) {
        let mut state = self.state();
        state.unprocessed = state.executions.keys().cloned().collect();
    }

    /// The number of queries run.
    #[must_use]
    pub fn queries(&self) -> usize {
        self.state().executions.len()
    }

    /// The number of submits of a query that already existed.
    #[must_use]
    pub fn repeats(&self) -> usize {
        self.state().repeats
    }

    /// The number of requests for `operation`.
    #[must_use]
    pub fn calls(&self, operation: &str) -> usize {
        self.state().received.iter().filter(|received| received.operation == operation).count()
    }

    /// The number of all requests, also of refused ones.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.state().requests
    }

    /// Refuses the requests of the known key from now on, as AWS does those of ended sessions.
    pub fn expire_keys(&self) {
        self.shared.checker.expire(ACCESS_KEY_ID);
    }

    /// All requests that fit the model, in order.
    #[must_use]
    pub fn received(&self) -> Vec<Call> {
        self.state().received.clone()
    }

    /// The bodies of all submits, in order.
    #[must_use]
    pub fn submitted(&self) -> Vec<Value> {
        let received = self.received().into_iter();
        received
            .filter(|call| call.operation == "StartQueryExecution")
            .map(|call| call.input)
            .collect()
    }

    /// Violations of the model so far.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.shared.checker.breaches()
    }

    /// Serves until the process ends.
    pub async fn serve(self) {
        self.server.serve().await;
    }

    fn state(&self) -> MutexGuard<'_, Fake> {
        self.shared.state()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, Fake> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ending(&self) -> Ending {
        self.state().ending.clone().unwrap_or_else(|| self.options.ending.clone())
    }
}
