//! A BigQuery that runs no queries.
//!
//! Jobs pass through PENDING and RUNNING to the [`Ending`] they were given. Ids are unique per project
//! and location, jobs outside the US and EU are found only with their location, and tokens must be
//! ones this fake (as metadata server) or a service account's key issued. With Google's discovery
//! document at hand every request and every answer is checked against it.

mod fields;
mod job;
mod routes;

use std::{
    collections::BTreeMap,
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
    shared: Arc<Shared>,
    server: Server,
}

struct Shared {
    options: Options,
    state: Mutex<Fake>,
    /// Held while inserts must not be answered.
    inserts: Gate,
}

/// What a fake knows and saw.
#[derive(Default)]
struct Fake {
    jobs: BTreeMap<String, Job>,
    /// The bodies of all inserts that created a job, in order.
    inserted: Vec<Value>,
    /// Inserts of a job that was there already.
    duplicates: usize,
    /// What did not agree with the discovery document.
    violations: Vec<String>,
    /// Answers to give instead of the right one, soonest first.
    outages: Vec<u16>,
    /// How many inserts are still to be answered with 503 though their job was created.
    lost: usize,
    requests: usize,
}

impl FakeBigQuery {
    /// Starts one.
    ///
    /// # Errors
    /// When its address cannot be bound.
    pub async fn start(options: Options) -> Result<Self> {
        let listen = options.listen;
        let shared =
            Arc::new(Shared { options, state: Mutex::default(), inserts: Gate::default() });
        let server = Server::start(listen, routes::router(Arc::clone(&shared))).await?;
        Ok(Self { shared, server })
    }

    /// `http://127.0.0.1:port`: what to give `--endpoint`.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Forgets every job, as BigQuery does after six months.
    pub fn forget_jobs(&self) {
        self.state().jobs.clear();
    }

    /// Holds the answers to inserts back; the jobs are created all the same.
    pub fn hold_inserts(&self) {
        self.shared.inserts.shut();
    }

    /// Lets the answers out.
    pub fn release_inserts(&self) {
        self.shared.inserts.open();
    }

    /// Answers the next requests with these statuses instead.
    pub fn fail_with(&self, statuses: impl IntoIterator<Item = u16>) {
        self.state().outages = statuses.into_iter().collect();
    }

    /// Creates the jobs of the next inserts, and answers with 503 all the same.
    pub fn lose_answers(&self, inserts: usize) {
        self.state().lost = inserts;
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
    pub async fn serve(self) {
        self.server.serve().await;
    }

    fn state(&self) -> MutexGuard<'_, Fake> {
        self.shared.state()
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

impl Shared {
    fn state(&self) -> MutexGuard<'_, Fake> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
