//! A fake AWS Batch that runs no containers.
//!
//! It speaks rest-json. Like AWS Batch it has no idempotency key: each submit is a job, and jobs are listed by their names,
//! upper and lower case alike. Definitions have revisions. Jobs go through states to the configured [`Ending`] and can be
//! terminated while they have not ended. Every request and every response is checked against AWS's model, and every
//! signature is verified.

mod job;
mod routes;

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::Result;
use serde_json::Value;

use self::job::Job;
use super::{
    aws::{ACCESS_KEY_ID, Checker, Identity, Model, Outage, REGIONS, SECRET_ACCESS_KEY},
    server::Server,
};

/// How jobs end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Successfully.
    Success,
    /// As FAILED for this reason, with the exit code of the container if it ran.
    Failure(String, Option<i64>),
    /// Never: they stay in this state.
    Stuck(String),
}

impl Ending {
    /// A container that exits with an error.
    #[must_use]
    pub fn failed_code() -> Self {
        Self::Failure("Essential container in task exited".to_owned(), Some(1))
    }

    /// A host that is taken away.
    #[must_use]
    pub fn lost_host() -> Self {
        Self::Failure("Host EC2 (instance i-0a1b2c3d) terminated.".to_owned(), None)
    }

    /// A queue that can never run the job.
    #[must_use]
    pub fn misconfigured() -> Self {
        let reason =
            "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - No instance meets the requirements";
        Self::Failure(reason.to_owned(), None)
    }
}

/// The configuration of a fake.
#[derive(Debug)]
pub struct Options {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// The states in which polls find a job before it ends.
    pub states: Vec<String>,
    /// How jobs end.
    pub ending: Ending,
    /// The names of the job queues.
    pub queues: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            states: ["SUBMITTED", "RUNNABLE", "STARTING", "RUNNING"].map(str::to_owned).to_vec(),
            ending: Ending::Success,
            queues: ["etl", "ml"].map(str::to_owned).to_vec(),
        }
    }
}

/// A running fake.
pub struct FakeAwsBatch {
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
    /// Registered definitions, as they were requested; a revision is the number of those of its name up to it.
    definitions: Vec<Value>,
    jobs: BTreeMap<String, Job>,
    submitted: Vec<Value>,
    ending: Option<Ending>,
    outages: VecDeque<Outage>,
    /// The number of submits that will still get an error although their job exists.
    lost_answers: usize,
    requests: BTreeMap<String, usize>,
}

impl FakeAwsBatch {
    /// Starts a fake.
    ///
    /// # Errors
    /// If its address cannot be bound.
    pub async fn start(options: Options) -> Result<Self> {
        let listen = options.listen;
        let checker = Checker::new(Model::batch(), &REGIONS);
        checker.know(Identity::new(ACCESS_KEY_ID, SECRET_ACCESS_KEY));
        let shared = Arc::new(Shared { options, checker, state: Mutex::default() });
        let server = Server::start(listen, routes::router(Arc::clone(&shared))).await?;
        Ok(Self { shared, server })
    }

    /// `http://127.0.0.1:port`, for `--endpoint`.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Ends all jobs differently from now on.
    pub fn end_with(&self, ending: Ending) {
        self.state().ending = Some(ending);
    }

    /// Answers the next requests with these errors.
    pub fn fail_with(&self, outages: impl IntoIterator<Item = Outage>) {
        self.state().outages = outages.into_iter().collect();
    }

    /// Accepts the next submits but answers with an error.
    pub fn lose_answers(&self, count: usize) {
        self.state().lost_answers = count;
    }

    /// The number of jobs.
    #[must_use]
    pub fn jobs(&self) -> usize {
        self.state().jobs.len()
    }

    /// The states of all jobs, in order.
    #[must_use]
    pub fn states(&self) -> Vec<String> {
        self.state().jobs.values().map(|job| job.state().to_owned()).collect()
    }

    /// The registered job definitions, in order.
    #[must_use]
    pub fn definitions(&self) -> Vec<Value> {
        self.state().definitions.clone()
    }

    /// The number of requests for `operation`.
    #[must_use]
    pub fn requests(&self, operation: &str) -> usize {
        self.state().requests.get(operation).copied().unwrap_or_default()
    }

    /// The inputs of all submits, in order.
    #[must_use]
    pub fn submitted(&self) -> Vec<Value> {
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
