//! The context of a call: caller, deadline, idempotency key and secrets.

mod author_secret;
mod caller;
mod connection;
mod deadline;
mod execution;
mod idempotency_key;
mod meta;
mod placeholder;
mod secrets;
mod variables;
mod waiting;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use jiff::Timestamp;
use secrecy::SecretString;
use server_core::{Error, Result, digest::Fingerprint};

pub use self::{
    author_secret::AuthorSecret,
    caller::{Caller, Role},
    deadline::Deadline,
    execution::Execution,
    idempotency_key::IdempotencyKey,
    meta::MAX_META_BYTES,
    placeholder::Filling,
};
pub(crate) use self::{
    caller::{Grant, Identity, Verb},
    connection::ConnectionValues,
    secrets::{Chosen, SecretArgs, SecretReader, Secrets},
    waiting::{Waiter, Waiting},
};
use crate::task::TaskType;

/// The context of the call that a plugin serves. Cloning is cheap.
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
    /// The settings of the request's connection (Flyte 2).
    pub(crate) configs: Arc<BTreeMap<String, String>>,
    /// The callers waiting for the result, if the call may outlive them.
    pub(crate) waiting: Option<Waiting>,
    /// Whether the call polls a job, so that its last known status answers if the vendor does not.
    pub(crate) is_poll: bool,
    /// Counts the attempts to call the vendor, if somebody wants to know.
    pub(crate) calls: Option<Arc<AtomicUsize>>,
}

impl Context {
    /// The call's deadline. [`Http`](crate::Http) keeps to it by itself.
    #[must_use]
    pub fn deadline(&self) -> Deadline {
        self.0.deadline
    }

    /// The task type of the call.
    #[must_use]
    pub fn task_type(&self) -> TaskType {
        self.0.task_type
    }

    /// Whether a caller still waits for the result. [`Http`](crate::Http) asks by itself.
    ///
    /// An abandoned submit is finished, but not begun or repeated: its caller has already got an error that says
    /// no job is known to exist, and may have started another attempt.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.0.waiting.as_ref().is_none_or(|waiting| !waiting.is_abandoned())
    }

    /// The key to pass to the vendor, so that a repeated create does not start a second job.
    #[must_use]
    pub fn idempotency_key(&self) -> IdempotencyKey {
        self.0.key
    }

    /// The authenticated caller.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.0.caller
    }

    /// Flyte's names for the attempt.
    #[must_use]
    pub fn execution(&self) -> &Execution {
        &self.0.execution
    }

    /// The URI prefix of the attempt's outputs; known to `create` only, empty elsewhere.
    #[must_use]
    pub fn output_prefix(&self) -> &str {
        &self.0.output_prefix
    }

    /// When the job was created; the current time in `create`.
    #[must_use]
    pub fn created_at(&self) -> Timestamp {
        self.0.created_at
    }

    /// The secret `name`, from the request's connection, the environment or a file.
    ///
    /// # Errors
    /// `FailedPrecondition` that names the secret and the sources that were searched.
    pub async fn secret(&self, name: &str) -> Result<SecretString> {
        self.find_secret(name).await?.ok_or_else(|| self.0.secrets.missing(name))
    }

    /// The secret `name`, if there is one.
    ///
    /// # Errors
    /// `Unavailable` when a secret file exists and cannot be read.
    pub async fn find_secret(&self, name: &str) -> Result<Option<SecretString>> {
        self.0.secrets.find(name).await
    }

    /// The secret `name` of the request's connection (Flyte 2), from no other source: for secrets whose
    /// name the task's author chose.
    ///
    /// # Errors
    /// `FailedPrecondition` when the request has one and the operator forbids secrets in requests.
    pub fn connection_secret(&self, name: &str) -> Result<Option<SecretString>> {
        self.0.secrets.in_connection(name)
    }

    /// The settings of the request's connection (Flyte 2), by name.
    #[must_use]
    pub fn connection_configs(&self) -> &BTreeMap<String, String> {
        &self.0.configs
    }

    /// Every secret of the request's connection (Flyte 2), by name.
    ///
    /// # Errors
    /// `FailedPrecondition` when the request has one and the operator forbids secrets in requests.
    pub fn connection_secrets(&self) -> Result<Vec<(&str, SecretString)>> {
        let names = self.0.secrets.connection.keys();
        let found =
            names.filter_map(|name| Some((name, self.connection_secret(name).transpose()?)));
        found.map(|(name, secret)| Ok((name.as_str(), secret?))).collect()
    }

    /// The first secret found under one of `names`, and its name. All names are looked up in the request,
    /// then all in the environment, then all in files.
    ///
    /// # Errors
    /// `Unavailable` when a secret file exists and cannot be read.
    pub async fn find_secret_of<'n>(
        &self,
        names: &[&'n str],
    ) -> Result<Option<(&'n str, SecretString)>> {
        self.0.secrets.find_of(names).await
    }

    /// [`find_secret_of`](Self::find_secret_of), for a secret that is required.
    ///
    /// # Errors
    /// Also `FailedPrecondition`, with the sources searched for the first name, and the other names. `names`
    /// must not be empty.
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
        Err(Error::new(missing.kind(), message).about_credentials())
    }

    /// The same call with another deadline.
    pub(crate) fn with_deadline(&self, deadline: Deadline) -> Self {
        Self(Arc::new(Inner { deadline, ..Inner::clone(&self.0) }))
    }

    /// The same call with other waiting callers; with `None` it counts as wanted.
    pub(crate) fn with_waiting(&self, waiting: Option<Waiting>) -> Self {
        Self(Arc::new(Inner { waiting, ..Inner::clone(&self.0) }))
    }

    /// The identity that the task's author chose; `None` for the service's own.
    pub(crate) fn authors_identity(&self) -> Option<Fingerprint> {
        self.0.secrets.chosen.identity()
    }

    /// Notes that the task's author chose an identity which `value` tells from others: its calls have a pace and a
    /// budget of their own, and a vendor that refuses it refuses the task.
    #[cfg(feature = "aws")]
    pub(crate) fn note_authors_choice(&self, value: &SecretString) {
        self.0.secrets.chosen.note_value(value);
    }

    /// Whether the call used, or looked for, credentials that the task's author chose. A vendor that refuses
    /// these refuses the task; one that refuses the service's own does not.
    #[must_use]
    pub fn uses_authors_credentials(&self) -> bool {
        self.0.secrets.chosen.is_noted()
    }

    /// Whether the call polls a job. It waits neither for a vendor that asks for quiet nor for one that
    /// fails.
    pub(crate) fn is_poll(&self) -> bool {
        self.0.is_poll
    }

    /// The same call as a poll.
    pub(crate) fn for_poll(&self) -> Self {
        Self(Arc::new(Inner { is_poll: true, ..Inner::clone(&self.0) }))
    }

    /// The same call, with its attempts to call the vendor counted.
    pub(crate) fn counting_calls(&self, calls: Arc<AtomicUsize>) -> Self {
        Self(Arc::new(Inner { calls: Some(calls), ..Inner::clone(&self.0) }))
    }

    /// Counts an attempt to call the vendor.
    pub(crate) fn count_call(&self) {
        if let Some(calls) = &self.0.calls {
            calls.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Drops the cached value of the secret `name`, which the vendor refused; the next lookup reads it
    /// again.
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
            "secret a not found; searched: environment variable _NONE_A, file /nowhere/a; \
             b was not found either; c was not found either"
        );
    }
}
