//! A fake BigQuery that runs no queries.
//!
//! Jobs go through PENDING and RUNNING to the configured [`Ending`]. Ids are unique per project and
//! location, jobs outside the US and EU are found only with their location, and tokens must be issued by
//! this fake (as metadata server) or signed with a service account's key. If Google's discovery document
//! is available, every request and response is checked against it.

mod fields;
mod job;
mod routes;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::Result;
use plugin_core::testing::rsa_private_key;
use serde_json::{Value, json};

use self::job::Job;
use super::server::{Gate, Server};
use crate::discovery::Discovery;

/// How jobs end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Successfully, with a table of results.
    Success,
    /// With this error result.
    Failure {
        /// Google's reason, for example `invalidQuery`.
        reason: String,
        /// Google's message.
        message: String,
    },
    /// Never: they stay in this state.
    Stuck(String),
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
    /// The document to check requests and responses against.
    pub discovery: Option<Discovery>,
    /// Whether calls need a token; those to an emulator do not.
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
    shared: Arc<Shared>,
    server: Server,
}

struct Shared {
    options: Options,
    state: Mutex<Fake>,
    /// Shut while responses to inserts are held back.
    inserts: Gate,
}

/// The state of a fake.
#[derive(Default)]
struct Fake {
    jobs: BTreeMap<String, Job>,
    /// The bodies of all inserts that created a job, in order.
    inserted: Vec<Value>,
    /// The number of inserts of a job that already existed.
    duplicates: usize,
    /// The length of the longest answer about jobs, in bytes.
    longest_answer: usize,
    /// Violations of the discovery document.
    violations: Vec<String>,
    /// Statuses to return to the next requests instead of the regular response.
    outages: Vec<u16>,
    /// The reason and the message with which inserts are refused, if they are.
    refusal: Option<(String, String)>,
    /// The number of inserts that will still get 503 although their job is created.
    lost: usize,
    requests: usize,
    /// The scopes of all tokens that were asked for or used.
    scopes: BTreeSet<String>,
}

impl FakeBigQuery {
    /// Starts a fake.
    ///
    /// # Errors
    /// If its address cannot be bound.
    pub async fn start(options: Options) -> Result<Self> {
        let listen = options.listen;
        let shared =
            Arc::new(Shared { options, state: Mutex::default(), inserts: Gate::default() });
        let server = Server::start(listen, routes::router(Arc::clone(&shared))).await?;
        Ok(Self { shared, server })
    }

    /// `http://127.0.0.1:port`, for `--endpoint`.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Forgets every job, as BigQuery does after six months.
    pub fn forget_jobs(&self) {
        self.state().jobs.clear();
    }

    /// Holds back responses to inserts; their jobs are created nevertheless.
    pub fn hold_inserts(&self) {
        self.shared.inserts.shut();
    }

    /// Releases the responses to inserts.
    pub fn release_inserts(&self) {
        self.shared.inserts.open();
    }

    /// Fails the next requests with these statuses; one with 200 is served.
    pub fn fail_with(&self, statuses: impl IntoIterator<Item = u16>) {
        self.state().outages = statuses.into_iter().collect();
    }

    /// Refuses every insert with 400, `reason` and `message`.
    pub fn refuse_inserts(&self, reason: &str, message: &str) {
        self.state().refusal = Some((reason.to_owned(), message.to_owned()));
    }

    /// Creates the jobs of the next inserts but responds with 503.
    pub fn lose_answers(&self, inserts: usize) {
        self.state().lost = inserts;
    }

    /// The number of jobs created.
    #[must_use]
    pub fn jobs(&self) -> usize {
        self.state().jobs.len()
    }

    /// The number of inserts of a job that already existed.
    #[must_use]
    pub fn duplicates(&self) -> usize {
        self.state().duplicates
    }

    /// The total number of requests.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.state().requests
    }

    /// The length of the longest answer about jobs, in bytes.
    #[must_use]
    pub fn longest_answer(&self) -> usize {
        self.state().longest_answer
    }

    /// The bodies of all inserts that created a job.
    #[must_use]
    pub fn inserted(&self) -> Vec<Value> {
        self.state().inserted.clone()
    }

    /// The scopes of all tokens that were asked for or used.
    #[must_use]
    pub fn scopes(&self) -> BTreeSet<String> {
        self.state().scopes.clone()
    }

    /// Violations of the discovery document so far.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.state().violations.clone()
    }

    /// Serves until the process ends.
    pub async fn serve(self) {
        self.server.serve().await;
    }

    fn state(&self) -> MutexGuard<'_, Fake> {
        self.shared.state()
    }
}

/// A service account key, in the JSON format of Google's console.
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

impl Shared {
    fn state(&self) -> MutexGuard<'_, Fake> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
