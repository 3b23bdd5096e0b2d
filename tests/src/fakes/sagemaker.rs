//! A fake SageMaker that runs no jobs.
//!
//! It speaks awsJson 1.1: names are unique, those of endpoints whatever their case; jobs and endpoints go through states to
//! the configured [`Ending`]; jobs can be stopped while they run; tags are kept. Every request and every response is checked
//! against AWS's model, and every signature is verified.

mod resource;
mod routes;

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::Result;
use serde_json::Value;

use self::resource::Resource;
use super::{
    aws::{ACCESS_KEY_ID, Checker, Identity, Model, Outage, REGIONS, SECRET_ACCESS_KEY},
    server::Server,
};

/// How jobs end, and how endpoints come up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Successfully.
    Success,
    /// As failed, for this reason.
    Failure(String),
    /// Stopped, a training job with this secondary status, without a stop: a limit of time.
    Stopped(String),
    /// Never: they stay in this state.
    Stuck(String),
}

impl Ending {
    /// A script that raises.
    #[must_use]
    pub fn failed_script() -> Self {
        Self::Failure("AlgorithmError: ExecuteUserScriptError:\nExitCode 1".to_owned())
    }

    /// A region that has no room.
    #[must_use]
    pub fn no_capacity() -> Self {
        let message = "CapacityError: Unable to provision requested ML compute capacity. Please retry using a different ML \
                       instance type.";
        Self::Failure(message.to_owned())
    }
}

/// The configuration of a fake.
#[derive(Debug)]
pub struct Options {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// The number of polls that find a job unfinished.
    pub polls: u32,
    /// How jobs end.
    pub ending: Ending,
    /// Whether endpoints need their configuration, and configurations their models.
    pub needs_parts: bool,
}

impl Default for Options {
    fn default() -> Self {
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        Self { listen, polls: 3, ending: Ending::Success, needs_parts: false }
    }
}

/// A request that made something.
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
pub struct FakeSageMaker {
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
    /// By kind and name.
    resources: BTreeMap<(&'static str, String), Resource>,
    submitted: Vec<Submitted>,
    ending: Option<Ending>,
    outages: VecDeque<Outage>,
    /// The number of creates that will still get an error although they made something.
    lost_answers: usize,
    requests: BTreeMap<String, usize>,
}

impl FakeSageMaker {
    /// Starts a fake.
    ///
    /// # Errors
    /// If its address cannot be bound.
    pub async fn start(options: Options) -> Result<Self> {
        let listen = options.listen;
        let checker = Checker::new(Model::sagemaker(), &REGIONS);
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

    /// Makes what the next creates ask for but answers with an error.
    pub fn lose_answers(&self, count: usize) {
        self.state().lost_answers = count;
    }

    /// Makes what `operation` makes of `input`, as somebody else.
    pub fn make(&self, operation: &str, input: Value) {
        if let Some(kind) = resource::Kind::of(operation.strip_prefix("Create").unwrap_or_default())
        {
            let made = Resource::new(kind, input, self.shared.options.polls);
            self.state().resources.insert(made.key(), made);
        }
    }

    /// The number of things made: of `suffix`, for example `TrainingJob`, `Endpoint` or `Model`.
    #[must_use]
    pub fn count(&self, suffix: &str) -> usize {
        self.state().resources.keys().filter(|(kind, _)| *kind == suffix).count()
    }

    /// The states of all things made, in the order of their kinds and names.
    #[must_use]
    pub fn states(&self) -> Vec<String> {
        let ending = self.shared.ending();
        self.state().resources.values().map(|one| one.state(&ending).to_owned()).collect()
    }

    /// The number of requests for `operation`.
    #[must_use]
    pub fn requests(&self, operation: &str) -> usize {
        self.state().requests.get(operation).copied().unwrap_or_default()
    }

    /// All requests that made something, in order.
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
