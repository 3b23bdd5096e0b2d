//! By what a repeated request is known.

use crate::{
    caller::{Caller, Role},
    context::IdempotencyKey,
    plugin::TaskType,
    wire::Submission,
};

/// A task's idempotency key, and whether the same request again has the same one.
pub(super) struct Key {
    pub(super) key: IdempotencyKey,
    pub(super) repeatable: bool,
}

impl Key {
    /// `header` is REST's `Idempotency-Key`, which stands in for what Flyte calls the attempt.
    pub(super) fn of(
        caller: &Caller,
        task_type: TaskType,
        submission: &Submission,
        header: Option<&str>,
    ) -> Self {
        let theirs = |what, text| {
            let parts = [caller.issuer(), caller.subject(), what, task_type.name, text];
            Self { key: IdempotencyKey::of_parts(&parts), repeatable: true }
        };
        if let Some(header) = header {
            return theirs("Idempotency-Key", header);
        }
        let attempt = [&submission.output_prefix, &submission.attempt_id];
        let Some(attempt) = attempt.into_iter().find(|text| !text.is_empty()) else {
            return Self { key: IdempotencyKey::random(), repeatable: false };
        };
        match caller.role() {
            Role::Propeller | Role::Anonymous => {
                Self { key: IdempotencyKey::of_attempt(attempt), repeatable: true }
            }
            Role::User | Role::Admin => theirs("output_prefix", attempt),
        }
    }

    /// Where work under this key is joined. Two callers never share its outcome, whatever key they
    /// name.
    pub(super) fn slot(&self, caller: &Caller) -> IdempotencyKey {
        IdempotencyKey::of_parts(&[&self.key.hex(), caller.issuer(), caller.subject()])
    }
}
