//! Renders Flyte's placeholders into a statement so that no value can escape its lexical context.
//!
//! | where | what `{{ .inputs.x }}` becomes |
//! |---|---|
//! | outside of quotes | a number or boolean as it is; a BigQuery table as its quoted name; else `@x`, the query parameter |
//! | in `'…'`, `"…"` and their triple forms | the value as a string, escaped |
//! | in `r'…'` | the value as a string, if it needs no escapes |
//! | in `` `…` `` | the value as a string, if it is a name |
//! | in a string that runs as code | a number; within quotes in that code, a string |
//! | in a comment | nothing |

use std::collections::BTreeSet;

use plugin_core::{
    Context, Error, Result, Task, Value,
    serde_json::Value as Json,
    sql::{Filling, Place, Template, Writer, is_plain, named, swallowed},
    task::placeholder::{Placeholder, find_at},
};

use crate::{
    Custom,
    dialect::{GOOGLE_SQL, PATH_SIGNS},
};

/// The most bytes of a statement with its values: it may contain one input many times.
const MAX_BYTES: usize = 8 << 20;

/// The statement of `task`, rendered.
pub(crate) fn render(cx: &Context, task: &Task<Custom>) -> Result<String> {
    let statement = task.sql()?;
    if is_plain(GOOGLE_SQL, statement) {
        return Ok(statement.to_owned());
    }
    let mut find = |at, _: Option<&[_]>| {
        let found = find_at(statement, at)?;
        Some((found.placeholder, found.range.len()))
    };
    let template = Template::parse(GOOGLE_SQL, statement, &mut find)?;
    template.check_placeholders("template.sql.statement")?;
    check_comment(&template, task)?;
    let mut writer = Writer::new(GOOGLE_SQL);
    let mut at = 0;
    for hole in &template.holes {
        writer.text(&statement[at..hole.range.start]);
        let filling = filling(cx, task, hole.meaning, hole.place)?;
        writer.fill(hole.place, &filling)?;
        at = hole.range.end;
        check_size(&writer, &filling)?;
    }
    writer.text(&statement[at..]);
    writer.finish()
}

fn check_size(writer: &Writer, last: &Filling) -> Result<()> {
    if writer.len() <= MAX_BYTES {
        return Ok(());
    }
    let limit = MAX_BYTES >> 20;
    let name = &last.name;
    Err(Error::invalid(format!("{name}: the statement with its values is larger than {limit} MiB")))
}

/// A parameter must not be in a comment that Flyte's joining of lines has extended.
fn check_comment(template: &Template<'_, Placeholder<'_>>, task: &Task<Custom>) -> Result<()> {
    let Some(comment) = template.swallowing_comment() else { return Ok(()) };
    let query = &task.custom.query;
    if comment.contains('?') && query.get("parameterMode").is_some_and(|mode| mode == "POSITIONAL")
    {
        return Err(swallowed("the parameter ?"));
    }
    // BigQuery's parameters have no case.
    let authors = query.get("queryParameters").and_then(Json::as_array).into_iter().flatten();
    let authors = authors.filter_map(|parameter| parameter["name"].as_str());
    let names = task.inputs.iter().map(|(name, _)| name).chain(authors);
    let names = names.map(str::to_lowercase).collect::<BTreeSet<_>>();
    match named(comment, '@').find(|name| names.contains(&name.to_lowercase())) {
        Some(name) => Err(swallowed(&format!("@{name}"))),
        None => Ok(()),
    }
}

fn filling(
    cx: &Context,
    task: &Task<Custom>,
    placeholder: Placeholder<'_>,
    place: Place,
) -> Result<Filling> {
    let filled = cx.fill("template.sql.statement", placeholder, &task.inputs)?;
    if let Placeholder::Input(name) = placeholder {
        return of_input(name, &filled.value, place);
    }
    let text = text(&filled.value);
    let is_name = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if place == Place::Open && !is_name {
        return Err(Error::invalid(format!("{{{{ .{} }}}}: must be within quotes", filled.name)));
    }
    Ok(Filling::new(filled.name, text.clone(), text).name())
}

fn of_input(name: &str, value: &Value, place: Place) -> Result<Filling> {
    let text = text(value);
    let (parameter, path) = (format!("@{name}"), format!("inputs.{name}"));
    Ok(match value {
        Value::StructuredDataset { uri, .. }
            if uri.starts_with("bq://") && place == Place::Open =>
        {
            Filling::new(path, text, table(name, uri)?)
        }
        Value::Null => Filling::new(path, text, parameter).literal("NULL"),
        value => match literal(value, &text) {
            Some(literal) => Filling::new(path, text, literal.clone()).literal(literal),
            None => Filling::new(path, text, parameter),
        },
    })
}

/// A number or boolean as a literal.
fn literal(value: &Value, text: &str) -> Option<String> {
    match value {
        // In parentheses, because a minus before it would start a comment.
        Value::Integer(..0) => Some(format!("({text})")),
        Value::Float(number) if !number.is_finite() => None,
        Value::Float(number) if number.is_sign_negative() => Some(format!("({text})")),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) => Some(text.to_owned()),
        _ => None,
    }
}

fn text(value: &Value) -> String {
    match (value, value.to_json()) {
        (Value::Float(number), _) => format!("{number:?}"),
        (_, Json::String(text)) => text,
        (_, json) => json.to_string(),
    }
}

/// `bq://project:dataset.table` as a name that SQL can select from.
fn table(name: &str, uri: &str) -> Result<String> {
    // The project itself may have a colon: `example.com:acme`.
    let path = uri.trim_start_matches("bq://");
    let path = match path.rsplit_once(':') {
        Some((project, table)) => format!("{project}.{table}"),
        None => path.to_owned(),
    };
    if path.chars().all(|c| c.is_alphanumeric() || PATH_SIGNS.contains(c)) {
        return Ok(format!("`{path}`"));
    }
    Err(Error::invalid(format!("inputs.{name}: {uri:?} is not a BigQuery table")))
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod shape_tests;
