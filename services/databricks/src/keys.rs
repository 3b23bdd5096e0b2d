//! The `task_key` of each task of a request. The Jobs API requires it, also of the task that a `for_each_task`
//! repeats.

use std::collections::BTreeSet;

use plugin_core::serde_json::Value as Json;

use crate::custom::Object;

/// The key of a task whose author sets none.
pub(crate) const TASK_KEY: &str = "flyte_task";
/// The key of a repeated task whose author sets none.
const ITERATION_KEY: &str = "flyte_iteration";

/// The keys of a request's tasks.
pub(crate) struct Keys {
    used: BTreeSet<String>,
    /// The number that the next key may end with.
    next: usize,
}

impl Keys {
    /// The keys that the author of `tasks` sets.
    pub(crate) fn of(tasks: &[Object]) -> Self {
        let all = tasks.iter().chain(tasks.iter().filter_map(repeated));
        let used = all.filter_map(|task| task.get("task_key")?.as_str()).map(str::to_owned);
        Self { used: used.collect(), next: 2 }
    }

    /// Gives `task` a key that no other task has, `wanted` if possible, unless it has one.
    pub(crate) fn fill(&mut self, task: &mut Object, wanted: &str) {
        if task.contains_key("task_key") {
            return;
        }
        let mut key = wanted.to_owned();
        while self.used.contains(&key) {
            key = format!("{wanted}_{}", self.next);
            self.next += 1;
        }
        self.used.insert(key.clone());
        task.insert("task_key".to_owned(), key.into());
    }

    /// Gives every task a key, and every repeated task.
    pub(crate) fn fill_all(&mut self, tasks: &mut [Object]) {
        for task in tasks {
            self.fill(task, TASK_KEY);
            let repeated = task.get_mut("for_each_task").and_then(|each| each.get_mut("task"));
            if let Some(repeated) = repeated.and_then(Json::as_object_mut) {
                self.fill(repeated, ITERATION_KEY);
            }
        }
    }
}

/// The task that `task` repeats.
fn repeated(task: &Object) -> Option<&Object> {
    task.get("for_each_task")?.get("task")?.as_object()
}

#[cfg(test)]
mod tests {
    use plugin_core::serde_json::{self, json};

    use super::*;

    #[test]
    fn missing_keys_are_filled_in_with_unused_ones() {
        let each = |task: Json| json!({"for_each_task": {"inputs": "[1]", "task": task}});
        let tasks = json!([{}, {"task_key": "flyte_task"}, {}, each(json!({})), each(json!({"task_key": "flyte_task_3"}))]);
        let mut tasks = serde_json::from_value::<Vec<Object>>(tasks).unwrap();
        Keys::of(&tasks).fill_all(&mut tasks);
        let keys =
            tasks.iter().chain(tasks.iter().filter_map(repeated)).map(|task| &task["task_key"]);
        let expected = [
            "flyte_task_2",
            "flyte_task",
            "flyte_task_4",
            "flyte_task_5",
            "flyte_task_6",
            "flyte_iteration",
            "flyte_task_3",
        ];
        assert_eq!(keys.collect::<Vec<_>>(), expected);
    }
}
