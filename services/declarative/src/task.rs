//! What the expressions of `create` see of a task.

use plugin_core::{
    Context, Error, Result, Task,
    digest::{hex, sha256},
    serde_json::{Map, Value as Json, json},
};

use serde::Deserialize;

use crate::{
    custom::Fields,
    expression::{EvalError, SHORT_KEY, Scope, Text, short_key},
};

/// A task in the short form of REST.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Short {
    #[serde(default)]
    custom: Map<String, Json>,
    #[serde(default)]
    sql: Option<String>,
    #[serde(default)]
    inputs: Map<String, Json>,
}

impl Short {
    /// The task that is `json`.
    ///
    /// # Errors
    /// `InvalidArgument` when it has another form.
    pub(crate) fn of(json: &Json) -> Result<Self> {
        Self::deserialize(json).map_err(|error| Error::invalid(error.to_string()))
    }
}

/// A task's values, by the names that expressions have for them.
#[derive(Debug, Default)]
pub(crate) struct Values {
    pub(crate) custom: Map<String, Json>,
    pub(crate) inputs: Map<String, Json>,
    pub(crate) sql: Option<String>,
    pub(crate) timeout: Option<u64>,
    pub(crate) labels: Map<String, Json>,
    pub(crate) execution: Json,
    pub(crate) output_prefix: String,
    pub(crate) key: String,
}

impl Values {
    /// Those of `task`.
    ///
    /// # Errors
    /// `InvalidArgument` when `custom` is wrong, or the file needs a statement that the task does not have.
    pub(crate) fn of(
        fields: &Fields,
        needs_sql: bool,
        cx: &Context,
        task: &Task<Map<String, Json>>,
    ) -> Result<Self> {
        let sql = match needs_sql {
            true => Some(task.sql()?.to_owned()),
            false => None,
        };
        let execution = cx.execution();
        let inputs = task.inputs.iter();
        let labels = task.labels.iter();
        Ok(Self {
            custom: fields.read(task.custom.clone())?,
            inputs: inputs.map(|(name, input)| (name.to_owned(), input.value.to_json())).collect(),
            sql,
            timeout: task.timeout.map(|timeout| timeout.as_secs()),
            labels: labels.map(|(name, value)| (name.clone(), value.as_str().into())).collect(),
            execution: json!({
                "project": execution.project,
                "domain": execution.domain,
                "name": execution.name,
                "node": execution.node,
                "task": execution.task,
                "namespace": execution.namespace,
                "attempt": execution.attempt,
            }),
            output_prefix: cx.output_prefix().to_owned(),
            key: cx.idempotency_key().hex(),
        })
    }

    /// Those of `task`, which nobody has submitted, with the output prefix `output_prefix` and the key that follows from it.
    ///
    /// # Errors
    /// `InvalidArgument` when `custom` is wrong, or the file needs a statement that the task does not have.
    pub(crate) fn of_short(
        fields: &Fields,
        needs_sql: bool,
        task: &Short,
        output_prefix: &str,
    ) -> Result<Self> {
        if task.sql.is_none() && needs_sql {
            return Err(Error::invalid("`sql` is missing: the file uses it"));
        }
        let names = ["project", "domain", "name", "node", "task", "namespace"];
        let execution = names.map(|name| (name.to_owned(), json!(format!("a-{name}"))));
        let mut execution = Map::from_iter(execution);
        execution.insert("attempt".to_owned(), json!(0));
        Ok(Self {
            custom: fields.read(task.custom.clone())?,
            inputs: task.inputs.clone(),
            sql: task.sql.clone(),
            timeout: None,
            labels: Map::new(),
            execution: Json::Object(execution),
            output_prefix: output_prefix.to_owned(),
            key: hex(&sha256(&[output_prefix.as_bytes()])),
        })
    }

    /// As expressions see them, beside what `scope` has.
    pub(crate) fn scope(self, scope: Scope) -> Scope {
        scope
            .with("custom", self.custom)
            .with("inputs", self.inputs)
            .with("sql", self.sql)
            .with("timeout", self.timeout)
            .with("labels", self.labels)
            .with("execution", self.execution)
            .with("output_prefix", self.output_prefix)
            .with("key", &self.key)
            .with_value(SHORT_KEY, short_key(self.key))
    }
}

/// The ids that `ids` gives in `scope`.
///
/// # Errors
/// Which of them has no value.
pub(crate) fn ids(ids: &[(String, Text)], scope: &Scope) -> Result<Map<String, Json>, EvalError> {
    let mut found = Map::new();
    for (name, text) in ids {
        let within = |error: EvalError| error.within(&format!("job.{name}"));
        let id = text.eval(scope).map_err(within)?;
        let id = id.filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| within(text.error("has no value")))?;
        found.insert(name.clone(), id.into());
    }
    Ok(found)
}
