//! The environment variables of a task's code.

use std::collections::BTreeMap;

use super::Context;
use crate::task::Task;

impl Context {
    /// The environment variables that the code of `task` may read, wherever it runs: Flyte's names for the attempt, as
    /// propeller gives them to pods, then those of the container, then those that Flyte's administrators set, which take
    /// precedence. Empty ones are left out.
    #[must_use]
    pub fn variables<Custom>(&self, task: &Task<Custom>) -> BTreeMap<String, String> {
        let (execution, id) = (self.execution(), &task.id);
        let is_named = !execution.name.is_empty();
        let attempt = if is_named { execution.attempt.to_string() } else { String::new() };
        let of_flyte = [
            ("TASK_PROJECT", &id.project),
            ("TASK_DOMAIN", &id.domain),
            ("TASK_NAME", &id.name),
            ("TASK_VERSION", &id.version),
            ("NODE_ID", &execution.node),
            ("EXECUTION_ID", &execution.name),
            ("EXECUTION_PROJECT", &execution.project),
            ("EXECUTION_DOMAIN", &execution.domain),
            ("TASK_RETRY_ATTEMPT", &attempt),
        ];
        let of_flyte =
            of_flyte.map(|(name, value)| (format!("FLYTE_INTERNAL_{name}"), value.clone()));
        let of_container = task.container.iter().flat_map(|container| &container.env);
        let others = of_container.chain(&task.environment);
        let others = others.map(|(name, value)| (name.clone(), value.clone()));
        of_flyte.into_iter().chain(others).filter(|(_, value)| !value.is_empty()).collect()
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use std::time::Duration;

    use crate::{
        task::{Container, Task},
        testing,
    };

    #[test]
    fn administrators_variables_take_precedence() {
        let cx = testing::context(Duration::from_secs(1));
        let of = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let mut task = Task::new(());
        task.id.name = "daily.orders".to_owned();
        task.container = Some(Container {
            env: of(&[("A", "1"), ("B", "1"), ("C", "")]),
            ..Container::default()
        });
        task.environment = of(&[("B", "2")]);
        let expected = of(&[("A", "1"), ("B", "2"), ("FLYTE_INTERNAL_TASK_NAME", "daily.orders")]);
        assert_eq!(cx.variables(&task), expected);
    }
}
