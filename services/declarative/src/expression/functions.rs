//! The functions of the language. They are few on purpose, and none makes more of its arguments than they are.

use std::{collections::BTreeMap, sync::Arc};

use minijinja::{
    Environment, Error, ErrorKind, Value, filters, tests,
    value::{Serde, ValueKind},
};
use plugin_core::serde_json;

use super::json;

/// The filters, as `value | name(…)`: their names, what they do, and how many arguments they take at least and at most.
pub(crate) const FILTERS: [(&str, &str, (usize, usize)); 11] = [
    (
        "default",
        "the value, or the argument if there is none: `custom.size | default('small')`",
        (0, 2),
    ),
    ("first", "the first item of a list, or letter of a string", (0, 0)),
    ("from_json", "the value of a string that is JSON: `body.output | from_json`", (0, 0)),
    ("join", "the items of a list as one string: `custom.tags | join(',')`", (0, 1)),
    ("last", "the last item of a list, or letter of a string", (0, 0)),
    ("length", "how many items, entries or letters there are; 0 if there is no value", (0, 0)),
    ("merge", "a mapping with the entries of another: `custom.tags | merge({'key': key})`", (1, 1)),
    ("replace", "a string with each occurrence replaced: `x | replace(':a:', ':b:')`", (2, 2)),
    ("split", "the parts of a string: `x | split('/')`", (0, 2)),
    ("to_json", "a value as a string of JSON", (0, 0)),
    (
        "where",
        "the items of a list whose entry has a value: `body.tasks | where('id', job.id) | first`",
        (2, 2),
    ),
];

/// The tests, as `value is name`.
pub(crate) const TESTS: [&str; 6] = ["defined", "mapping", "none", "number", "sequence", "string"];

/// The function that makes names of the key: `short_key('flyte-', 40)`.
pub(crate) const SHORT_KEY: &str = "short_key";

/// The least and the most digits of a short key. With fewer, a task may find another's job: see `IdempotencyKey::shortened`.
pub(super) const DIGITS: std::ops::RangeInclusive<usize> = 20..=64;
/// What is wrong with others.
pub(super) const WRONG_DIGITS: &str = "short_key takes 20 to 64 digits";

/// The longest string that a function makes, in bytes.
const LONGEST: usize = 4 << 20;
/// The most items that a function looks at: `list * 1000000` is short, until somebody does.
const MOST: usize = 200_000;

pub(super) fn add_to(environment: &mut Environment<'static>) {
    environment.add_filter("default", default);
    environment.add_filter("first", filters::first);
    environment.add_filter("from_json", from_json);
    environment.add_filter("join", join);
    environment.add_filter("last", filters::last);
    environment.add_filter("length", filters::length);
    environment.add_filter("merge", merge);
    environment.add_filter("replace", replace);
    environment.add_filter("split", filters::split);
    environment.add_filter("to_json", to_json);
    environment.add_filter("where", items_where);
    environment.add_test("defined", tests::is_defined);
    environment.add_test("mapping", tests::is_mapping);
    environment.add_test("none", tests::is_none);
    environment.add_test("number", tests::is_number);
    environment.add_test("sequence", tests::is_sequence);
    environment.add_test("string", tests::is_string);
}

/// [`SHORT_KEY`] for `key`, in hex: the prefix, and as many digits.
pub(crate) fn short_key(key: String) -> Value {
    Value::from_function(move |prefix: String, digits: usize| -> Result<String, Error> {
        if !DIGITS.contains(&digits) {
            return Err(invalid(WRONG_DIGITS));
        }
        Ok(format!("{prefix}{}", &key[..digits.min(key.len())]))
    })
}

/// minijinja's takes `none` for a value, but vendors send null for what there is not.
fn default(value: &Value, other: Option<Value>, also_if_false: Option<bool>) -> Value {
    let is_absent = value.is_undefined() || value.is_none();
    if is_absent || also_if_false == Some(true) && !value.is_true() {
        return other.unwrap_or_else(|| Value::from(""));
    }
    value.clone()
}

fn from_json(text: &str) -> Result<Value, Error> {
    let json = serde_json::from_str::<serde_json::Value>(text);
    json.map(|json| Value::from(Serde(json))).map_err(|_| invalid("the string is not JSON"))
}

fn to_json(value: &Value) -> Result<String, Error> {
    Ok(json::to_json(value).map_err(invalid)?.to_string())
}

fn replace(text: &str, from: &str, to: &str) -> Result<String, Error> {
    if from.is_empty() {
        return Err(invalid("replace needs something to look for"));
    }
    let grown = text.matches(from).count().saturating_mul(to.len());
    bounded(text.len().saturating_add(grown))?;
    Ok(text.replace(from, to))
}

fn merge(first: &Value, other: &Value) -> Result<Value, Error> {
    let mut merged = BTreeMap::new();
    for map in [first, other].into_iter().filter(|map| !map.is_undefined() && !map.is_none()) {
        if map.kind() != ValueKind::Map {
            return Err(invalid("merge takes mappings"));
        }
        for name in map.try_iter()? {
            let value = map.get_item(&name)?;
            merged.insert(name.to_string(), value);
        }
    }
    Ok(Value::from(merged))
}

fn items_where(items: &Value, name: &str, wanted: &Value) -> Result<Value, Error> {
    let mut found = Vec::new();
    if items.is_undefined() || items.is_none() {
        return Ok(Value::from(found));
    }
    for (index, item) in items.try_iter()?.enumerate() {
        countable(index)?;
        if item.get_attr(name).is_ok_and(|value| value == *wanted) {
            found.push(item);
        }
    }
    Ok(Value::from(found))
}

fn join(items: &Value, separator: Option<Arc<str>>) -> Result<String, Error> {
    let separator = separator.unwrap_or_default();
    let mut joined = String::new();
    for (index, item) in items.try_iter()?.enumerate() {
        countable(index)?;
        if index > 0 {
            joined.push_str(&separator);
        }
        if item.as_str().is_none() {
            // What is written out may repeat a value many times.
            json::to_json(&item).map_err(invalid)?;
        }
        joined.push_str(&item.to_string());
        bounded(joined.len())?;
    }
    Ok(joined)
}

fn countable(items: usize) -> Result<(), Error> {
    if items <= MOST { Ok(()) } else { Err(invalid("the list has over 200000 items")) }
}

fn bounded(bytes: usize) -> Result<(), Error> {
    if bytes <= LONGEST { Ok(()) } else { Err(invalid("the string would be larger than 4 MiB")) }
}

fn invalid(message: &'static str) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}
