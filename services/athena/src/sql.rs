//! Renders Flyte's placeholders into a statement so that no value can escape its lexical context.
//!
//! | where | what `{{ .inputs.x }}` becomes |
//! |---|---|
//! | outside of quotes | a literal of the input's type; a list becomes one for each item, for `IN (…)` |
//! | after `DATE`, `TIMESTAMP`, `INTERVAL`, … | a string, which the word gives its type |
//! | in `'…'` | the value as a string, escaped |
//! | in `"…"` | the value as a name, escaped |
//! | in a string that runs as code | a number; within quotes in that code, a string |
//! | in a comment | nothing |
//!
//! What only looks like a placeholder, such as `{{ .inputs.x | upper }}`, is refused, but for other templates' text in quotes.
//!
//! In the statements that define tables, which are Hive's, strings are restricted to safe characters.

use plugin_core::{
    Context, Error, Result, Value,
    sql::{Dialect, Filling, Hole, Kind, Place, Template, Token, Writer, swallowed},
    task::{
        Inputs,
        placeholder::{Placeholder, find_at},
    },
};

use crate::{
    dialect::{self, DEFINITIONS, Reading, SAFE_SIGNS},
    literal,
    location::check_in_text,
    text::unique_name,
};

/// Athena's limit on a statement, in bytes: the model's `QueryString`.
pub(crate) const MAX_BYTES: usize = 262_144;

/// A statement, and what Athena has to be told about it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rendered {
    pub(crate) statement: String,
    /// The number of `?`.
    pub(crate) marks: usize,
    /// Whether it is a query whose rows another statement can write: SELECT, WITH, VALUES or TABLE.
    pub(crate) is_query: bool,
}

type Parsed<'a> = Template<'a, Placeholder<'a>>;

/// Renders `inputs` into `statement`, which is in the field `field`.
///
/// # Errors
/// `InvalidArgument` with the name of what cannot be rendered in its context; also for more than one statement, and one
/// of more than [`MAX_BYTES`].
pub(crate) fn render(
    cx: &Context,
    field: &str,
    statement: &str,
    inputs: &Inputs,
) -> Result<Rendered> {
    let in_field = |error: Error| match error.message().strip_prefix("template.sql.statement") {
        Some(rest) => Error::new(error.kind(), format!("{field}{rest}")),
        None => error,
    };
    write(cx, field, statement, inputs).map_err(in_field)
}

fn write(cx: &Context, field: &str, statement: &str, inputs: &Inputs) -> Result<Rendered> {
    let Reading { dialect, is_ambiguous } = dialect::of(statement);
    let mut find = |at, _: Option<&[_]>| {
        let found = find_at(statement, at)?;
        Some((found.placeholder, found.range.len()))
    };
    let template = Template::parse(dialect, statement, &mut find)?;
    template.check_placeholders(field)?;
    if let Some(hole) = template.holes.first().filter(|_| is_ambiguous) {
        let source = &statement[hole.range.clone()];
        return Err(Error::invalid(format!(
            "{field}: {source} must not be in a CREATE TABLE in which a backslash within quotes decides where the quotes end: \
             write the quotes without it, or the value itself"
        )));
    }
    check_single(field, &template)?;
    let mut writer = Writer::new(dialect);
    let (mut at, end) = (0, end(&template));
    for hole in template.holes.iter().take_while(|hole| hole.range.start < end) {
        writer.text(&statement[at..hole.range.start]);
        let filling = Slot { cx, field, dialect, template: &template, hole }.filling(inputs)?;
        writer.fill(hole.place, &filling)?;
        at = hole.range.end;
        check_size(&filling.name, writer.len())?;
    }
    writer.text(statement[at..end].trim_end());
    check_size(field, writer.len())?;
    let marks = marks(&template)?;
    Ok(Rendered { statement: writer.finish()?, marks, is_query: is_query(&template) })
}

