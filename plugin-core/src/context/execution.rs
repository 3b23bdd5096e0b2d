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

impl Execution {
    /// What `argument` of a command stands for. Flyte 2 leaves it to backends to fill in the names of run and action:
    /// `{{.runName}}` and `{{.actionName}}`. Any other argument, and one whose name is not known, stays as it is.
    #[must_use]
    pub fn filled<'a>(&'a self, argument: &'a str) -> &'a str {
        let name = match argument {
            "{{.runName}}" => &self.name,
            "{{.actionName}}" => &self.node,
            _ => argument,
        };
        if name.is_empty() { argument } else { name }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_flyte_2_are_filled_in_where_they_are_known() {
        let execution = Execution { name: "r7".to_owned(), ..Execution::default() };
        assert_eq!(execution.filled("{{.runName}}"), "r7");
        assert_eq!(execution.filled("{{.actionName}}"), "{{.actionName}}");
        assert_eq!(execution.filled("--run={{.runName}}"), "--run={{.runName}}");
    }
}
