//! Splits `template.sql` into statements and turns placeholders into the Data API's named parameters.
//!
//! `{{ .inputs.x }}` becomes `:x`, and its value a parameter; `:x` stays, where the task has an input of that name. A list
//! becomes one parameter for each item, for `IN (…)`. No value is written into a statement: where Redshift takes no
//! parameter, within quotes or as part of a name, the task is refused.

use std::collections::{BTreeMap, BTreeSet};

use plugin_core::{
    Context, Error, Result, Value,
    sql::{Found, Hole, Kind, Place, Template, Token, named, swallowed},
    task::{
        Inputs,
        placeholder::{Placeholder, find_at},
    },
};
use serde::Serialize;

use crate::{dialect::REDSHIFT, value};

/// The Data API's limit on a statement, in bytes: "Considerations when calling the Amazon Redshift Data API".
pub(crate) const MAX_BYTES: usize = 100_000;
/// Its limit on the statements of a batch: the model's `SqlList`.
pub(crate) const MAX_STATEMENTS: usize = 40;
/// The most bytes of all values together: a list may have many items.
const MAX_VALUES: usize = 1 << 20;

const FIELD: &str = "template.sql.statement";

/// A named parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) value: String,
}

/// Statements, ready to be sent.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Rendered {
    pub(crate) statements: Vec<String>,
    pub(crate) parameters: Vec<Parameter>,
}

/// The statements of `text`, with the values of `inputs` as parameters.
///
/// # Errors
/// `InvalidArgument` with the name of what cannot be a parameter where it stands, and for what the Data API would not take.
pub(crate) fn render(cx: &Context, text: &str, inputs: &Inputs) -> Result<Rendered> {
    let names = inputs.iter().map(|(name, _)| name).collect::<BTreeSet<_>>();
    let mut find =
        |at: usize, before: Option<&[Token]>| find_in(text, at, before.is_some(), &names);
    let template = Template::parse(&REDSHIFT, text, &mut find)?;
    template.check_placeholders(FIELD)?;
    let comment = template.swallowing_comment().unwrap_or_default();
    if let Some(name) = named(comment, ':').find(|name| names.contains(name)) {
        return Err(swallowed(&format!(":{name}")));
    }
    let mut writer = Writer { cx, text, inputs, parameters: BTreeMap::new(), bytes: 0 };
    let mut statements = Vec::new();
    for range in ranges(&template) {
        check_no_transaction(&template, &range)?;
        let statement = writer.statement(&template, range)?;
        if statement.len() > MAX_BYTES {
            let number = statements.len() + 1;
            return Err(Error::invalid(format!(
                "{FIELD}: statement {number} has {} bytes, and the Redshift Data API takes at most 100 kB",
                statement.len()
            )));
        }
        statements.push(statement);
    }
    match statements.len() {
        0 => Err(Error::invalid(format!("{FIELD}: has no statement"))),
        many if many > MAX_STATEMENTS => Err(Error::invalid(format!(
            "{FIELD}: has {many} statements, and the Redshift Data API runs at most {MAX_STATEMENTS} together"
        ))),
        _ => Ok(Rendered { statements, parameters: writer.parameters() }),
    }
}

/// The placeholder at byte `at`.
fn find_in<'a>(
    text: &'a str,
    at: usize,
    is_open: bool,
    names: &BTreeSet<&str>,
) -> Found<Placeholder<'a>> {
    let rest = &text[at..];
    if rest.starts_with("{{") {
        let found = find_at(text, at)?;
        return Some((found.placeholder, found.range.len()));
    }
    let inner = rest.strip_prefix(':').filter(|_| is_open)?;
    let end = inner.find(|c: char| !is_word(c)).unwrap_or(inner.len());
    // `a::x` is a cast, and `a[1:x]` or `b:x` no operand.
    let before = text[..at].chars().next_back();
    let is_free = before.is_none_or(|c| !(is_word(c) || ":\"'])".contains(c)));
    (is_free && names.contains(&inner[..end])).then(|| (Placeholder::Input(&inner[..end]), end + 1))
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

/// The bytes of each statement: what is between semicolons, without what is only blanks and comments.
fn ranges(template: &Template<'_, Placeholder<'_>>) -> Vec<std::ops::Range<usize>> {
    let (mut ranges, mut start, mut is_empty) = (Vec::new(), 0, true);
    for token in &template.tokens {
        match token.kind {
            Kind::Sign(';') => {
                if !is_empty {
                    ranges.push(start..token.range.start);
                }
                (start, is_empty) = (token.range.end, true);
            }
            Kind::LineComment | Kind::BlockComment => {}
            _ => is_empty = false,
        }
    }
    if !is_empty {
        ranges.push(start..template.text.len());
    }
    ranges
}

/// Refuses a statement that begins or ends a transaction: the Data API makes one of all statements, or one of each.
fn check_no_transaction(
    template: &Template<'_, Placeholder<'_>>,
    range: &std::ops::Range<usize>,
) -> Result<()> {
    let is_comment = |token: &&Token| matches!(token.kind, Kind::LineComment | Kind::BlockComment);
    let at = template.tokens.partition_point(|token| token.range.start < range.start);
    let tokens = template.tokens[at..].iter();
    let mut words = tokens.filter(|token| !is_comment(token)).map(|token| template.source(token));
    let first = words.next().unwrap_or_default().to_uppercase();
    let is_start = first == "START"
        && words.next().is_some_and(|second| second.eq_ignore_ascii_case("TRANSACTION"));
    match is_start || ["ABORT", "BEGIN", "COMMIT", "END", "ROLLBACK"].contains(&first.as_str()) {
        false => Ok(()),
        true => Err(Error::invalid(format!(
            "{FIELD}: must have no {first}: the statements of a task are one transaction, or with custom.transaction false, \
             each is one of its own"
        ))),
    }
}

