//! The output `results`: what the task's last UNLOAD writes, as the type that the task declares.

use plugin_core::{
    Error, Result, Task, Type, Value,
    sql::{Kind, Template, Token},
};
use serde::{Deserialize, Serialize};

use crate::{Custom, dialect::REDSHIFT, sql::Rendered};

/// The name of the output.
pub(crate) const RESULTS: &str = "results";

/// Where rows will be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Results {
    uri: String,
    /// `parquet`, `csv`, `json`, or empty for Redshift's own text format.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    format: String,
    /// Whether the task declares Flyte's older type.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    schema: bool,
}

impl Results {
    /// What `rendered` writes, if `task` declares the output.
    ///
    /// # Errors
    /// `InvalidArgument` if it declares one that no UNLOAD makes, or that no reader would find.
    pub(crate) fn of(task: &Task<Custom>, rendered: &Rendered) -> Result<Option<Self>> {
        let Some(declared) = task.output_type(RESULTS) else { return Ok(None) };
        let schema = match declared.without_null() {
            Type::Schema => true,
            Type::StructuredDataset | Type::Unknown => false,
            other => {
                return Err(Error::invalid(format!(
                    "interface.outputs.results: must be a StructuredDataset or a Schema, because UNLOAD writes files; it is \
                     {other:?}"
                )));
            }
        };
        let unloaded = rendered.statements.iter().rev().find_map(|text| unload(text));
        let Some((uri, format)) = unloaded else {
            return Err(Error::invalid(
                "interface.outputs.results: the task declares it, but none of its statements is an UNLOAD ('…') TO 's3://…'; \
                 rows that stay in Redshift cannot be outputs",
            ));
        };
        if !uri.ends_with('/') {
            return Err(Error::invalid(format!(
                "interface.outputs.results: the task declares it, but its UNLOAD writes files whose names begin with {uri:?}, \
                 and readers of an output look below a prefix: end the location with a slash"
            )));
        }
        Ok(Some(Self { uri, format, schema }))
    }

    pub(crate) fn value(&self) -> Value {
        let (uri, format) = (self.uri.clone(), self.format.clone());
        if self.schema { Value::Schema { uri } } else { Value::StructuredDataset { uri, format } }
    }
}

/// The location and the format of `statement`, if it is an UNLOAD.
fn unload(statement: &str) -> Option<(String, String)> {
    let mut no_placeholders = |_, _: Option<&[Token]>| None::<((), usize)>;
    let template = Template::parse(&REDSHIFT, statement, &mut no_placeholders).ok()?;
    let is_comment = |token: &&Token| matches!(token.kind, Kind::LineComment | Kind::BlockComment);
    let tokens = template.tokens.iter().filter(|token| !is_comment(token));
    let sources = tokens.map(|token| template.source(token)).collect::<Vec<_>>();
    let is = |at: usize, word: &str| sources.get(at).is_some_and(|s| s.eq_ignore_ascii_case(word));
    if !is(0, "UNLOAD") {
        return None;
    }
    let to = (0..sources.len()).find(|at| is(*at, "TO"))?;
    let uri = sources.get(to + 1)?.strip_prefix('\'')?.strip_suffix('\'')?;
    // UNLOAD … [FORMAT [AS]] PARQUET | CSV | JSON
    let known = |at: &usize| ["PARQUET", "CSV", "JSON"].iter().any(|format| is(*at, format));
    let format = (to + 2..sources.len()).find(known).map(|at| sources[at].to_lowercase());
    uri.starts_with("s3://").then(|| (uri.to_owned(), format.unwrap_or_default()))
}

#[cfg(test)]
mod tests;
