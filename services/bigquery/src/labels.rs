//! Labels that lead from a job back to its Flyte execution, on invoices and in `INFORMATION_SCHEMA`.

use plugin_core::context::Execution;
use serde_json::{Map, Value as Json};

/// Google's limit for keys and values, in characters.
const MAX_LABEL: usize = 63;

/// Flyte's names as labels, where there are any.
pub(crate) fn of(execution: &Execution) -> Map<String, Json> {
    let attempt = execution.attempt.to_string();
    let labels = [
        ("flyte-project", execution.project.as_str()),
        ("flyte-domain", &execution.domain),
        ("flyte-execution", &execution.name),
        ("flyte-node", &execution.node),
        ("flyte-task", &execution.task),
        ("flyte-attempt", if execution.name.is_empty() { "" } else { &attempt }),
    ];
    let given = labels.into_iter().filter(|(_, value)| !value.is_empty());
    given.map(|(key, value)| (key.to_owned(), sanitised(value).into())).collect()
}

/// Lower-case letters, digits, `_` and `-`; what is too long keeps its end, where names differ.
fn sanitised(value: &str) -> String {
    let plain = |c: char| match c.to_ascii_lowercase() {
        c if c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' => c,
        _ => '-',
    };
    let plain = value.chars().map(plain).collect::<String>();
    plain[plain.len().saturating_sub(MAX_LABEL)..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flytes_names_become_labels_that_google_takes() {
        let execution = Execution {
            project: "flytesnacks".to_owned(),
            name: "F7A1.b2".to_owned(),
            task: format!("acme.{}.last", "x".repeat(80)),
            attempt: 2,
            ..Execution::default()
        };
        let labels = of(&execution);
        assert_eq!(labels["flyte-project"], "flytesnacks");
        assert_eq!(labels["flyte-execution"], "f7a1-b2");
        assert_eq!(labels["flyte-attempt"], "2");
        let task = labels["flyte-task"].as_str().unwrap();
        assert!(task.len() == MAX_LABEL && task.ends_with("-last"), "{task}");
        assert!(!labels.contains_key("flyte-node"));
        assert!(of(&Execution::default()).is_empty());
    }
}
