//! Task types.

/// A task type, as task templates name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct TaskType {
    /// `template.type`, for example `bigquery_query_job_task`.
    pub name: &'static str,
    /// `template.task_type_version`. Propeller keeps one version per name, so a plugin should serve
    /// only one.
    pub version: i32,
}

impl TaskType {
    /// The task type `name` of `version`.
    #[must_use]
    pub const fn new(name: &'static str, version: i32) -> Self {
        Self { name, version }
    }
}