pub(crate) fn check_size(field: &str, bytes: usize) -> Result<()> {
    match bytes <= MAX_BYTES {
        true => Ok(()),
        false => Err(Error::invalid(format!(
            "{field}: the statement with its values has more than 262,144 bytes, Athena's limit"
        ))),
    }
}

fn is_comment(token: &Token) -> bool {
    matches!(token.kind, Kind::LineComment | Kind::BlockComment)
}

/// Athena refuses several statements with a message about the second one's syntax.
fn check_single(field: &str, template: &Parsed<'_>) -> Result<()> {
    let tokens = template.tokens.iter().filter(|token| !is_comment(token));
    let (mut statements, mut is_within) = (0, false);
    for token in tokens {
        let ends = token.kind == Kind::Sign(';');
        statements += usize::from(!ends && !is_within);
        is_within = !ends;
    }
    match statements {
        0 => Err(Error::invalid(format!("{field}: empty"))),
        1 => Ok(()),
        _ => Err(Error::invalid(format!(
            "{field}: has {statements} statements, but Athena runs one at a time: make each a task of its own. \
             (flytekit's HiveSelectTask writes several, for Hive: use AthenaTask with CREATE TABLE … AS or UNLOAD)"
        ))),
    }
}

/// The byte at which the statement ends: a `;` and what follows it would be in the way of a statement around it.
fn end(template: &Parsed<'_>) -> usize {
    let mut tokens = template.tokens.iter().rev().filter(|token| !is_comment(token));
    let ends = tokens.by_ref().take_while(|token| token.kind == Kind::Sign(';'));
    ends.last().map_or(template.text.len(), |token| token.range.start)
}

/// The number of `?`.
fn marks(template: &Parsed<'_>) -> Result<usize> {
    let marks = template.tokens.iter().filter(|token| token.kind == Kind::Sign('?')).count();
    match template.swallowing_comment() {
        Some(comment) if comment.contains('?') && marks > 0 => Err(swallowed("the parameter ?")),
        _ => Ok(marks),
    }
}

fn is_query(template: &Parsed<'_>) -> bool {
    let mut words = template.tokens.iter().filter(|token| !is_comment(token));
    let first = words.find(|token| token.kind != Kind::Sign('('));
    let first = first.map_or("", |token| template.source(token));
    ["SELECT", "WITH", "VALUES", "TABLE"].iter().any(|known| known.eq_ignore_ascii_case(first))
}

/// A placeholder in its statement.
struct Slot<'a, 't> {
    cx: &'a Context,
    field: &'a str,
    dialect: &'static Dialect,
    template: &'a Parsed<'t>,
    hole: &'a Hole<Placeholder<'t>>,
}

impl Slot<'_, '_> {
    fn filling(&self, inputs: &Inputs) -> Result<Filling> {
        let Self { cx, field, hole, .. } = self;
        match hole.meaning {
            Placeholder::Input(name) => {
                let filled = cx.fill(field, hole.meaning, inputs)?;
                self.of_input(&format!("inputs.{name}"), &filled.value)
            }
            Placeholder::PerRetryUniqueKey => {
                let name = unique_name(cx);
                Ok(Filling::new("perRetryUniqueKey", name.clone(), name).name())
            }
            Placeholder::Unavailable(name) => Err(Error::invalid(format!(
                "{field}: {{{{ .{name} }}}} is not available to backend plugins; use {{{{ .outputPrefix }}}}, or a location \
                 of your own"
            ))),
            _ => {
                let filled = cx.fill(field, hole.meaning, inputs)?;
                let text = literal::text(&filled.value);
                if hole.place == Place::Open {
                    let name = filled.name;
                    return Err(Error::invalid(format!(
                        "{{{{ .{name} }}}}: must be within quotes"
                    )));
                }
                Ok(Filling::new(filled.name, text.clone(), text).name())
            }
        }
    }

