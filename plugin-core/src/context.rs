//! What a plugin knows about the call it serves.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use aws_lc_rs::digest;
use jiff::Timestamp;
use secrecy::SecretString;

use crate::{
    caller::Caller, deadline::Deadline, error::Result, plugin::TaskType, secrets::Secrets,
};

/// The key that makes a repeated create find the first one's job.
///
/// It is the SHA-256 of Flyte's `output_prefix`, which is unique per execution, node path and attempt
/// in both Flyte versions. For callers other than Flyte the hash also covers who they are, so that
/// nobody can adopt another's job by naming its prefix.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct IdempotencyKey([u8; 32]);

impl IdempotencyKey {
    /// The key of an attempt that Flyte itself names: what `sha256sum` prints for it.
    pub(crate) fn of_attempt(attempt: &str) -> Self {
        Self(sha256(&[attempt.as_bytes()]))
    }

    /// The key that `parts` make together. Each is preceded by its length, so that none can be
    /// shifted into the next.
    pub(crate) fn of_parts(parts: &[&str]) -> Self {
        let lengths = parts.iter().map(|part| part.len().to_be_bytes()).collect::<Vec<_>>();
        let framed =
            lengths.iter().zip(parts).flat_map(|(len, part)| [len.as_slice(), part.as_bytes()]);
        Self(sha256(&framed.collect::<Vec<_>>()))
    }

    /// A key that no other call has.
    pub(crate) fn random() -> Self {
        Self(rand::random())
    }

    pub(crate) fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The key as 64 lower-case hex digits.
    #[must_use]
    pub fn hex(&self) -> String {
        self.to_string()
    }
}

/// The SHA-256 of `parts` one after the other.
pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    parts.iter().for_each(|part| context.update(part));
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Flyte's names for the attempt that a job belongs to; empty where the caller gave none.
///
/// After `create` they come from the job's handle, which keeps 40 bytes of each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Execution {
    /// Flyte's project.
    pub project: String,
    /// Flyte's domain, for example `development`.
    pub domain: String,
    /// The workflow execution (Flyte 1) or run (Flyte 2).
    pub name: String,
    /// The node (Flyte 1) or action (Flyte 2).
    pub node: String,
    /// The attempt, from 0.
    pub attempt: u32,
    /// The task's name.
    pub task: String,
    /// The Kubernetes namespace of the workflow.
    pub namespace: String,
}

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

/// How many callers wait for what is being done.
#[derive(Clone, Default)]
pub(crate) struct Waiting(Arc<AtomicUsize>);

/// One of them, until it is dropped.
pub(crate) struct Waiter(Waiting);

impl Waiting {
    pub(crate) fn join(&self) -> Waiter {
        self.0.fetch_add(1, Ordering::Relaxed);
        Waiter(self.clone())
    }

    pub(crate) fn nobody(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
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
        self.0.waiting.as_ref().is_none_or(|waiting| !waiting.nobody())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flytes_key_is_what_sha256sum_prints_for_its_output_prefix() {
        assert_eq!(
            IdempotencyKey::of_attempt("s3://bucket/run/n0/0").hex(),
            "96e5f4a3181475cccf7c59707462cf512cbbe504f19ebbed8ab97c5c87c75012"
        );
    }

    #[test]
    fn parts_cannot_be_shifted_into_one_another() {
        let of = IdempotencyKey::of_parts;
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
        assert_ne!(of(&["a\0b", "c"]), of(&["a", "b\0c"]));
    }
}
