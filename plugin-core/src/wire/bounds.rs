//! Bounds on what a request contains.

use std::collections::BTreeMap;

use clap::{Args, value_parser};
use prost_types::{Struct, Value as ProtoValue, value::Kind as ProtoKind};
use server_core::{Error, Result};

use super::{
    path::Path,
    proto::flyteidl::{
        admin::CreateTaskRequest,
        core::{
            LiteralType, TaskTemplate, VariableMap, literal_type::Type as ProtoType,
            task_template::Target,
        },
    },
};

/// Most levels of nesting, also where no setting says less: each takes a part of the stack.
pub(super) const MAX_DEPTH: usize = 100;

/// Most parts of a declared type, such as the members of a union: a value is compared with each of them.
const MAX_TYPE_PARTS: usize = 256;

/// Bounds on what a request contains.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct Bounds {
    /// Maximum number of values in a request: items of lists, entries of maps and members of objects, at
    /// every level.
    #[arg(long, env = "PLUGIN_MAX_VALUES", default_value_t = Self::default().max_values, value_parser = value_parser!(u32).range(1..))]
    pub(super) max_values: u32,

    /// Maximum number of a task's inputs.
    #[arg(long, env = "PLUGIN_MAX_INPUTS", default_value_t = Self::default().max_inputs, value_parser = value_parser!(u32).range(1..))]
    pub(super) max_inputs: u32,

    /// Maximum depth of nested lists, maps, objects and messages.
    #[arg(long, env = "PLUGIN_MAX_DEPTH", default_value_t = Self::default().max_depth, value_parser = value_parser!(u32).range(1..=100))]
    pub(super) max_depth: u32,

    /// Maximum number of keys in a task's `custom`, at every level.
    #[arg(long, env = "PLUGIN_MAX_CUSTOM_KEYS", default_value_t = Self::default().max_custom_keys, value_parser = value_parser!(u32).range(1..))]
    pub(super) max_custom_keys: u32,

    /// Maximum size of a SQL statement, in bytes.
    #[arg(long, env = "PLUGIN_MAX_STATEMENT_BYTES", default_value_t = Self::default().max_statement_bytes, value_parser = value_parser!(u32).range(1..))]
    pub(super) max_statement_bytes: u32,

    /// Maximum size of a name, in bytes: of inputs, outputs, an execution's labels and the members of
    /// `config`.
    #[arg(long, env = "PLUGIN_MAX_NAME_BYTES", default_value_t = Self::default().max_name_bytes, value_parser = value_parser!(u32).range(1..))]
    pub(super) max_name_bytes: u32,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            max_values: 100_000,
            max_inputs: 10_000,
            max_depth: 100,
            max_custom_keys: 10_000,
            max_statement_bytes: 1 << 20,
            max_name_bytes: 1024,
        }
    }
}

/// A bound, as errors name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    Values,
    Inputs,
    Depth,
    CustomKeys,
    StatementBytes,
    NameBytes,
}

impl Bounds {
    /// The error for a `field` that has more than `bound` allows.
    pub(super) fn exceeded(&self, bound: Bound, field: &str) -> Error {
        let (limit, of, setting) = self.limit(bound);
        Error::invalid(format!("{field}: more than {limit} {of}, which is the limit (--{setting})"))
            .with_code("TOO_MUCH")
    }

    /// The limit of `bound`, what it counts, and its setting.
    fn limit(&self, bound: Bound) -> (u32, &'static str, &'static str) {
        match bound {
            Bound::Values => (self.max_values, "values in the request", "max-values"),
            Bound::Inputs => (self.max_inputs, "inputs", "max-inputs"),
            Bound::Depth => (self.max_depth, "levels of nesting", "max-depth"),
            Bound::CustomKeys => (self.max_custom_keys, "keys", "max-custom-keys"),
            Bound::StatementBytes => (self.max_statement_bytes, "bytes", "max-statement-bytes"),
            Bound::NameBytes => (self.max_name_bytes, "bytes in a name", "max-name-bytes"),
        }
    }

