//! A fake Snowflake that runs no statements.
//!
//! It implements the SQL API: a request id marked as a retry returns the existing statement; statements go
//! through 202 to the configured [`Ending`] and can be cancelled. Every request is checked against the
//! documented schema, including its headers and its token; keys have to be registered first.

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

/// The OAuth access token that the fake accepts.
pub const OAUTH_TOKEN: &str = "fake-oauth-token-of-the-service";
/// The programmatic access token that the fake accepts.
pub const PAT: &str = "fake-programmatic-access-token";
/// The token of the trusted OIDC provider that the fake accepts.
pub const OIDC_TOKEN: &str = "fake-oidc-token-of-the-service";

/// How statements end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Successfully, with rows.
    Success,
    /// With this error.
    Failure {
        /// The HTTP status, 422 or 408.
        status: u16,
        /// Snowflake's code, for example `001003`.
        code: String,
        /// Snowflake's message.
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

/// A submitted statement.
#[derive(Debug, Clone)]
pub struct Submitted {
    /// The body of the request.
    pub body: Value,
    /// The request id.
    pub request_id: String,
    /// The issuer of a key pair's token, `ACCOUNT.USER.SHA256:…`, or the token itself for other types.
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
    /// Shut while responses to submits are held back.
    submits: Gate,
}

/// The state of a fake.
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
    /// The number of submits that will still get 503 although their statement runs.
    lost_answers: usize,
    requests: usize,
}

impl FakeSnowflake {
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

    /// Accepts tokens signed with the private key in `pem` (PKCS#8), for any user; returns the fingerprint
    /// that they must contain.
    ///
    /// # Errors
    /// If `pem` is not a key.
    pub fn register_key(&self, pem: &str) -> Result<String> {
        self.state().keys.register(pem)
    }

    /// Ends all statements differently from now on.
    pub fn end_with(&self, ending: Ending) {
        self.state().ending = Some(ending);
    }

    /// Fails the next requests with these statuses.
    pub fn fail_with(&self, statuses: impl IntoIterator<Item = u16>) {
        self.state().outages = statuses.into_iter().collect();
    }

    /// Runs the statements of the next submits but responds with 503.
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

    /// The number of statements run.
    #[must_use]
    pub fn statements(&self) -> usize {
        self.state().statements.len()
    }

    /// The number of submits of a statement that already existed.
    #[must_use]
    pub fn repeats(&self) -> usize {
        self.state().repeats
    }

    /// The total number of requests.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.state().requests
    }

    /// All submits that ran a statement, in order.
    #[must_use]
    pub fn submitted(&self) -> Vec<Submitted> {
        self.state().submitted.clone()
    }

    /// Violations of the documented schema so far.
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
