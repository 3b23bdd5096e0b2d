//! A fake Redshift Data API that runs no statements.
//!
//! It speaks awsJson 1.1: a client token returns the existing statement, or an error if anything else of the request
//! differs; statements go through SUBMITTED, PICKED and
//! STARTED to the configured [`Ending`] and can be cancelled while they have not ended. Every request and every response is
//! checked against AWS's model, and every signature is verified.

mod routes;
mod statement;

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::Result;
use serde_json::Value;

use self::statement::Statement;
use super::{
    aws::{Checker, Identity, Model},
    server::{Gate, Server},
};

pub use super::aws::{ACCESS_KEY_ID, Outage, REGIONS, SECRET_ACCESS_KEY};

/// How statements end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Successfully.
    Success,
    /// As FAILED with this error; of a batch, the last statement.
    Failure(String),
    /// Never: they stay in this state.
    Stuck(String),
}

impl Ending {
    /// A statement that does not compile.
    #[must_use]
    pub fn syntax_error() -> Self {
        Self::Failure("ERROR: syntax error at or near \"FRM\" Position: 10".to_owned())
    }

    /// A statement that met another transaction.
    #[must_use]
    pub fn conflict() -> Self {
        let message = "ERROR: 1023 DETAIL: Serializable isolation violation on table - 108263";
        Self::Failure(message.to_owned())
    }
}

/// The configuration of a fake.
#[derive(Debug)]
pub struct Options {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// The number of polls that find a statement unfinished.
    pub polls: u32,
    /// How statements end.
    pub ending: Ending,
}

impl Default for Options {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 0)), polls: 2, ending: Ending::Success }
    }
}

/// A submitted statement or batch.
#[derive(Debug, Clone)]
pub struct Submitted {
    /// The operation.
    pub operation: String,
    /// Its input.
    pub input: Value,
    /// Who signed it.
    pub access_key: String,
}

/// A running fake.
pub struct FakeRedshift {
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
    statements: BTreeMap<String, Statement>,
    /// The statement of each client token.
    tokens: BTreeMap<String, String>,
    submitted: Vec<Submitted>,
    repeats: usize,
    ending: Option<Ending>,
    outages: VecDeque<Outage>,
    /// The number of submits that will still get an error although their statement runs.
    lost_answers: usize,
    requests: BTreeMap<String, usize>,
}

impl FakeRedshift {
    /// Starts a fake.
    ///
    /// # Errors
    /// If its address cannot be bound.
    pub async fn start(options: Options) -> Result<Self> {
        let listen = options.listen;
        let checker = Checker::new(Model::redshift_data(), &REGIONS);
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

    /// Ends all statements differently from now on.
    pub fn end_with(&self, ending: Ending) {
        self.state().ending = Some(ending);
    }

    /// Answers the next requests with these errors.
    pub fn fail_with(&self, outages: impl IntoIterator<Item = Outage>) {
        self.state().outages = outages.into_iter().collect();
    }

    /// Runs the statements of the next submits but answers with an error.
    pub fn lose_answers(&self, count: usize) {
        self.state().lost_answers = count;
    }

    /// Holds back responses to submits; their statements run nevertheless.
    pub fn hold_submits(&self) {
        self.shared.submits.shut();
    }

    /// Releases the responses to submits.
    pub fn release_submits(&self) {
        self.shared.submits.open();
    }

    /// The number of statements and batches run.
    #[must_use]
    pub fn statements(&self) -> usize {
        self.state().statements.len()
    }

    /// The states of all statements, in order.
    #[must_use]
    pub fn states(&self) -> Vec<String> {
        self.state().statements.values().map(|one| one.state().to_owned()).collect()
    }

    /// The number of submits of a statement that already existed.
    #[must_use]
    pub fn repeats(&self) -> usize {
        self.state().repeats
    }

    /// The number of requests for `operation`.
    #[must_use]
    pub fn requests(&self, operation: &str) -> usize {
        self.state().requests.get(operation).copied().unwrap_or_default()
    }

    /// All submits that ran a statement, in order.
    #[must_use]
    pub fn submitted(&self) -> Vec<Submitted> {
        self.state().submitted.clone()
    }

    /// What did not fit AWS's model so far.
    #[must_use]
    pub fn breaches(&self) -> Vec<String> {
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
