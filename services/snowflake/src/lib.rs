//! Runs Flyte's `snowflake` tasks: SQL statements, through Snowflake's SQL API.

mod accounts;
mod api;
mod bindings;
#[cfg(test)]
mod corpus_tests;
mod credentials;
mod dialect;
mod job;
mod key;
mod literal;
mod parameters;
mod request;
mod session;
mod settings;
mod sql;
mod task_types;

use plugin_core::{
    Context, Http, HttpBuilder, Kind, Phase, Plugin, Result, Status, Task, TaskType,
    schemars::{self, JsonSchema},
    serde_json::{Map, Value as Json},
    upstream::{Listed, Target as _, Targets, TokenCache},
};
use serde::Deserialize;

use crate::{
    accounts::Account,
    credentials::{AuthType, SecretNames},
    session::Session,
};
pub use crate::{job::Job, settings::Settings};

/// How many bytes of the response to a poll are read. Responses with rows are larger, and so may be messages.
const STATUS_BYTES: usize = 256 << 10;

/// The Snowflake plugin.
pub struct Snowflake {
    settings: Settings,
    accounts: Targets<Account>,
    tokens: TokenCache,
}

/// The task's configuration: `SnowflakeConfig` of Flyte 2's SDK. Flyte 1 writes the same names into
/// `config`, which provides what is missing here.
///
/// Not `Debug`: authors put tokens into `connection_kwargs`, which are not read.
#[derive(Default, Deserialize, JsonSchema)]
pub struct Custom {
    /// The account identifier, for example `ORG-ACCOUNT`, one of those that the service's operator lists.
    account: Option<String>,
    /// The user to run as.
    user: Option<String>,
    /// The warehouse to run in.
    warehouse: Option<String>,
    /// The default database of the statement.
    database: Option<String>,
    /// The default schema of the statement.
    schema: Option<String>,
    /// Whether the row after `VALUES` is repeated for each item of the inputs, which must be lists.
    batch: Option<bool>,
    /// Arguments of Snowflake's Python connector: `role`, `session_parameters` and `authenticator`.
    connection_kwargs: Option<Map<String, Json>>,
    /// Flyte 2: names of the secrets `snowflake_private_key` and `snowflake_private_key_passphrase`.
    secrets: Option<Map<String, Json>>,
}

impl Plugin for Snowflake {
    const TASK_TYPES: &'static [TaskType] = task_types::TASK_TYPES;
    const EXAMPLE: &'static str = r#"{
        "custom": {"account": "YOURORG-ACCOUNT", "user": "FLYTE", "warehouse": "COMPUTE_WH", "database": "DB", "schema": "PUBLIC"},
        "sql": "SELECT 1 AS one"
    }"#;

    type Settings = Settings;
    type Custom = Custom;
    type Meta = Job;

    fn new(settings: Settings, http: HttpBuilder) -> Result<Self> {
        let accounts = Targets::new(settings.accounts.clone(), &http.failures(api::failure))?;
        Ok(Self { settings, accounts, tokens: TokenCache::default() })
    }

    async fn create(&self, cx: &Context, task: Task<Custom>) -> Result<Job> {
        let session = Session::read(task.custom.connection_kwargs.as_ref().unwrap_or(&Map::new()))?;
        let only = self.accounts.only().map(|account| account.target.name());
        let place = self.settings.place(&task, &session, only)?;
        let account = self.accounts.choose(cx, &place.account_field, &place.account)?;
        // Nothing can be sent without them.
        let token_file = self.settings.oidc_token_file.as_deref();
        place.secrets.check(cx, place.auth, token_file).await?;
        let body = request::body(cx, &task, &place, &session, &self.settings)?;
        let http = self.signed(account, &place.user, place.auth, &place.secrets);
        // Snowflake runs a statement once for each request id if the request is marked as a retry. It
        // always is: no replica can know whether another one has sent it before.
        let request = http
            .post(&["statements"])
            .query("async", Some("true"))
            .query("requestId", Some(&request::id(cx)))
            .query("retry", Some("true"));
        let sent = request.idempotent().json(&body).send_json::<api::Answer>(cx).await;
        let submitted =
            sent.map_err(|error| api::refused(error, &self.settings.retryable_codes))?;
        let results = task.declares_output("results");
        Job::new(submitted.handle().to_owned(), &account.target, place, results)
    }

    async fn get(&self, cx: &Context, job: Job) -> Result<Status> {
        let account = self.accounts.of_job(&job.account)?;
        let http = self.signed_for(&job, account);
        // The rows are not needed, and the first partition may have many megabytes of them.
        let request = http.get(&["statements", &job.id]).at_most(STATUS_BYTES);
        let status = match request.send(cx).await {
            Ok(response) if response.is_cut => job.finished(api::cut(&response)?),
            Ok(response) => job.status(&response.json()?, response.status),
            Err(error) if error.kind() == Kind::NotFound => return Err(job.not_found(&error)),
            Err(error) => match api::ended(&error, &self.settings.retryable_codes) {
                Some(status) => job.finished(status),
                None => return Err(error),
            },
        };
        Ok(job.described(status, &account.target))
    }

    fn describe(&self, job: &Job) -> Status {
        let status = Status::new(Phase::Running);
        match self.accounts.of_job(&job.account) {
            Ok(account) => job.described(status, &account.target),
            Err(_) => status,
        }
    }

    async fn delete(&self, cx: &Context, job: Job) -> Result<()> {
        let Ok(account) = self.accounts.of_job(&job.account) else {
            // Flyte would retry an error forever, and the statement can no longer be cancelled.
            tracing::warn!(
                account = job.account,
                statement = job.id,
                "statement not cancelled: its account is no longer listed"
            );
            return Ok(());
        };
        let http = self.signed_for(&job, account);
        // Snowflake answers 422 if the statement has ended; the core then checks whether it has.
        http.post(&["statements", &job.id, "cancel"]).idempotent().send(cx).await.map(drop)
    }
}

impl Snowflake {
    fn signed_for(&self, job: &Job, account: &Listed<Account>) -> Http {
        self.signed(account, &job.user, job.auth, &job.secrets)
    }

    /// The API of `account`, called as its `user`.
    fn signed(
        &self,
        Listed { target: account, http }: &Listed<Account>,
        user: &str,
        auth: AuthType,
        names: &SecretNames,
    ) -> Http {
        match auth {
            AuthType::KeyPair => {
                let (tokens, names) = (&self.tokens, names.clone());
                http.signed_by(credentials::key_pair(tokens, account.claim(), user, names))
            }
            AuthType::Pat => http.signed_by(credentials::pat()),
            AuthType::Oauth => http.signed_by(credentials::oauth()),
            AuthType::Wif => {
                let file = self.settings.oidc_token_file.as_deref();
                http.signed_by(credentials::workload_identity(file))
            }
        }
    }
}
