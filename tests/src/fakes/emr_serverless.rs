//! A fake EMR Serverless that runs no jobs.
//!
//! It speaks rest-json: a client token returns the existing run, or a conflict if the request is another; runs go through
//! states to the configured [`Ending`] and can be cancelled while they have not ended; an application takes runs only while
//! it is started, or starts by itself. Every request and every response is checked against AWS's model, and every signature
//! is verified.

mod application;
mod routes;
mod run;

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::Result;
use serde_json::Value;

pub use self::application::Application;
use self::run::Run;
use super::{
    aws::{ACCESS_KEY_ID, Checker, Identity, Model, Outage, REGIONS, SECRET_ACCESS_KEY},
    server::Server,
};

/// How runs end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Successfully.
    Success,
    /// As FAILED with these details.
    Failure(String),
    /// As CANCELLED with these details, without a cancel: a timeout.
    Timeout(String),
    /// Never: they stay in this state.
    Stuck(String),
}

impl Ending {
    /// A script that raises.
    #[must_use]
    pub fn failed_script() -> Self {
        Self::Failure(
            "Job failed, please check complete logs in configured logging destination. ExitCode: 1.".to_owned(),
        )
    }

    /// An application that has no room.
    #[must_use]
    pub fn no_capacity() -> Self {
        Self::Failure(
            "Job failed as the application has reached maximumCapacity settings.".to_owned(),
        )
    }
}

/// The configuration of a fake.
#[derive(Debug)]
pub struct Options {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// The states in which polls find a run before it ends.
    pub states: Vec<String>,
    /// How runs end.
    pub ending: Ending,
    /// The applications.
    pub applications: Vec<Application>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            states: ["SUBMITTED", "SCHEDULED", "RUNNING"].map(str::to_owned).to_vec(),
            ending: Ending::Success,
            applications: vec![Application::new("00f1r2v3abcdef09", "etl")],
        }
    }
}

/// A request that started a run.
#[derive(Debug, Clone)]
pub struct Submitted {
    /// Its input, without the token.
    pub input: Value,
    /// Who signed it.
    pub access_key: String,
}

/// A running fake.
pub struct FakeEmrServerless {
    shared: Arc<Shared>,
    server: Server,
}

struct Shared {
    options: Options,
    checker: Checker,
    state: Mutex<Fake>,
}

/// The state of a fake.
#[derive(Default)]
struct Fake {
    applications: Vec<Application>,
    runs: BTreeMap<String, Run>,
    /// The run of each client token.
    tokens: BTreeMap<String, String>,
    submitted: Vec<Submitted>,
    repeats: usize,
    ending: Option<Ending>,
    outages: VecDeque<Outage>,
    /// The number of submits that will still get an error although their run exists.
    lost_answers: usize,
    requests: BTreeMap<String, usize>,
}

impl FakeEmrServerless {
    /// Starts a fake.
    ///
    /// # Errors
    /// If its address cannot be bound.
    pub async fn start(options: Options) -> Result<Self> {
        let listen = options.listen;
        let checker = Checker::new(Model::emr_serverless(), &REGIONS);
        checker.know(Identity::new(ACCESS_KEY_ID, SECRET_ACCESS_KEY));
        let fake = Fake { applications: options.applications.clone(), ..Fake::default() };
        let shared = Arc::new(Shared { options, checker, state: Mutex::new(fake) });
        let server = Server::start(listen, routes::router(Arc::clone(&shared))).await?;
        Ok(Self { shared, server })
    }

    /// `http://127.0.0.1:port`, for `--endpoint`.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Ends all runs differently from now on.
    pub fn end_with(&self, ending: Ending) {
        self.state().ending = Some(ending);
    }

    /// Answers the next requests with these errors.
    pub fn fail_with(&self, outages: impl IntoIterator<Item = Outage>) {
        self.state().outages = outages.into_iter().collect();
    }

    /// Starts the runs of the next submits but answers with an error.
    pub fn lose_answers(&self, count: usize) {
        self.state().lost_answers = count;
    }

    /// The number of runs.
    #[must_use]
    pub fn runs(&self) -> usize {
        self.state().runs.len()
    }

    /// The states of all runs, in order.
    #[must_use]
    pub fn states(&self) -> Vec<String> {
        self.state().runs.values().map(|run| run.state().to_owned()).collect()
    }

    /// The number of submits of a run that already existed.
    #[must_use]
    pub fn repeats(&self) -> usize {
        self.state().repeats
    }

    /// The number of requests for `operation`.
    #[must_use]
    pub fn requests(&self, operation: &str) -> usize {
        self.state().requests.get(operation).copied().unwrap_or_default()
    }

    /// All submits that started a run, in order.
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
}
