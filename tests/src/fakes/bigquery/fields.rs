//! Partial responses: `fields=jobs(jobReference,statistics/query)`.
//!
//! <https://cloud.google.com/bigquery/docs/api-performance#partial-response>

use serde_json::{Map, Value};

use crate::discovery::Discovery;

/// Checks that `schema` has all `fields`, as Google does.
pub(super) fn check(discovery: &Discovery, schema: &str, fields: &str) -> Result<(), String> {
    let within = |schema| check_within(discovery, schema, fields);
    discovery.schema(schema).map_or_else(|| Err(format!("{schema}: no such schema")), within)
}

fn check_within(discovery: &Discovery, schema: &Value, fields: &str) -> Result<(), String> {
    split(fields).into_iter().try_for_each(|(name, within)| {
        let member = discovery.member(schema, name);
        let member = member.ok_or_else(|| format!("Invalid field selection {name}"))?;
        within.map_or(Ok(()), |within| check_within(discovery, member, within))
    })
}

/// The part of `value` that `fields` selects.
pub(super) fn select(value: &Value, fields: &str) -> Value {
    match value {
        Value::Array(items) => items.iter().map(|item| select(item, fields)).collect(),
        Value::Object(object) => {
            let mut selected = Map::new();
            for (name, within) in split(fields) {
                if let Some(value) = object.get(name) {
                    let value =
                        within.map_or_else(|| value.clone(), |within| select(value, within));
                    selected.insert(name.to_owned(), value);
                }
            }
            selected.into()
        }
        value => value.clone(),
    }
}

/// The fields of a list, with the selection within each.
fn split(fields: &str) -> Vec<(&str, Option<&str>)> {
    let mut depth = 0_u32;
    let is_between = |c: char| {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    };
    fields.split(is_between).map(cut).collect()
}

fn cut(field: &str) -> (&str, Option<&str>) {
    let Some(end) = field.find(['/', '(']) else { return (field, None) };
    let (name, within) = field.split_at(end);
    let group = within.strip_prefix('(').and_then(|within| within.strip_suffix(')'));
    (name, group.or_else(|| within.strip_prefix('/')))
}
