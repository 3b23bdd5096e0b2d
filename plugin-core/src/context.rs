//! What a plugin knows about the call it serves.

mod author_secret;
mod caller;
mod deadline;
mod execution;
mod idempotency_key;
mod placeholder;
mod secrets;
mod waiting;

use std::{fmt, sync::Arc};

use jiff::Timestamp;
use secrecy::SecretString;
use server_core::{Error, Result};

pub use self::{
    author_secret::AuthorSecret,
    caller::{Caller, Role},
    deadline::Deadline,
    execution::Execution,
    idempotency_key::IdempotencyKey,
    placeholder::Filling,
};
pub(crate) use self::{
    caller::{Grant, Verb},
    secrets::{SecretArgs, SecretReader, Secrets},
    waiting::{Waiter, Waiting},
};
use crate::task::TaskType;

/// What a plugin knows about the call it serves. Cloning is cheap.
#[derive(Clone)]
pub struct Context(pub(crate) Arc<Inner>);

#[derive(Clone)]
pub(crate) struct Inner {
    pub(crate) caller: Caller,
    pub(crate) deadline: Deadline,
    pub(crate) key: IdempotencyKey,
    pub(crate) task_type: TaskType,
    pub(crate) execution: Arc<Execution>,
    pub(crate) output_prefix: String,
    pub(crate) created_at: Timestamp,
    pub(crate) secrets: Secrets,
    /// Who waits, where the call outlives its callers.
    pub(crate) waiting: Option<Waiting>,
}

impl Context {
    /// When the call has to be answered. The outgoing client keeps to it by itself.
    #[must_use]
    pub fn deadline(&self) -> Deadline {
        self.0.deadline
    }

    /// Which of the plugin's task types the call is about.
    #[must_use]
    pub fn task_type(&self) -> TaskType {
        self.0.task_type
    }

    /// Whether anybody still waits for the outcome.
    ///
    /// A submit that nobody waits for is finished, but not begun again: its caller has long been told
    /// that nothing is known to exist, and may be on another attempt.
    pub(crate) fn is_wanted(&self) -> bool {
        self.0.waiting.as_ref().is_none_or(|waiting| !waiting.is_abandoned())
    }

    /// The key to give the vendor, so that a repeated create starts no second job.
    #[must_use]
    pub fn idempotency_key(&self) -> IdempotencyKey {
        self.0.key
    }

    /// Who is calling.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.0.caller
    }

    /// Flyte's names for the attempt.
    #[must_use]
    pub fn execution(&self) -> &Execution {
        &self.0.execution
    }

    /// Where Flyte keeps the attempt's outputs; known to `create` only, empty elsewhere.
    #[must_use]
    pub fn output_prefix(&self) -> &str {
        &self.0.output_prefix
    }

    /// When the job was created; for `create` itself, now.
    #[must_use]
    pub fn created_at(&self) -> Timestamp {
        self.0.created_at
    }

    /// The secret `name`, from the request's connection, the environment or a file.
    ///
    /// # Errors
    /// `FailedPrecondition` that names the secret and the places it was looked for in.
    pub async fn secret(&self, name: &str) -> Result<SecretString> {
        self.find_secret(name).await?.ok_or_else(|| self.0.secrets.missing(name))
    }

    /// The secret `name`, if there is one.
    ///
    /// # Errors
    /// `Unavailable` when a secret file is there and cannot be read.
    pub async fn find_secret(&self, name: &str) -> Result<Option<SecretString>> {
        self.0.secrets.find(name).await
    }

    /// The secret `name` that came with the request (Flyte 2), and no other: for one whose author chose
    /// it.
    ///
    /// # Errors
    /// `FailedPrecondition` when there is one and the operator forbids such.
    pub fn connection_secret(&self, name: &str) -> Result<Option<SecretString>> {
        self.0.secrets.in_connection(name)
    }

    /// The first secret that there is under one of `names`, and its name. Every name is looked for in the
    /// request before any in the environment, and there before any in a file.
    ///
    /// # Errors
    /// `Unavailable` when a secret file is there and cannot be read.
    pub async fn find_secret_of<'n>(
        &self,
        names: &[&'n str],
    ) -> Result<Option<(&'n str, SecretString)>> {
        self.0.secrets.find_of(names).await
    }

    /// [`find_secret_of`](Self::find_secret_of), for a secret that is required.
    ///
    /// # Errors
    /// Also `FailedPrecondition`, with the places searched for the first name, and the other names.
    ///
    /// ```
    /// # async fn example(cx: &plugin_core::Context) -> plugin_core::Result<()> {
    /// let (name, token) = cx.secret_of(&["acme_token", "ACME_API_KEY"]).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn secret_of<'n>(&self, names: &[&'n str]) -> Result<(&'n str, SecretString)> {
        if let Some(found) = self.find_secret_of(names).await? {
            return Ok(found);
        }
        let (first, others) = names.split_first().map_or(("", names), |(name, rest)| (*name, rest));
        let missing = self.0.secrets.missing(first);
        let others = others.iter().map(|name| format!("; {name} was not found either"));
        let message = missing.message().to_owned() + &others.collect::<String>();
        Err(Error::new(missing.kind(), message))
    }

    /// The same call with another deadline.
    pub(crate) fn with_deadline(&self, deadline: Deadline) -> Self {
        Self(Arc::new(Inner { deadline, ..Inner::clone(&self.0) }))
    }

    /// The same call with others who wait, or none to ask after.
    pub(crate) fn with_waiting(&self, waiting: Option<Waiting>) -> Self {
        Self(Arc::new(Inner { waiting, ..Inner::clone(&self.0) }))
    }

    /// Reads the secret `name` anew the next time: the vendor refused it.
    pub fn forget_secret(&self, name: &str) {
        self.0.secrets.forget(name);
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("caller", &self.0.caller)
            .field("key", &self.0.key)
            .field("execution", &self.0.execution)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use std::time::Duration;

    use server_core::Kind;

    use crate::testing;

    #[tokio::test]
    async fn a_missing_secret_of_several_names_is_reported_with_all_of_them() {
        let cx = testing::context(Duration::from_secs(1));
        let error = cx.secret_of(&["a", "b", "c"]).await.unwrap_err();
        assert_eq!(error.kind(), Kind::FailedPrecondition);
        assert_eq!(
            error.message(),
            "secret a not found; looked in: environment variable _NONE_A, file /nowhere/a; \
             b was not found either; c was not found either"
        );
    }
}
