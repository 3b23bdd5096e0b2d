//! What `create` is given: the task template, read and checked.

mod json;
pub mod placeholder;
mod status;
mod task_type;
mod value;

use std::{collections::BTreeMap, time::Duration};

use server_core::{Error, Result};

pub use self::{
    json::without_nulls,
    status::{Link, Phase, Status},
    task_type::TaskType,
    value::{Type, Value},
};

/// One task to run.
#[derive(Debug, Clone)]
pub struct Task<Custom> {
    /// What the task's author wrote for this plugin.
    pub custom: Custom,
    /// The values to run it with.
    pub inputs: Inputs,
    /// The template's `config`, where some SDKs keep settings instead of `custom`.
    pub config: BTreeMap<String, String>,
    /// The container that the template carries, if it does; its arguments are already rendered.
    pub container: Option<Container>,
    /// How long the task may run, if its author limits it.
    pub timeout: Option<Duration>,
    /// The labels that Flyte and the author gave the execution.
    pub labels: BTreeMap<String, String>,
    pub(crate) statement: Option<String>,
    pub(crate) outputs: BTreeMap<String, Type>,
}

/// A container that runs a task's code.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Container {
    /// Its image.
    pub image: String,
    /// Its entrypoint; most SDKs leave it empty and put all into the arguments.
    pub command: Vec<String>,
    /// The arguments, for example `pyflyte-execute …`.
    pub args: Vec<String>,
    /// Its environment variables.
    pub env: BTreeMap<String, String>,
}

impl<Custom> Task<Custom> {
    /// The statement of a SQL task.
    ///
    /// # Errors
    /// `InvalidArgument` when the template carries none, or only blanks.
    pub fn sql(&self) -> Result<&str> {
        match self.statement.as_deref().map(str::trim) {
            None => {
                Err(Error::invalid("template.sql: missing; this task type runs a SQL statement"))
            }
            Some("") => Err(Error::invalid("template.sql.statement: empty")),
            Some(statement) => Ok(statement),
        }
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

    /// The same task with another view of `custom`.
    pub(crate) fn map_custom<Other>(
        self,
        read: impl FnOnce(Custom) -> Result<Other>,
    ) -> Result<Task<Other>> {
        Ok(Task {
            custom: read(self.custom)?,
            inputs: self.inputs,
            config: self.config,
            container: self.container,
            timeout: self.timeout,
            labels: self.labels,
            statement: self.statement,
            outputs: self.outputs,
        })
    }
}

/// One input: its value, and the type its interface declares.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// The value.
    pub value: Value,
    /// The declared type, with unions already resolved to the member that carries the value; taken
    /// from the value where the interface does not declare it. Only a list or map of several types
    /// has a union left in it.
    pub ty: Type,
}

/// A task's inputs in the order of their names.
///
/// The order is fixed so that a repeated create sends the vendor the same bytes: Go sends maps in
/// random order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Inputs(BTreeMap<String, Input>);

impl Inputs {
    /// The input `name`.
    ///
    /// # Errors
    /// `InvalidArgument` that lists the inputs there are.
    pub fn get(&self, name: &str) -> Result<&Input> {
        self.0.get(name).ok_or_else(|| {
            let known = self.0.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            Error::invalid(format!("inputs.{name}: no such input; the task has [{known}]"))
        })
    }

    /// Every input with its name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Input)> {
        self.0.iter().map(|(name, input)| (name.as_str(), input))
    }

    /// Whether there are none.
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

    fn task(statement: Option<&str>) -> Task<()> {
        Task {
            custom: (),
            inputs: Inputs::default(),
            config: BTreeMap::new(),
            container: None,
            timeout: None,
            labels: BTreeMap::new(),
            statement: statement.map(str::to_owned),
            outputs: BTreeMap::new(),
        }
    }

    #[test]
    fn a_missing_statement_is_named() {
        let message = |statement| task(statement).sql().unwrap_err().to_string();
        assert!(message(None).starts_with("template.sql: missing"));
        assert_eq!(message(Some("  ")), "template.sql.statement: empty");
    }

    #[test]
    fn an_unknown_input_names_those_there_are() {
        let input = Input { value: Value::Integer(1), ty: Type::Integer };
        let inputs: Inputs = [("day".to_owned(), input)].into_iter().collect();
        let error = inputs.get("month").unwrap_err();
        assert_eq!(error.to_string(), "inputs.month: no such input; the task has [day]");
    }
}
