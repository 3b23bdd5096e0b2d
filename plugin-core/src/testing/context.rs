//! A context without a call, for tests of a plugin's own functions.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use crate::{
    context::{
        Caller, Chosen, Context, Deadline, Execution, IdempotencyKey, Inner, SecretArgs,
        SecretReader, Secrets,
    },
    task::TaskType,
};

/// The context of a call with a deadline of `time`, by a caller without restrictions. It has no secrets.
#[must_use]
pub fn context(time: Duration) -> Context {
    context_in(time, "")
}

/// [`context`] of a call for a workflow in a Kubernetes `namespace`.
pub(crate) fn context_in(time: Duration, namespace: &str) -> Context {
    let sources = SecretArgs {
        secret_prefix: "_NONE_".to_owned(),
        secrets_dir: "/nowhere".into(),
        forbid_connection_secrets: true,
    };
    let secrets = Secrets {
        reader: Arc::new(SecretReader::new(sources)),
        connection: Arc::default(),
        namespace: namespace.into(),
        chosen: Chosen::default(),
    };
    let execution = Execution { namespace: namespace.to_owned(), ..Execution::default() };
    Context(Arc::new(Inner {
        caller: Caller::anonymous(),
        deadline: Deadline::after(time),
        key: IdempotencyKey::random(),
        task_type: TaskType::new("test", 0),
        execution: Arc::new(execution),
        output_prefix: String::new(),
        created_at: Timestamp::now(),
        secrets,
        configs: std::sync::Arc::default(),
        waiting: None,
        is_poll: false,
        calls: None,
    }))
}
