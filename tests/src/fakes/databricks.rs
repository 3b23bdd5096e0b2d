//! A fake Databricks that runs nothing.
//!
//! Runs go through PENDING and RUNNING to the configured [`Ending`]. A repeated `idempotency_token` returns
//! the existing run, and every submit is checked against the fields and types of databricks-sdk
//! (fields.json). Calls need a token that was configured or issued by this fake.

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
    /// Successfully; a notebook exits with this value.
    Success(String),
    /// The code fails.
    Failure {
        /// The exception.
        error: String,
        /// The stack trace.
        trace: String,
    },
    /// Databricks terminates them for this reason.
    Terminated {
        /// The termination code, for example `CLUSTER_ERROR`; if empty, the newer `status` is omitted.
        code: String,
        /// The result state of the older `state`, for example `FAILED`.
        result: String,
    },
    /// Never: they stay in this state.
    Stuck(String),
}

/// The configuration of a fake.
#[derive(Debug)]
pub struct Options {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// The number of polls that find a run unfinished.
    pub polls: u32,
    /// How runs end.
    pub ending: Ending,
    /// The accepted personal access tokens; if empty, all are accepted.
    pub tokens: Vec<String>,
    /// The known service principals and their OAuth secrets.
    pub clients: Vec<(String, String)>,
    /// The OIDC tokens that the federation policy trusts.
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
    /// Shut while responses to submits are held back.
    submits: Gate,
}

/// The state of a fake.
#[derive(Default)]
struct Fake {
    runs: Vec<Run>,
    by_token: BTreeMap<String, i64>,
    issued: BTreeSet<String>,
    /// The bodies of all submits that started a run, in order.
    submitted: Vec<Value>,
    /// The number of submits of a run that already existed.
    duplicates: usize,
    /// The tokens of all submits that started a run.
    submitters: Vec<String>,
    /// Violations of Databricks' schema.
    violations: Vec<String>,
    /// Statuses to return to the next requests instead of the regular response.
    outages: Vec<u16>,
    requests: BTreeMap<String, usize>,
}

impl FakeDatabricks {
    /// Starts a fake.
    ///
    /// # Errors
    /// If its address cannot be bound.
    pub async fn start(options: Options) -> Result<Self> {
        let listen = options.listen;
        let shared =
            Arc::new(Shared { options, state: Mutex::default(), submits: Gate::default() });
        let server = Server::start(listen, routes::router(Arc::clone(&shared))).await?;
        Ok(Self { shared, server })
    }

    /// `http://127.0.0.1:port`, for `--endpoint`.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Holds back responses to submits; their runs are started nevertheless.
    pub fn hold_submits(&self) {
        self.shared.submits.shut();
    }

    /// Releases the responses to submits.
    pub fn release_submits(&self) {
        self.shared.submits.open();
    }

    /// Responds to the next requests with these statuses; 200 means the regular response. A submit starts
    /// its run nevertheless: only the response is lost.
    pub fn fail_with(&self, statuses: impl IntoIterator<Item = u16>) {
        self.state().outages = statuses.into_iter().collect();
    }

    /// Forgets every run, as Databricks does after 60 days.
    pub fn forget_runs(&self) {
        self.state().runs.clear();
    }

    /// The number of runs started.
    #[must_use]
    pub fn runs(&self) -> usize {
        self.state().submitted.len()
    }

    /// The number of submits of a run that already existed.
    #[must_use]
    pub fn duplicates(&self) -> usize {
        self.state().duplicates
    }

    /// The number of requests to `call`, for example `runs/get`.
    #[must_use]
    pub fn requests_to(&self, call: &str) -> usize {
        self.state().requests.get(call).copied().unwrap_or_default()
    }

    /// The total number of requests.
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

    /// Violations of Databricks' schema so far.
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
