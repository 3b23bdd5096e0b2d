//! By what a repeated request is known.

use prost::Message as _;
use server_core::digest::{Fingerprint, sha256};

use crate::{
    context::{Caller, IdempotencyKey, Role},
    task::TaskType,
    wire::{Submission, proto::flyteidl::admin::CreateTaskRequest},
};

/// A task's idempotency key, and whether the same request again has the same one.
pub(super) struct Key {
    pub(super) key: IdempotencyKey,
    pub(super) repeatable: bool,
    asked: Asked,
}

/// What a request asks for, which tells a repeat from another request under the same key.
pub(super) struct Asked(Fingerprint);

impl Asked {
    /// The connection is left out: its secrets may have been renewed before a repeat.
    pub(super) fn of(request: &CreateTaskRequest) -> Self {
        // The same bytes for the same task: every map is an ordered one.
        let template = request.template.as_ref().map(|template| template.encode_to_vec());
        let inputs = request.inputs.as_ref().map(|inputs| inputs.encode_to_vec());
        let (template, inputs) = (template.unwrap_or_default(), inputs.unwrap_or_default());
        let parts: [&[u8]; 3] = [&template.len().to_be_bytes(), &template, &inputs];
        Self(Fingerprint::from_bytes(sha256(&parts)))
    }
}

impl Key {
    /// `header` is REST's `Idempotency-Key`, which stands in for what Flyte calls the attempt.
    pub(super) fn of(
        caller: &Caller,
        task_type: TaskType,
        submission: &Submission,
        asked: Asked,
        header: Option<&str>,
    ) -> Self {
        let named = named(caller, task_type, submission, header);
        let repeatable = named.is_some();
        Self { key: named.unwrap_or_else(IdempotencyKey::random), repeatable, asked }
    }

    /// Where work under this key is joined, by who asks for the same. Two callers never share its
    /// outcome, whatever key they name.
    pub(super) fn slot(&self, caller: &Caller) -> Fingerprint {
        let (key, asked) = (self.key.hex(), self.asked.0.to_string());
        Fingerprint::of(&[&key, &asked, caller.issuer(), caller.subject()])
    }
}

/// The key that repeats of the request have, too; `None` if it names nothing to know them by.
fn named(
    caller: &Caller,
    task_type: TaskType,
    submission: &Submission,
    header: Option<&str>,
) -> Option<IdempotencyKey> {
    let theirs = |what, text| {
        let parts = [caller.issuer(), caller.subject(), what, task_type.name, text];
        IdempotencyKey::from(Fingerprint::of(&parts))
    };
    if let Some(header) = header {
        return Some(theirs("Idempotency-Key", header));
    }
    let attempt = [&submission.output_prefix, &submission.attempt_id];
    let attempt = attempt.into_iter().find(|text| !text.is_empty())?;
    Some(match caller.role() {
        Role::Propeller | Role::Anonymous => IdempotencyKey::of_attempt(attempt),
        Role::User | Role::Admin => theirs("output_prefix", attempt),
    })
}
