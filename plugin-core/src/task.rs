//! A task to run, and the status of its job.

mod json;
mod objects;
pub mod placeholder;
mod status;
mod task_type;
mod value;

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use server_core::{Error, Result};

pub(crate) use self::json::{in_words, read_custom};
pub(crate) use self::status::Outputs;
pub use self::{
    json::without_nulls,
    status::{Link, Phase, Status},
    task_type::TaskType,
    value::{Type, Value},
};

/// A variable and its value: flytekit's programs exit with an error when the task's function raises.
///
/// Without it they end with success, and `error.pb` below the output prefix says why. Flyte 2's programs never read it.
pub const FAIL_ON_ERROR: (&str, &str) = ("FLYTE_FAIL_ON_ERROR", "true");

/// A task to run: Flyte's task template and its inputs.
///
/// ```
/// use plugin_core::{Result, Task, Type, Value, serde_json, task::{Input, Inputs}};
/// use serde_json::{Value as Json, json};
///
/// struct Custom {
///     cluster: String,
/// }
///
/// fn body(task: &Task<Custom>) -> Result<Json> {
///     let day = task.inputs.get("day")?;
///     Ok(json!({
///         "cluster": task.custom.cluster,
///         "statement": task.sql()?,
///         "parameters": { "day": day.value.to_json() },
///         "timeout_seconds": task.timeout.map(|timeout| timeout.as_secs()),
///     }))
/// }
///
/// // Plugins are handed their tasks; their tests can make one.
/// let day = Input::new(Value::String("2026-03-01".to_owned()), Type::String);
/// let task = Task::new(Custom { cluster: "small".to_owned() })
///     .with_sql("SELECT * FROM events WHERE day = :day")
///     .with_inputs(Inputs::from_iter([("day".to_owned(), day)]));
/// assert_eq!(body(&task)?["parameters"]["day"], "2026-03-01");
/// # Ok::<(), plugin_core::Error>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Task<Custom> {
    /// The template's `custom`: what the task's author wrote for this plugin.
    pub custom: Custom,
    /// The task's inputs.
    pub inputs: Inputs,
    /// The template's `config`, which some SDKs use for settings instead of `custom`.
    pub config: BTreeMap<String, String>,
    /// The template's container, if it has one; its arguments are already rendered.
    pub container: Option<Container>,
    /// How long the task may run, if its author limits it.
    pub timeout: Option<Duration>,
    /// The labels that Flyte and the author gave the execution.
    pub labels: BTreeMap<String, String>,
    /// The environment variables that Flyte gives the execution's tasks, besides those of the container.
    pub environment: BTreeMap<String, String>,
    /// The names under which the task is registered.
    pub id: TaskId,
    /// The ARN of the role of AWS that the execution has, if its caller or the project gives it one.
    pub iam_role: Option<String>,
    pub(crate) statement: Option<String>,
    pub(crate) outputs: BTreeMap<String, Type>,
    /// The declarations of outputs that say more than their [`Type`], encoded: directories, and formats of files and tables.
    pub(crate) detailed_outputs: Bytes,
}

/// The names under which a task is registered at Flyte; empty where the caller sent none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskId {
    /// The project.
    pub project: String,
    /// The domain, for example `development`.
    pub domain: String,
    /// The name, for example `workflows.daily.orders`.
    pub name: String,
    /// The version.
    pub version: String,
}

/// A container that runs a task's code.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Container {
    /// The image.
    pub image: String,
    /// The entrypoint. Most SDKs leave it empty and put everything into the arguments.
    pub command: Vec<String>,
    /// The arguments, for example `pyflyte-execute …`.
    pub args: Vec<String>,
    /// The environment variables.
    pub env: BTreeMap<String, String>,
    /// The resources that it asks for, as quantities of Kubernetes: `cpu`, `memory`, `gpu`, `storage` and
    /// `ephemeral-storage`, for example `500m` or `1Gi`.
    pub requests: BTreeMap<String, String>,
    /// The most that it may use, likewise.
    pub limits: BTreeMap<String, String>,
}

impl<Custom> Task<Custom> {
    /// A task with `custom` and nothing else, for tests of a plugin's own functions.
    pub fn new(custom: Custom) -> Self {
        Self {
            custom,
            inputs: Inputs::default(),
            config: BTreeMap::new(),
            container: None,
            timeout: None,
            labels: BTreeMap::new(),
            environment: BTreeMap::new(),
            id: TaskId::default(),
            iam_role: None,
            statement: None,
            outputs: BTreeMap::new(),
            detailed_outputs: Bytes::new(),
        }
    }