    /// Checks a decoded request, before its values are read.
    ///
    /// # Errors
    /// `InvalidArgument` that names the field, the limit and its setting.
    pub(super) fn check(&self, request: &CreateTaskRequest) -> Result<()> {
        let inputs = request.inputs.as_ref().map(|inputs| &inputs.literals);
        if let Some(inputs) = inputs {
            self.check_inputs(inputs.len())?;
            self.check_names("inputs", inputs)?;
        }
        if let Some(metadata) = &request.task_execution_metadata {
            self.check_names("task_execution_metadata.labels", &metadata.labels)?;
            self.check_texts("task_execution_metadata.labels", metadata.labels.values())?;
        }
        request.template.as_ref().map_or(Ok(()), |template| self.check_template(template))
    }

    /// Checks the number of a task's inputs, before they are read.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub(crate) fn check_inputs(&self, count: usize) -> Result<()> {
        self.check_count(Bound::Inputs, "inputs", count)
    }

    fn check_template(&self, template: &TaskTemplate) -> Result<()> {
        let TaskTemplate { custom, interface, config, target, .. } = template;
        self.check_names("template.config", config)?;
        if let Some(Target::Sql(sql)) = target {
            let size = sql.statement.len();
            self.check_count(Bound::StatementBytes, "template.sql.statement", size)?;
        }
        if let Some(custom) = custom {
            self.check_count(Bound::CustomKeys, "custom", keys_of(custom))?;
        }
        let interface = interface.as_ref().map(|both| [&both.inputs, &both.outputs]);
        let variables = interface.into_iter().flatten().flatten();
        variables.into_iter().try_for_each(|variables| self.check_variables(variables))
    }

    fn check_variables(&self, VariableMap { variables }: &VariableMap) -> Result<()> {
        self.check_names("template.interface", variables)?;
        let root = Path::Root("template.interface");
        for (name, variable) in variables {
            if variable.r#type.as_ref().map_or(0, parts_of) > MAX_TYPE_PARTS {
                let field = root.member(name);
                return Err(Error::invalid(format!(
                    "{field}: its type has more than {MAX_TYPE_PARTS} parts"
                )));
            }
        }
        Ok(())
    }

    fn check_names<T>(&self, field: &str, map: &BTreeMap<String, T>) -> Result<()> {
        self.check_texts(field, map.keys())
    }

    fn check_texts<'a>(
        &self,
        field: &str,
        mut texts: impl Iterator<Item = &'a String>,
    ) -> Result<()> {
        texts.try_for_each(|text| self.check_count(Bound::NameBytes, field, text.len()))
    }

    fn check_count(&self, bound: Bound, field: &str, count: usize) -> Result<()> {
        let (limit, ..) = self.limit(bound);
        if count <= limit as usize { Ok(()) } else { Err(self.exceeded(bound, field)) }
    }
}

/// How many keys `object` has at every level.
fn keys_of(object: &Struct) -> usize {
    object.fields.values().map(|value| 1 + keys_within(value)).sum()
}

fn keys_within(value: &ProtoValue) -> usize {
    match value.kind.as_ref() {
        Some(ProtoKind::StructValue(object)) => keys_of(object),
        Some(ProtoKind::ListValue(list)) => list.values.iter().map(keys_within).sum(),
        _ => 0,
    }
}

/// How many types `declared` consists of.
fn parts_of(declared: &LiteralType) -> usize {
    1 + match declared.r#type.as_ref() {
        Some(ProtoType::CollectionType(item) | ProtoType::MapValueType(item)) => parts_of(item),
        Some(ProtoType::UnionType(union)) => union.variants.iter().map(parts_of).sum(),
        _ => 0,
    }
}

#[cfg(test)]
pub(super) mod tests;