struct Writer<'a> {
    cx: &'a Context,
    text: &'a str,
    inputs: &'a Inputs,
    /// Values by the names of parameters.
    parameters: BTreeMap<String, String>,
    /// How many bytes they have.
    bytes: usize,
}

impl Writer<'_> {
    fn statement(
        &mut self,
        template: &Template<'_, Placeholder<'_>>,
        range: std::ops::Range<usize>,
    ) -> Result<String> {
        let (mut out, mut at) = (String::new(), range.start);
        let holes = template.holes.iter().filter(|hole| range.contains(&hole.range.start));
        for hole in holes {
            out.push_str(&self.text[at..hole.range.start]);
            out.push_str(&self.hole(hole)?);
            at = hole.range.end;
            self.check_size(out.len())?;
        }
        out.push_str(&self.text[at..range.end]);
        Ok(out.trim().to_owned())
    }

    /// One input may stand in many places: the bytes of all of them count.
    fn check_size(&self, statement: usize) -> Result<()> {
        if statement <= MAX_BYTES && self.bytes <= MAX_VALUES {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "{FIELD}: the statement with its parameters is larger than the Redshift Data API takes (100 kB of text)"
        )))
    }

    /// What stands for a placeholder.
    fn hole(&mut self, hole: &Hole<Placeholder<'_>>) -> Result<String> {
        let source = &self.text[hole.range.clone()];
        match (hole.place, hole.meaning) {
            (Place::LineComment { swallows: true }, _) => Err(swallowed(source)),
            (Place::LineComment { .. } | Place::BlockComment, _) => Ok(source.to_owned()),
            (Place::Open, Placeholder::Input(name)) => {
                self.check_apart(hole, source)?;
                let value = &self.inputs.get(name)?.value;
                self.input(name, value)
            }
            (_, Placeholder::Input(_)) => Err(Error::invalid(format!(
                "{source}: Redshift takes no parameter within quotes, and values are never written into a statement; \
                 without the quotes it is bound. For an UNLOAD, select into a temporary table first"
            ))),
            (place, meaning) => self.own(place, meaning, source),
        }
    }

    /// A parameter's name must end where the placeholder does.
    fn check_apart(&self, hole: &Hole<Placeholder<'_>>, source: &str) -> Result<()> {
        let before = self.text[..hole.range.start].chars().next_back();
        let after = self.text[hole.range.end..].chars().next();
        let touches = before.is_some_and(|c| is_word(c) || c == ':' || c == '.' || c == '"')
            || after.is_some_and(|c| is_word(c) || c == '"' || c == '{')
            || (after == Some('.'));
        match touches {
            false => Ok(()),
            true => Err(Error::invalid(format!(
                "{source}: Redshift takes a parameter as a value, not as a part of a name; write the name out, or choose \
                 among statements in the workflow"
            ))),
        }
    }

    fn input(&mut self, name: &str, value: &Value) -> Result<String> {
        let Value::List(items) = value else { return self.bind(name, name.to_owned(), value) };
        if items.is_empty() {
            return Err(Error::invalid(format!(
                "inputs.{name}: must not be empty, because SQL has no empty IN (…)"
            )));
        }
        let mut bound = Vec::new();
        for (number, item) in items.iter().enumerate() {
            let parameter = format!("{name}__{number}");
            if self.inputs.contains(&parameter) {
                return Err(Error::invalid(format!(
                    "inputs.{parameter}: rename it; an item of the list inputs.{name} is called so"
                )));
            }
            bound.push(self.bind(name, parameter, item)?);
            self.check_size(bound.len() * (name.len() + 2))?;
        }
        Ok(bound.join(", "))
    }

    /// The placeholder of a parameter with `value`. The Data API has no parameter without characters: null and the empty
    /// string are written as the two constants that they are.
    fn bind(&mut self, input: &str, parameter: String, value: &Value) -> Result<String> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if !parameter.chars().all(is_name) {
            return Err(Error::invalid(format!(
                "inputs.{input}: parameters of Redshift have names of ASCII letters, digits and underscores"
            )));
        }
        Ok(match value::text(value) {
            None => "NULL".to_owned(),
            Some(text) if text.is_empty() => "''".to_owned(),
            Some(text) => {
                let written = format!(":{parameter}");
                let length = text.len();
                if self.parameters.insert(parameter, text).is_none() {
                    self.bytes += length;
                }
                written
            }
        })
    }

    /// What Flyte or this service has made, for locations and for names that are an attempt's own.
    fn own(&self, place: Place, meaning: Placeholder<'_>, source: &str) -> Result<String> {
        let filled = self.cx.fill(FIELD, meaning, self.inputs)?;
        let text = match (&*filled.value, meaning) {
            // A name without quotes must not begin with a digit.
            (Value::String(key), Placeholder::PerRetryUniqueKey) => format!("flyte_{key}"),
            (Value::String(text), _) => text.clone(),
            (other, _) => value::text(other).unwrap_or_default(),
        };
        let is_safe = |c: char| c.is_ascii_alphanumeric() || "/:._-=+@".contains(c);
        let is_name = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        match place {
            Place::Quoted(_) if text.chars().all(is_safe) => Ok(text),
            Place::Open if is_name && meaning == Placeholder::PerRetryUniqueKey => Ok(text),
            Place::Quoted(_) => Err(Error::invalid(format!(
                "{source}: has characters that are not safe within quotes"
            ))),
            _ => Err(Error::invalid(format!("{source}: must be within quotes"))),
        }
    }

    fn parameters(self) -> Vec<Parameter> {
        let parameter = |(name, value)| Parameter { name, value };
        self.parameters.into_iter().map(parameter).collect()
    }
}

#[cfg(test)]
mod tests;
