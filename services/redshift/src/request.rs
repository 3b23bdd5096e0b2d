//! The requests to the Data API.

use plugin_core::{Context, Error, Result, Task};
use serde::Serialize;

use crate::{
    Custom, Job,
    sql::{Parameter, Rendered},
    target::{Login, Target, User},
};

/// The model's longest `StatementNameString`, in characters.
const MAX_NAME: usize = 2048;
/// The most that `ListStatements` lists at once.
const PAGE: usize = 100;

/// Where a statement runs.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Place {
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster_identifier: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    workgroup_name: Option<String>,
}

impl Place {
    fn of(target: &Target) -> Self {
        match target.clone() {
            Target::Cluster(name) => Self { cluster_identifier: Some(name), ..Self::default() },
            Target::Workgroup(name) => Self { workgroup_name: Some(name), ..Self::default() },
        }
    }
}

/// `ExecuteStatement` or, for several statements, `BatchExecuteStatement`. `WaitTimeSeconds` is never set: a create must
/// not wait for its job.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Request {
    #[serde(skip_serializing_if = "Option::is_none")]
    sql: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sqls: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    execution_mode: Option<&'static str>,
    #[serde(flatten)]
    place: Place,
    database: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    db_user: Option<String>,
    client_token: String,
    statement_name: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parameters: Vec<Parameter>,
    #[serde(skip_serializing_if = "Option::is_none")]
    with_event: Option<bool>,
}

impl Request {
    /// The request that runs `rendered` as `login`.
    ///
    /// # Errors
    /// `InvalidArgument` for a name that is too long.
    pub(crate) fn new(
        cx: &Context,
        task: &Task<Custom>,
        login: &Login,
        rendered: Rendered,
    ) -> Result<Self> {
        let Rendered { mut statements, parameters } = rendered;
        let is_batch = statements.len() > 1;
        let mode =
            if task.custom.transaction.unwrap_or(true) { "TRANSACTION" } else { "AUTO_COMMIT" };
        let sql = if is_batch { None } else { statements.pop() };
        let (secret_arn, db_user) = match login.user.clone() {
            User::Secret(arn) => (Some(arn), None),
            User::Named(name) => (None, Some(name)),
            User::Iam => (None, None),
        };
        Ok(Self {
            sql,
            sqls: statements,
            execution_mode: is_batch.then_some(mode),
            place: Place::of(&login.target),
            database: login.database.clone(),
            secret_arn,
            db_user,
            // 64 characters, the most that it takes.
            client_token: cx.idempotency_key().hex(),
            statement_name: name(cx, &task.custom)?,
            parameters,
            with_event: task.custom.with_event,
        })
    }

    /// The operation that takes it.
    pub(crate) fn operation(&self) -> &'static str {
        if self.sql.is_some() { "ExecuteStatement" } else { "BatchExecuteStatement" }
    }
}

/// The name that Redshift lists the statement by.
fn name(cx: &Context, custom: &Custom) -> Result<String> {
    let authors = custom.statement_name.clone().filter(|name| !name.is_empty());
    let name = authors.unwrap_or_else(|| format!("flyte-{}", &cx.idempotency_key().hex()[..16]));
    match name.chars().count() <= MAX_NAME {
        true => Ok(name),
        false => Err(Error::invalid(format!(
            "custom.statement_name: must have at most {MAX_NAME} characters"
        ))),
    }
}

/// `ListStatements` of one target and state.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct List {
    status: &'static str,
    max_results: usize,
    #[serde(flatten)]
    place: Place,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_token: Option<String>,
}

impl List {
    pub(crate) fn of(job: &Job, status: &'static str) -> Self {
        Self { status, max_results: PAGE, place: Place::of(&job.target), next_token: None }
    }
}