    /// Makes it a SQL task that runs `statement`.
    #[must_use]
    pub fn with_sql(mut self, statement: impl Into<String>) -> Self {
        self.statement = Some(statement.into());
        self
    }

    /// Gives it `inputs`.
    #[must_use]
    pub fn with_inputs(mut self, inputs: Inputs) -> Self {
        self.inputs = inputs;
        self
    }

    /// Declares the output `name` of type `ty` in its interface.
    #[must_use]
    pub fn with_output(mut self, name: impl Into<String>, ty: Type) -> Self {
        self.outputs.insert(name.into(), ty);
        self
    }

    /// The statement of a SQL task, without surrounding whitespace.
    ///
    /// # Errors
    /// `InvalidArgument` when the template has no statement or a blank one.
    pub fn sql(&self) -> Result<&str> {
        match self.statement.as_deref().map(str::trim) {
            None => {
                Err(Error::invalid("template.sql: missing; this task type runs a SQL statement"))
            }
            Some("") => Err(Error::invalid("template.sql.statement: empty")),
            Some(statement) => Ok(statement),
        }
    }

    /// Whether the task's interface declares any output.
    #[must_use]
    pub fn declares_outputs(&self) -> bool {
        !self.outputs.is_empty()
    }

    /// Whether the task's interface declares the output `name`.
    #[must_use]
    pub fn declares_output(&self, name: &str) -> bool {
        self.outputs.contains_key(name)
    }

    /// The type that the task's interface declares for the output `name`.
    #[must_use]
    pub fn output_type(&self, name: &str) -> Option<&Type> {
        self.outputs.get(name)
    }

    /// The same task with `custom` converted by `convert`.
    pub(crate) fn map_custom<Other>(
        self,
        convert: impl FnOnce(Custom) -> Result<Other>,
    ) -> Result<Task<Other>> {
        Ok(Task {
            custom: convert(self.custom)?,
            inputs: self.inputs,
            config: self.config,
            container: self.container,
            timeout: self.timeout,
            labels: self.labels,
            environment: self.environment,
            id: self.id,
            iam_role: self.iam_role,
            statement: self.statement,
            outputs: self.outputs,
            detailed_outputs: self.detailed_outputs,
        })
    }
}

/// One input: its value and its type.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Input {
    /// The value.
    pub value: Value,
    /// The declared type, with each union resolved to the member that the value belongs to; the type of
    /// the value where the interface does not declare one. Unions remain only in lists and maps of
    /// several types.
    pub ty: Type,
}

impl Input {
    /// The input `value` of type `ty`.
    #[must_use]
    pub fn new(value: Value, ty: Type) -> Self {
        Self { value, ty }
    }
}

/// The most inputs that an error lists.
const MOST_LISTED: usize = 20;

/// A task's inputs, in the order of their names.
///
/// The order is fixed so that a repeated create sends the vendor the same bytes: Go sends maps in
/// random order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Inputs(BTreeMap<String, Input>);

impl Inputs {
    /// The input `name`.
    ///
    /// # Errors
    /// `InvalidArgument` that lists the inputs the task has.
    pub fn get(&self, name: &str) -> Result<&Input> {
        self.0.get(name).ok_or_else(|| {
            let known = self.0.keys().take(MOST_LISTED).map(String::as_str);
            let known = known.collect::<Vec<_>>().join(", ");
            let more = if self.0.len() > MOST_LISTED { ", …" } else { "" };
            Error::invalid(format!("inputs.{name}: no such input; the task has [{known}{more}]"))
        })
    }

    /// Whether the task has the input `name`.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Every input with its name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Input)> {
        self.0.iter().map(|(name, input)| (name.as_str(), input))
    }

    /// Whether the task has no inputs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(String, Input)> for Inputs {
    fn from_iter<I: IntoIterator<Item = (String, Input)>>(inputs: I) -> Self {
        Self(inputs.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_or_blank_statement_is_refused_by_field() {
        let message = |task: Task<()>| task.sql().unwrap_err().to_string();
        assert!(message(Task::new(())).starts_with("template.sql: missing"));
        assert_eq!(message(Task::new(()).with_sql("  ")), "template.sql.statement: empty");
    }

    #[test]
    fn an_unknown_input_is_refused_with_the_known_ones() {
        let input = Input::new(Value::Integer(1), Type::Integer);
        let inputs: Inputs = [("day".to_owned(), input)].into_iter().collect();
        let error = inputs.get("month").unwrap_err();
        assert_eq!(error.to_string(), "inputs.month: no such input; the task has [day]");
    }
}
