//! A statement at Snowflake, and its status.

use plugin_core::{Error, Phase, Result, Status, Value, http::StatusCode};
use serde::{Deserialize, Serialize};

use crate::{
    accounts::Account,
    api,
    credentials::{AuthType, SecretNames},
    settings::Place,
};

/// Identifies the statement and its rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    pub(crate) id: String,
    pub(crate) account: String,
    pub(crate) user: String,
    warehouse: String,
    database: String,
    schema: String,
    pub(crate) auth: AuthType,
    #[serde(default)]
    pub(crate) secrets: SecretNames,
    flyte2: bool,
    /// Whether the task declares the output `results`.
    results: bool,
}

impl Job {
    pub(crate) fn new(id: String, account: &Account, place: Place, results: bool) -> Result<Self> {
        if !is_handle(&id) {
            return Err(Error::unavailable("Snowflake's response has no statement handle"));
        }
        let Place { user, warehouse, database, schema, auth, secrets, flyte2, .. } = place;
        let account = account.name.clone();
        Ok(Self { id, account, user, warehouse, database, schema, auth, secrets, flyte2, results })
    }

    /// Its status, from Snowflake's response.
    pub(crate) fn status(&self, answer: &api::Answer, http: StatusCode) -> Status {
        let status = answer.status(http);
        if status.phase() != Phase::Succeeded || !self.results {
            return status;
        }
        let handle = answer.result_handle(&self.id).filter(|handle| is_handle(handle));
        status.output("results", handle.map(|handle| self.rows(handle)))
    }

    /// `status` of a statement whose response does not contain its result.
    pub(crate) fn finished(&self, status: Status) -> Status {
        let rows = status.phase() == Phase::Succeeded && self.results;
        status.output("results", rows.then(|| self.rows(&self.id)))
    }

    /// The URI from which the SDKs read the rows of statement `id`, in the form of Flyte 1 or 2.
    fn rows(&self, id: &str) -> Value {
        let Self { user, account, warehouse, database, schema, .. } = self;
        let separator = if self.flyte2 { '/' } else { ':' };
        let place = format!("{warehouse}/{database}/{schema}");
        Value::structured_dataset(format!("snowflake://{user}{separator}{account}/{place}/{id}"))
    }

    /// `status` with the link and info that the ids provide.
    pub(crate) fn described(&self, status: Status, account: &Account) -> Status {
        let named = |name: &'_ String| Some(name.clone()).filter(|name| !name.is_empty());
        status
            .link("Snowflake Console", account.console(&self.id))
            .info("query_id", Some(self.id.as_str()))
            .info("account", Some(self.account.as_str()))
            .info("user", Some(self.user.as_str()))
            .info("warehouse", named(&self.warehouse))
            .info("database", named(&self.database))
            .info("schema", named(&self.schema))
    }

    /// The error for a statement that Snowflake no longer finds.
    pub(crate) fn not_found(&self, error: &Error) -> Error {
        let message = format!(
            "Snowflake has no statement {} in account {}: results are kept for a day",
            self.id, self.account
        );
        let code = error.code().unwrap_or("not_found").to_owned();
        Error::not_found(message).with_code(code).with_source(error.clone())
    }
}

/// Whether Snowflake may have made `id` for a statement.
fn is_handle(id: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-';
    !id.is_empty() && id.len() <= 64 && id.chars().all(is_part)
}
