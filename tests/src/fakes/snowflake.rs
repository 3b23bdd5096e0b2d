//! A Snowflake that runs no statements.
//!
//! It speaks the SQL API: statements are submitted once for each request id that is marked as a retry,
//! pass through 202 to the [`Ending`] they were given, and can be cancelled. Every request is checked
//! against the documented schema, its headers and its token too; keys have to be registered first.

mod request;
mod routes;
mod statement;
mod token;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::Result;
use serde_json::Value;

use self::{statement::Statement, token::Keys};
use super::server::{Gate, Server};

/// What the fake takes as OAuth access token.
pub const OAUTH_TOKEN: &str = "fake-oauth-token-of-the-service";
/// What the fake takes as programmatic access token.
pub const PAT: &str = "fake-programmatic-access-token";
/// What the fake takes as token of the OIDC provider that it trusts.
pub const OIDC_TOKEN: &str = "fake-oidc-token-of-the-service";

/// How statements end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Well, with rows.
    Success,
    /// With this error.
    Failure {
        /// The HTTP status, 422 or 408.
        status: u16,
        /// Snowflake's code, for example `001003`.
        code: String,
        /// Snowflake's words.
        message: String,
    },
    /// Never: they stay at 202 with this code.
    Stuck(String),
}

impl Ending {
    /// A statement that does not compile.
    #[must_use]
    pub fn syntax_error() -> Self {
        Self::Failure {
            status: 422,
            code: "001003".to_owned(),
            message: "syntax error line 1 at position 7 unexpected 'FRM'.".to_owned(),
        }
    }
}

/// How a fake is set up.
#[derive(Debug)]
pub struct Options {
    /// Where it listens.
    pub listen: SocketAddr,
    /// How many polls find a statement unfinished.
    pub polls: u32,
    /// How statements end.
    pub ending: Ending,
}

impl Default for Options {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 0)), polls: 2, ending: Ending::Success }
    }
}

/// A statement that was submitted, and how.
#[derive(Debug, Clone)]
pub struct Submitted {
    /// The body of the request.
    pub body: Value,
    /// The request id.
    pub request_id: String,
    /// Whose token it was: `ACCOUNT.USER.SHA256:…`, or the token itself where it is none of ours.
    pub issuer: String,
}

/// A running fake.
pub struct FakeSnowflake {
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
    keys: Keys,
    statements: BTreeMap<String, Statement>,
    /// The statement of each request id.
    request_ids: BTreeMap<String, String>,
    submitted: Vec<Submitted>,
    repeats: usize,
    ending: Option<Ending>,
    violations: Vec<String>,
    outages: Vec<u16>,
    /// How many submits are taken and answered with an outage all the same.
    lost_answers: usize,
    requests: usize,
}

impl FakeSnowflake {
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

    /// Takes tokens that the private key in `pem` (PKCS#8) signed, whoever they are for; answers with
    /// the fingerprint that they must carry.
    ///
    /// # Errors
    /// When it is no key.
    pub fn register_key(&self, pem: &str) -> Result<String> {
        self.state().keys.register(pem)
    }

    /// Ends all statements differently from now on.
    pub fn end_with(&self, ending: Ending) {
        self.state().ending = Some(ending);
    }

    /// Answers the next requests with these statuses instead.
    pub fn fail_with(&self, statuses: impl IntoIterator<Item = u16>) {
        self.state().outages = statuses.into_iter().collect();
    }

    /// Takes the next submits, and answers them with 503 all the same.
    pub fn lose_answers(&self, count: usize) {
        self.state().lost_answers = count;
    }

    /// Holds the answers to submits back; the statements run all the same.
    pub fn hold_submits(&self) {
        self.shared.submits.shut();
    }

    /// Lets the answers out.
    pub fn release_submits(&self) {
        self.shared.submits.open();
    }

    /// How many statements were run.
    #[must_use]
    pub fn statements(&self) -> usize {
        self.state().statements.len()
    }

    /// How many submits found their statement there already.
    #[must_use]
    pub fn repeats(&self) -> usize {
        self.state().repeats
    }

    /// How many requests came in all.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.state().requests
    }

    /// All submits that ran a statement, in order.
    #[must_use]
    pub fn submitted(&self) -> Vec<Submitted> {
        self.state().submitted.clone()
    }

    /// What did not agree with the documentation so far.
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

impl Shared {
    fn state(&self) -> MutexGuard<'_, Fake> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ending(&self) -> Ending {
        self.state().ending.clone().unwrap_or_else(|| self.options.ending.clone())
    }
}
