//! `limits`.

use plugin_core::schemars::{self, JsonSchema};
use serde::Deserialize;

use crate::located::{At, Entries};

/// Limits of the tasks and calls of this file. What is not here is as the service's settings have it, where calls of each
/// file are counted by themselves, too.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limits {
    /// The most creates, or calls of `execute`, in progress at once in a replica. Further ones are refused as overload, and
    /// Flyte repeats them. Polls and cancels are not counted.
    #[serde(default)]
    pub(crate) creates: Option<At<usize>>,
    /// The most calls to the vendor at once from a replica, in place of `--upstream-concurrency`. Polls take three quarters
    /// of them at most.
    #[serde(default)]
    pub(crate) upstream_concurrency: Option<At<usize>>,
    /// How long one attempt of a call to the vendor may take, in place of `--upstream-timeout`: `10s`. A create, or a call of
    /// `execute`, ends with `--request-timeout` at the latest.
    #[serde(default)]
    pub(crate) upstream_timeout: Option<At<String>>,
    /// Limits of single task types, by their names without versions.
    #[serde(default)]
    pub(crate) task_types: Entries<TaskTypeLimits>,
}

/// Limits of one task type, in place of the file's. What is not here is as the file has it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TaskTypeLimits {
    /// The most creates, or calls of `execute`, of this task type in progress at once in a replica. The file's `creates` do not
    /// count them.
    #[serde(default)]
    pub(crate) creates: Option<At<usize>>,
    /// The most calls to the vendor at once from a replica for tasks of this type. They are counted apart from the file's.
    #[serde(default)]
    pub(crate) upstream_concurrency: Option<At<usize>>,
    /// How long one attempt of a call to the vendor may take for tasks of this type.
    #[serde(default)]
    pub(crate) upstream_timeout: Option<At<String>>,
}