    fn of_input(&self, name: &str, value: &Value) -> Result<Filling> {
        let text = self.text(name, value)?;
        if self.hole.place != Place::Open {
            self.check_location(name, &text)?;
            let filling = Filling::new(name, text, "");
            return Ok(match value {
                Value::Null | Value::Integer(_) | Value::Boolean(_) => {
                    filling.literal(literal::literal(name, value)?)
                }
                Value::Float(number) if number.is_finite() => {
                    filling.literal(literal::literal(name, value)?)
                }
                _ => filling,
            });
        }
        let open = match (value, self.takes_a_string()) {
            (Value::List(items), _) => self.list(name, items)?,
            (Value::Null, _) => "NULL".to_owned(),
            (_, true) => self.string(name, &text)?,
            (value, false) => self.literal(name, value)?,
        };
        Ok(Filling::new(name, text, open))
    }

    /// Within a string that begins as a location in S3: `value` must not choose another bucket or prefix than the author's.
    fn check_location(&self, name: &str, value: &str) -> Result<()> {
        let token = &self.template.tokens[self.hole.token];
        let before = &self.template.text[token.range.start..self.hole.range.start];
        let before = before.trim_start_matches(['\'', '"']);
        let is_location = matches!(token.kind, Kind::Quoted(_))
            && before.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("s3://"));
        match is_location {
            true => check_in_text(before, value)
                .map_err(|why| Error::invalid(format!("{}: {name} {why}", self.field))),
            false => Ok(()),
        }
    }

    /// `items` for `IN (…)`. No items would need another condition: `IN (NULL)` is neither true nor false.
    fn list(&self, name: &str, items: &[Value]) -> Result<String> {
        if items.is_empty() {
            return Err(Error::invalid(format!(
                "{name}: must not be empty, because SQL has no empty IN (…)"
            )));
        }
        let mut list = String::new();
        for item in items {
            list += if list.is_empty() { "" } else { ", " };
            list += &self.literal(name, item)?;
            check_size(name, list.len())?;
        }
        Ok(list)
    }

    fn literal(&self, name: &str, value: &Value) -> Result<String> {
        match value {
            Value::String(text) => self.string(name, text),
            other => {
                let literal = literal::literal(name, other)?;
                let is_string = literal.starts_with('\'');
                if is_string { self.string(name, &literal::text(other)) } else { Ok(literal) }
            }
        }
    }

    /// `text` as a string literal of the statement's dialect.
    fn string(&self, name: &str, text: &str) -> Result<String> {
        let is_safe = |c: char| c.is_alphanumeric() || SAFE_SIGNS.contains(c);
        match std::ptr::eq(self.dialect, &DEFINITIONS) && !text.chars().all(is_safe) {
            false => Ok(literal::quoted(text)),
            true => Err(Error::invalid(format!(
                "{name}: must be letters, digits and {SAFE_SIGNS}, because the statement defines a table"
            ))),
        }
    }

    /// `value` within quotes, as the word before them reads it.
    fn text(&self, name: &str, value: &Value) -> Result<String> {
        Ok(match (value, self.word_before().to_uppercase().as_str()) {
            (Value::Datetime(at), "DATE") => literal::date(name, *at)?,
            (Value::Datetime(at), "TIMESTAMP") => literal::timestamp(*at),
            _ => literal::text(value),
        })
    }

    /// Whether only a string can follow, which the word before gives its type.
    fn takes_a_string(&self) -> bool {
        const WORDS: [&str; 5] = ["DATE", "DECIMAL", "INTERVAL", "TIME", "TIMESTAMP"];
        WORDS.iter().any(|word| word.eq_ignore_ascii_case(self.word_before()))
    }

    /// The word before the token that the placeholder is, or is in.
    fn word_before(&self) -> &str {
        let mut before = self.template.tokens[..self.hole.token].iter().rev();
        let token = before.find(|token| !is_comment(token));
        token.filter(|t| t.kind == Kind::Word).map_or("", |token| self.template.source(token))
    }
}

#[cfg(test)]
mod tests;
