//! The output `results`: where Athena wrote the rows, as the type that the task declares.

use plugin_core::{
    Error, Phase, Result, Status, Task, Type, Value,
    sql::{Kind, Template, Token},
};
use serde::{Deserialize, Serialize};

use crate::{
    api::Execution,
    custom::Custom,
    dialect::{self, TRINO},
};

/// The name of the output.
const RESULTS: &str = "results";

/// The type that a task declares for `results`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Declared {
    /// Flyte's `Schema`, flytekit's FlyteSchema.
    Schema,
    /// A StructuredDataset.
    Table,
    /// A file.
    File,
}

impl Declared {
    /// What `task` declares, if it does.
    ///
    /// # Errors
    /// `InvalidArgument` for a type that no result of Athena has.
    pub(crate) fn of(task: &Task<Custom>) -> Result<Option<Self>> {
        let Some(declared) = task.output_type(RESULTS) else { return Ok(None) };
        match declared.without_null() {
            Type::Schema => Ok(Some(Self::Schema)),
            Type::StructuredDataset | Type::Unknown => Ok(Some(Self::Table)),
            Type::Blob => Ok(Some(Self::File)),
            other => Err(Error::invalid(format!(
                "interface.outputs.results: must be a Schema, a StructuredDataset or a file, because a query's result is \
                 in S3; it is {other:?}"
            ))),
        }
    }

    fn value(self, Place { uri, format }: Place) -> Value {
        match self {
            Self::Schema => Value::Schema { uri },
            Self::Table => Value::StructuredDataset { uri, format },
            Self::File => Value::Blob { uri },
        }
    }
}

/// Where rows are, and in which format.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    uri: String,
    format: String,
}

/// `status` of `found` with its results, if it has succeeded and the task declares them.
pub(crate) fn with_results(
    status: Status,
    found: &Execution,
    declared: Option<Declared>,
) -> Status {
    let Some(declared) = declared.filter(|_| status.phase() == Phase::Succeeded) else {
        return status;
    };
    match place(found) {
        Some(place) => status.output(RESULTS, Some(declared.value(place))),
        None => {
            let why = if found.has_managed_results() { MANAGED } else { NOWHERE };
            Status::new(Phase::Failed).code("NO_RESULT_LOCATION").message(why)
        }
    }
}

const MANAGED: &str = "the query succeeded, but the task declares the output results, and the workgroup keeps results in \
                       Athena's own storage (managed query results), which has no location in S3; use another workgroup, \
                       or custom.unload, which writes the rows to S3";
const NOWHERE: &str = "the query succeeded, but the task declares the output results, and Athena names no location of a \
                       result";

/// Where the rows of `found` are: where its statement wrote them, else the result that Athena wrote.
fn place(found: &Execution) -> Option<Place> {
    let written = found.query.as_deref().and_then(written);
    if let Some(Place { uri, .. }) = &written
        && !uri.is_empty()
    {
        return written;
    }
    let uri = found.output_location()?.to_owned();
    let format = match written {
        Some(Place { format, .. }) => format,
        None if uri.ends_with(".csv") => "csv".to_owned(),
        // The text of SHOW or DESCRIBE, or nothing at all.
        None => String::new(),
    };
    Some(Place { uri, format })
}

/// Where an UNLOAD or a CREATE TABLE AS writes: the location is empty if the statement names none.
fn written(statement: &str) -> Option<Place> {
    let mut no_placeholders = |_, _: Option<&[Token]>| None::<((), usize)>;
    // Large statements of other kinds are not read.
    let first = dialect::first_word(statement).to_uppercase();
    if !["UNLOAD", "CREATE"].contains(&first.as_str()) {
        return None;
    }
    let parsed = Template::parse(&TRINO, statement, &mut no_placeholders).ok()?;
    let words = Words::of(&parsed);
    match first.as_str() {
        "UNLOAD" => {
            let uri = words.string_after(&["TO"])?;
            let format = words.string_after(&["FORMAT", "="])?;
            Some(Place { uri, format: format.to_lowercase() })
        }
        _ => {
            words.position(&["AS"])?;
            let format =
                words.string_after(&["FORMAT", "="]).unwrap_or_else(|| "PARQUET".to_owned());
            // Of Hive's tables and of Iceberg's.
            let uri = words
                .string_after(&["EXTERNAL_LOCATION", "="])
                .or_else(|| words.string_after(&["LOCATION", "="]))
                .unwrap_or_default();
            words.is_table().then(|| Place { uri, format: format.to_lowercase() })
        }
    }
}

/// The tokens of a statement outside of an UNLOAD's query, and before the query of a CREATE TABLE AS.
struct Words<'a>(Vec<(Kind, &'a str)>);

impl<'a> Words<'a> {
    fn of(parsed: &Template<'a, ()>) -> Self {
        let is_comment = |kind| matches!(kind, Kind::LineComment | Kind::BlockComment);
        let tokens = parsed.tokens.iter().filter(|token| !is_comment(token.kind));
        let (mut words, mut depth, mut of_query) = (Vec::new(), 0_usize, None);
        for token in tokens {
            let source = parsed.source(token);
            let opens = matches!(token.kind, Kind::Sign('('));
            // UNLOAD (query): everything in the first parentheses.
            if opens && words.len() == 1 {
                of_query = Some(depth);
            }
            depth += usize::from(opens);
            if of_query.is_none() {
                words.push((token.kind, source));
            }
            if token.kind == Kind::Sign(')') {
                depth = depth.saturating_sub(1);
                if of_query == Some(depth) {
                    of_query = None;
                }
            }
            // CREATE TABLE … AS query: nothing after it counts.
            if depth == 0
                && source.eq_ignore_ascii_case("AS")
                && words[0].1.eq_ignore_ascii_case("CREATE")
            {
                break;
            }
        }
        Self(words)
    }

    fn is_table(&self) -> bool {
        self.0.get(1).is_some_and(|(_, source)| source.eq_ignore_ascii_case("TABLE"))
    }

    fn position(&self, known: &[&str]) -> Option<usize> {
        let is = |window: &[(Kind, &str)]| {
            window.iter().zip(known).all(|((_, s), k)| s.eq_ignore_ascii_case(k))
        };
        self.0.windows(known.len()).position(is)
    }

    /// The content of the string right after `known`.
    fn string_after(&self, known: &[&str]) -> Option<String> {
        let (kind, source) = self.0.get(self.position(known)? + known.len())?;
        let content = source.strip_prefix('\'')?.strip_suffix('\'')?;
        matches!(kind, Kind::Quoted(_)).then(|| content.replace("''", "'"))
    }
}

#[cfg(test)]
mod tests;
