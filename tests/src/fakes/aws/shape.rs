//! Checks values against the shapes of a model.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use regex::Regex;
use serde_json::Value;

use super::model::{Model, Shape};

/// How a value does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Misfit {
    /// It has another type, or a member that does not exist.
    Type,
    /// It breaks a constraint.
    Constraint,
}

/// A value that does not fit, as AWS words it.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) kind: Misfit,
    pub(super) message: String,
}

/// What in `value` does not fit the shape called `name`.
pub(super) fn check(model: &Model, name: &str, value: &Value) -> Vec<Problem> {
    let mut walk = Walk { model, problems: Vec::new() };
    walk.value(name, value, "");
    walk.problems
}

struct Walk<'a> {
    model: &'a Model,
    problems: Vec<Problem>,
}

impl Walk<'_> {
    fn value(&mut self, name: &str, value: &Value, path: &str) {
        let Some(shape) = self.model.shapes.get(name) else {
            return self.wrong_type(path, &format!("the model has no shape {name}"));
        };
        match (shape.kind.as_str(), value) {
            ("structure", Value::Object(_)) => self.structure(shape, value, path),
            ("list", Value::Array(items)) => {
                self.bounds(shape, items.len(), value, path);
                for (item, number) in items.iter().zip(1_usize..) {
                    let inner = format!("{path}.{number}.member");
                    if let Some(member) = &shape.member {
                        self.value(&member.shape, item, &inner);
                    }
                }
            }
            ("map", Value::Object(entries)) => {
                self.bounds(shape, entries.len(), value, path);
                for (key, value) in entries {
                    let inner = format!("{path}.{key}.member");
                    if let (Some(of_key), Some(of_value)) = (&shape.key, &shape.value) {
                        self.value(&of_key.shape, &key.as_str().into(), &inner);
                        self.value(&of_value.shape, value, &inner);
                    }
                }
            }
            ("string", Value::String(text)) => self.text(shape, text, path),
            ("integer" | "long", Value::Number(number)) if !number.is_f64() => {
                self.number(shape, value, path);
            }
            ("float" | "double" | "timestamp", Value::Number(_)) => self.number(shape, value, path),
            ("boolean", Value::Bool(_)) => {}
            ("blob", Value::String(text)) if BASE64_STANDARD.decode(text).is_ok() => {}
            (kind, value) => self.wrong_type(path, &format!("{value} is no {kind}")),
        }
    }

    fn structure(&mut self, shape: &Shape, value: &Value, path: &str) {
        let inner = |name: &str| match path {
            "" => lower(name),
            path => format!("{path}.{}", lower(name)),
        };
        for name in &shape.required {
            if value[name].is_null() {
                self.constraint("null", &inner(name), "Member must not be null");
            }
        }
        let members = value.as_object().into_iter().flatten();
        let present = members.clone().filter(|(_, value)| !value.is_null()).count();
        if shape.union && present != 1 {
            self.wrong_type(path, "a union must have one member");
        }
        for (name, value) in members {
            match shape.members.get(name) {
                Some(member) => self.value(&member.shape, value, &inner(name)),
                None => self.wrong_type(&inner(name), "no such member"),
            }
        }
    }

    fn text(&mut self, shape: &Shape, text: &str, path: &str) {
        self.bounds(shape, text.chars().count(), &text.into(), path);
        if !shape.values.is_empty() && !shape.values.iter().any(|known| known == text) {
            let set = shape.values.join(", ");
            self.constraint(text, path, &format!("Member must satisfy enum value set: [{set}]"));
        }
        if let Some(pattern) = &shape.pattern
            && !matches(pattern, text)
        {
            let rule = format!("Member must satisfy regular expression pattern: {pattern}");
            self.constraint(text, path, &rule);
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "lengths are small")]
    fn bounds(&mut self, shape: &Shape, length: usize, value: &Value, path: &str) {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if let Some(min) = shape.min.filter(|min| (length as f64) < *min) {
            let rule = format!("Member must have length greater than or equal to {min}");
            self.constraint(&value, path, &rule);
        }
        if let Some(max) = shape.max.filter(|max| (length as f64) > *max) {
            let rule = format!("Member must have length less than or equal to {max}");
            self.constraint(&value, path, &rule);
        }
    }

    fn number(&mut self, shape: &Shape, value: &Value, path: &str) {
        let number = value.as_f64().unwrap_or_default();
        if let Some(min) = shape.min.filter(|min| number < *min) {
            let rule = format!("Member must have value greater than or equal to {min}");
            self.constraint(&value.to_string(), path, &rule);
        }
        if let Some(max) = shape.max.filter(|max| number > *max) {
            let rule = format!("Member must have value less than or equal to {max}");
            self.constraint(&value.to_string(), path, &rule);
        }
    }

    fn wrong_type(&mut self, path: &str, why: &str) {
        let message = format!("'{path}': {why}");
        self.problems.push(Problem { kind: Misfit::Type, message });
    }

    fn constraint(&mut self, value: &str, path: &str, rule: &str) {
        let quoted = if value == "null" { value.to_owned() } else { format!("'{value}'") };
        let message = format!("Value {quoted} at '{path}' failed to satisfy constraint: {rule}");
        self.problems.push(Problem { kind: Misfit::Constraint, message });
    }
}

/// `Sql` as AWS's messages have it: `sql`.
fn lower(name: &str) -> String {
    let mut chars = name.chars();
    let first = chars.next().map(|first| first.to_ascii_lowercase());
    first.into_iter().chain(chars).collect()
}

/// Whether the whole of `text` matches `pattern`, which may begin with what must not be there.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.strip_prefix("^(?!").and_then(|pattern| pattern.split_once(')')) {
        Some((refused, pattern)) => {
            !matches_all(&format!("(?:{refused}).*"), text) && matches_all(pattern, text)
        }
        None => matches_all(pattern, text),
    }
}

/// Whether the whole of `text` matches `pattern`. Each pattern is compiled once: in debug builds that takes long.
fn matches_all(pattern: &str, text: &str) -> bool {
    static COMPILED: Mutex<BTreeMap<String, Option<Regex>>> = Mutex::new(BTreeMap::new());
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    let regex = compiled.entry(pattern.to_owned()).or_insert_with(|| compile(pattern)).clone();
    drop(compiled);
    regex.is_some_and(|regex| regex.is_match(text))
}

/// `pattern`, which is Java's: it has UTF-16's surrogates where Rust has characters.
fn compile(pattern: &str) -> Option<Regex> {
    let pattern = pattern.replace(r"\uD800\uDC00-\uDBFF\uDFFF", r"\x{10000}-\x{10FFFF}");
    let pattern = pattern.replace(r"\uD800\uDBFF-\uDC00\uDFFF", r"\x{10000}-\x{10FFFF}");
    let pattern = pattern.replace(r"\p{Print}", r"\x20-\x7e");
    let mut rust = String::new();
    let mut parts = pattern.split(r"\u");
    rust.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (digits, rest) = part.split_at_checked(4).unwrap_or((part, ""));
        rust.push_str(&format!(r"\x{{{digits}}}{rest}"));
    }
    Regex::new(&format!(r"\A(?:{rust})\z")).ok()
}
