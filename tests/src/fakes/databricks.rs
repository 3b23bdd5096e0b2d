//! A Databricks that runs nothing.
//!
//! Runs pass through PENDING and RUNNING to the [`Ending`] they were given. An `idempotency_token` that
//! came before leads to its run, and every submit is checked against the fields and types of
//! databricks-sdk (fields.json). Calls need a token: one this fake was told of, or issued itself.

mod routes;
mod run;
mod schema;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::Result;
use serde_json::Value;

use self::run::Run;
use super::server::{Gate, Server};

/// How runs end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Well; a notebook exits with this value.
    Success(String),
    /// The code fails.
    Failure {
        /// What it raised.
        error: String,
        /// Where.
        trace: String,
    },
    /// Databricks ends them, for this reason.
    Terminated {
        /// The termination code, for example `CLUSTER_ERROR`; empty leaves the newer form out.
        code: String,
        /// The result of the older form, for example `FAILED`.
        result: String,
    },
    /// Never: they stay in this state.
    Stuck(String),
}

/// How a fake is set up.
#[derive(Debug)]
pub struct Options {
    /// Where it listens.
    pub listen: SocketAddr,
    /// How many polls find a run running.
    pub polls: u32,
    /// How runs end.
    pub ending: Ending,
    /// The personal access tokens it takes; none takes any.
    pub tokens: Vec<String>,
    /// The service principals it knows, and their OAuth secrets.
    pub clients: Vec<(String, String)>,
    /// The OIDC tokens that its federation policy trusts.
    pub trusted: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            polls: 2,
            ending: Ending::Success("42".to_owned()),
            tokens: Vec::new(),
            clients: Vec::new(),
            trusted: Vec::new(),
        }
    }
}

/// A running fake.
pub struct FakeDatabricks {
    shared: Arc<Shared>,
    server: Server,
}

struct Shared {
    options: Options,
    state: Mutex<Fake>,
    /// Held while submits must not be answered.
    submits: Gate,
}

/// What a fake knows and saw.
#[derive(Default)]
struct Fake {
    runs: Vec<Run>,
    by_token: BTreeMap<String, i64>,
    issued: BTreeSet<String>,
    /// The bodies of all submits that started a run, in order.
    submitted: Vec<Value>,
    /// Submits of a run that was there already.
    duplicates: usize,
    /// Who submitted, by their tokens.
    submitters: Vec<String>,
    /// What no client of Databricks would send.
    violations: Vec<String>,
    /// Answers to give instead of the right one, soonest first.
    outages: Vec<u16>,
    requests: BTreeMap<String, usize>,
}

impl FakeDatabricks {
    /// Starts one.
    ///
    /// # Errors
    /// When its address cannot be bound.
    pub async fn start(options: Options) -> Result<Self> {
        let listen = options.listen;
        let shared =
            Arc::new(Shared { options, state: Mutex::default(), submits: Gate::default() });
        let server = Server::start(listen, routes::router(Arc::clone(&shared))).await?;
        Ok(Self { shared, server })
    }

    /// `http://127.0.0.1:port`: what to give `--endpoint`.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Holds the answers to submits back; the runs are started all the same.
    pub fn hold_submits(&self) {
        self.shared.submits.shut();
    }

    /// Lets the answers out.
    pub fn release_submits(&self) {
        self.shared.submits.open();
    }

    /// Answers the next requests with these statuses instead, 200 being the right answer. A submit
    /// starts its run all the same: it is the answer that is lost.
    pub fn fail_with(&self, statuses: impl IntoIterator<Item = u16>) {
        self.state().outages = statuses.into_iter().collect();
    }

    /// Forgets every run, as Databricks does after 60 days.
    pub fn forget_runs(&self) {
        self.state().runs.clear();
    }

    /// How many runs were started.
    #[must_use]
    pub fn runs(&self) -> usize {
        self.state().submitted.len()
    }

    /// How many submits found their run there already.
    #[must_use]
    pub fn duplicates(&self) -> usize {
        self.state().duplicates
    }

    /// How many requests came to `call`, for example `runs/get`.
    #[must_use]
    pub fn requests_to(&self, call: &str) -> usize {
        self.state().requests.get(call).copied().unwrap_or_default()
    }

    /// How many requests came in all.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.state().requests.values().sum()
    }

    /// The bodies of all submits that started a run.
    #[must_use]
    pub fn submitted(&self) -> Vec<Value> {
        self.state().submitted.clone()
    }

    /// The tokens of all submits that started a run.
    #[must_use]
    pub fn submitters(&self) -> Vec<String> {
        self.state().submitters.clone()
    }

    /// What no client of Databricks would send.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.state().violations.clone()
    }

    /// Ends the first `runs` runs.
    pub fn end(&self, runs: usize) {
        self.shared.state().runs.iter_mut().take(runs).for_each(Run::end);
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
}
