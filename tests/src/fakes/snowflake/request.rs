//! Checks submits against the documentation of the SQL API.

use std::collections::BTreeMap;

use http::{HeaderMap, header};
use serde_json::Value;

/// The types of bind variables.
const BINDING_TYPES: [&str; 10] = [
    "FIXED",
    "REAL",
    "TEXT",
    "BINARY",
    "BOOLEAN",
    "DATE",
    "TIME",
    "TIMESTAMP_TZ",
    "TIMESTAMP_LTZ",
    "TIMESTAMP_NTZ",
];

type Checked = Result<(), String>;

/// Checks the headers that every request must have.
pub(super) fn check_headers(headers: &HeaderMap, has_body: bool) -> Checked {
    let text = |name: header::HeaderName| {
        headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    };
    if text(header::USER_AGENT).is_empty() {
        return Err("User-Agent is missing".to_owned());
    }
    if !["application/json", "*/*"].contains(&text(header::ACCEPT)) {
        return Err(format!("Accept is {:?}", text(header::ACCEPT)));
    }
    if has_body && text(header::CONTENT_TYPE) != "application/json" {
        return Err(format!("Content-Type is {:?}", text(header::CONTENT_TYPE)));
    }
    Ok(())
}

/// Checks the query of a submit.
pub(super) fn check_query(query: &BTreeMap<String, String>) -> Checked {
    for (name, value) in query {
        let fits = match name.as_str() {
            "requestId" => is_uuid(value),
            "async" | "nullable" | "retry" => matches!(value.as_str(), "true" | "false"),
            _ => false,
        };
        if !fits {
            return Err(format!("query {name}={value}"));
        }
    }
    Ok(())
}

fn is_uuid(text: &str) -> bool {
    let lengths = text.split('-').map(str::len).collect::<Vec<_>>();
    lengths == [8, 4, 4, 4, 12] && text.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
}

/// Checks the body of a submit.
pub(super) fn check_body(body: &Value) -> Checked {
    let fields = body.as_object().ok_or("the body is not an object")?;
    for (name, value) in fields {
        let fits = match name.as_str() {
            "statement" => value.as_str().is_some_and(|text| !text.trim().is_empty()),
            "database" | "schema" | "warehouse" | "role" => value.is_string(),
            "timeout" => value.as_u64().is_some_and(|seconds| seconds <= 604_800),
            "bindings" | "parameters" => value.is_object(),
            _ => false,
        };
        if !fits {
            return Err(format!("{name}: {value}"));
        }
    }
    let statement = body["statement"].as_str().ok_or("statement is missing")?;
    check_parameters(&body["parameters"])?;
    check_bindings(statement, &body["bindings"])?;
    if count(&body["parameters"]) != Some(1) && body["bindings"].is_object() {
        return Err("bindings are not allowed with several statements".to_owned());
    }
    Ok(())
}

fn check_parameters(parameters: &Value) -> Checked {
    for (name, value) in parameters.as_object().into_iter().flatten() {
        if !value.is_string() && !value.is_number() && !value.is_boolean() {
            return Err(format!("parameters.{name}: {value}"));
        }
    }
    Ok(())
}

/// Checks that bindings are numbered from 1 and match the number of `?` in the statement.
fn check_bindings(statement: &str, bindings: &Value) -> Checked {
    let Some(bindings) = bindings.as_object() else { return Ok(()) };
    let marks = without_literals(statement).matches('?').count();
    if marks != bindings.len() {
        return Err(format!("{} bindings for {marks} placeholders '?'", bindings.len()));
    }
    for number in 1..=bindings.len() {
        let binding = bindings.get(&number.to_string()).ok_or(format!("no binding {number}"))?;
        let kind = binding["type"].as_str().unwrap_or_default();
        let fields = binding.as_object().map_or(0, serde_json::Map::len);
        if !BINDING_TYPES.contains(&kind) || fields != 2 || !fits(kind, &binding["value"]) {
            return Err(format!("binding {number}: {binding}"));
        }
    }
    Ok(())
}

fn fits(kind: &str, value: &Value) -> bool {
    let Some(text) = value.as_str() else { return value.is_null() };
    match kind {
        "FIXED" => text.parse::<i128>().is_ok(),
        "REAL" => text.parse::<f64>().is_ok(),
        "BOOLEAN" => matches!(text, "true" | "false"),
        "BINARY" => text.len() % 2 == 0 && text.chars().all(|c| c.is_ascii_hexdigit()),
        "TEXT" => true,
        _ => text.split(' ').all(|part| part.parse::<i128>().is_ok()),
    }
}

/// The number of statements that a request declares; `None` for any number.
fn count(parameters: &Value) -> Option<u64> {
    let lower = |(name, value): (&String, &Value)| (name.to_lowercase(), value.clone());
    let mut all = parameters.as_object().into_iter().flatten().map(lower);
    let declared = all.find(|(name, _)| name == "multi_statement_count").map(|(_, value)| value);
    let number = |value: Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
    Some(declared.map_or(Some(1), number).unwrap_or(1)).filter(|count| *count > 0)
}

/// Checks that the number of statements is the declared one.
pub(super) fn check_count(body: &Value) -> Checked {
    let text = without_literals(body["statement"].as_str().unwrap_or_default());
    let actual = text.split(';').filter(|part| !part.trim().is_empty()).count() as u64;
    match count(&body["parameters"]) {
        Some(desired) if desired != actual => Err(format!(
            "Actual statement count {actual} did not match the desired statement count {desired}."
        )),
        _ => Ok(()),
    }
}

/// `statement` without quoted text and comments.
fn without_literals(statement: &str) -> String {
    let mut open = String::new();
    let mut rest = statement;
    let ends = [("'", "'"), ("\"", "\""), ("$$", "$$"), ("--", "\n"), ("//", "\n"), ("/*", "*/")];
    while let Some(next) = rest.chars().next() {
        let Some((start, end)) = ends.iter().find(|(start, _)| rest.starts_with(start)) else {
            open.push(next);
            rest = &rest[next.len_utf8()..];
            continue;
        };
        let mut inner = &rest[start.len()..];
        while !inner.is_empty() && !inner.starts_with(end) {
            let skipped = usize::from(*start == "'" && inner.starts_with('\\')) + 1;
            inner = inner.char_indices().nth(skipped).map_or("", |(at, _)| &inner[at..]);
        }
        rest = inner.get(end.len()..).unwrap_or_default();
    }
    open
}
