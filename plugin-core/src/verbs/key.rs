//! The keys by which repeats of a request are recognised.

use server_core::digest::{Fingerprint, KeyedHash};

use crate::{
    context::{Caller, IdempotencyKey, Role},
    task::TaskType,
    wire::Submission,
};

/// A task's idempotency key, and whether a repeat of the request has the same one.
pub(super) struct Key {
    pub(super) key: IdempotencyKey,
    pub(super) repeatable: bool,
}

/// The key under which work in progress is joined.
#[derive(Clone, Copy)]
pub(super) struct JoinKey {
    /// Of the idempotency key and of its caller: two callers never share an outcome, whatever key they send.
    pub(super) of_caller: u128,
    /// A handle belongs to the role in which it was created.
    pub(super) role: Role,
}

impl Key {
    /// `header` is REST's `Idempotency-Key`, which replaces Flyte's name of the attempt.
    pub(super) fn of(
        caller: &Caller,
        task_type: TaskType,
        submission: &Submission,
        header: Option<&str>,
    ) -> Self {
        let named = named(caller, task_type, submission, header);
        let repeatable = named.is_some();
        Self { key: named.unwrap_or_else(IdempotencyKey::random), repeatable }
    }

    /// The key under which work in progress is joined, if it is for the same task.
    pub(super) fn join_key(&self, caller: &Caller, hash: &KeyedHash) -> JoinKey {
        let of_caller = hash.of(&(self.key.as_bytes(), caller.issuer(), caller.subject()));
        JoinKey { of_caller, role: caller.role() }
    }
}

/// The key that repeats of the request share; `None` if nothing in it identifies them.
fn named(
    caller: &Caller,
    task_type: TaskType,
    submission: &Submission,
    header: Option<&str>,
) -> Option<IdempotencyKey> {
    let own = |kind, value| {
        let parts = [caller.issuer(), caller.subject(), kind, task_type.name, value];
        IdempotencyKey::from(Fingerprint::of(&parts))
    };
    if let Some(header) = header {
        return Some(own("Idempotency-Key", header));
    }
    let attempt = [&submission.output_prefix, &submission.attempt_id];
    let attempt = attempt.into_iter().find(|name| !name.is_empty())?;
    Some(match caller.role() {
        Role::Propeller | Role::Anonymous => IdempotencyKey::of_attempt(attempt),
        Role::User | Role::Admin => own("output_prefix", attempt),
    })
}
