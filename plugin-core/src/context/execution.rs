//! Flyte's names for an attempt.

/// Flyte's names for the attempt that a job belongs to; empty where the caller sent none.
///
/// After `create` they come from the job's handle, which keeps 40 bytes of each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
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
