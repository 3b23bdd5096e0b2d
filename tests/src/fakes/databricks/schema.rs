//! The schema of a submit: the fields and types of databricks-sdk, and the rules in its docstrings.

use std::{collections::BTreeSet, sync::OnceLock};

use serde_json::{Map, Value};

/// The first environment version that supports the request's `environment_variables`.
const SUPPORTS_VARIABLES: u32 = 5;

fn types() -> &'static Value {
    static TYPES: OnceLock<Value> = OnceLock::new();
    TYPES.get_or_init(|| {
        let file = serde_json::from_str::<Value>(include_str!("fields.json"));
        file.map(|mut file| file["types"].take()).unwrap_or_default()
    })
}

/// Checks the body of a submit.
///
/// # Errors
/// The first problem, with its path.
pub(super) fn check(body: &Value) -> Result<(), String> {
    if has_null(body) {
        return Err("Expected 'key' and 'value' to be set for JSON map fields".to_owned());
    }
    check_type("", &Value::from("SubmitRun"), body)?;
    let token = body["idempotency_token"].as_str().unwrap_or_default();
    if token.len() > 64 {
        return Err("idempotency_token: longer than 64 characters".to_owned());
    }
    let tasks = body["tasks"].as_array().filter(|tasks| !tasks.is_empty());
    let tasks = tasks.ok_or("tasks: at least one is required")?;
    let mut keys = BTreeSet::new();
    for task in tasks {
        check_task(body, task)?;
        if !keys.insert(task["task_key"].to_string()) {
            return Err(format!("tasks: {} is listed twice", task["task_key"]));
        }
    }
    Ok(())
}

/// Whether a value at any depth is null.
fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(has_null),
        Value::Object(object) => object.values().any(has_null),
        _ => false,
    }
}

fn check_type(path: &str, ty: &Value, value: &Value) -> Result<(), String> {
    if let Some(item) = ty.as_array().and_then(|item| item.first()) {
        let items = value.as_array().ok_or_else(|| format!("{path}: must be a list"))?;
        return items
            .iter()
            .enumerate()
            .try_for_each(|(at, value)| check_type(&format!("{path}[{at}]"), item, value));
    }
    let ty = ty.as_str().unwrap_or_default();
    let fits = match ty {
        "text" => value.is_string(),
        // Not 3.0, which is a number in JSON but not an integer for Databricks.
        "integer" => value.is_i64(),
        "boolean" => value.is_boolean(),
        "object" => value.is_object(),
        "map" => value.as_object().is_some_and(|map| map.values().all(Value::is_string)),
        _ => return check_object(path, ty, value),
    };
    if fits { Ok(()) } else { Err(format!("{path}: {value} is not of the type {ty}")) }
}

fn check_object(path: &str, ty: &str, value: &Value) -> Result<(), String> {
    let object = value.as_object().ok_or_else(|| format!("{path}: must be an object"))?;
    for (field, value) in object {
        let path = format!("{path}.{field}");
        match types()[ty].get(field) {
            Some(ty) => check_type(&path, ty, value)?,
            None if is_connectors(ty, field, object) => check_type(&path, &"map".into(), value)?,
            None => return Err(format!("{path}: {ty} of databricks-sdk has no such field")),
        }
    }
    Ok(())
}

/// Flyte's own connector puts variables here. This is undocumented, but below version 5 there is no other
/// place.
fn is_connectors(ty: &str, field: &str, environment: &Map<String, Value>) -> bool {
    (ty, field) == ("Environment", "environment_vars")
        && version(environment).is_some_and(|version| version < SUPPORTS_VARIABLES)
}

fn version(environment: &Map<String, Value>) -> Option<u32> {
    let version = environment.get("environment_version").or(environment.get("client"))?;
    version.as_str()?.parse().ok()
}

fn check_task(body: &Value, task: &Value) -> Result<(), String> {
    let key = key(task)?;
    if let Some(each) = task.get("for_each_task") {
        self::key(&each["task"]).map_err(|error| format!("for_each_task.task.{error}"))?;
    }
    let fields = task.as_object().into_iter().flatten();
    let actions = fields.filter(|(field, _)| field.ends_with("_task")).count();
    if actions != 1 {
        return Err(format!("tasks: {key} has {actions} actions"));
    }
    let environment = entry(body, task, "environments", "environment_key")?;
    let variables = entry(body, task, "environment_variables", "environment_variables_key")?;
    if let (Some(environment), Some(_)) = (environment, variables) {
        let spec = environment["spec"].as_object().and_then(version);
        if spec.is_some_and(|version| version < SUPPORTS_VARIABLES) {
            return Err(format!(
                "environment_variables_key: {key}'s environment is older than version 5"
            ));
        }
    }
    Ok(())
}

fn key(task: &Value) -> Result<&str, String> {
    let key = task["task_key"].as_str().unwrap_or_default();
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    if key.is_empty() || key.len() > 100 || !key.chars().all(allowed) {
        return Err(format!("task_key: {key:?} is not a key"));
    }
    Ok(key)
}

/// The entry of the request that a task refers to.
fn entry<'a>(
    body: &'a Value,
    task: &Value,
    list: &str,
    field: &str,
) -> Result<Option<&'a Value>, String> {
    let Some(key) = task.get(field) else { return Ok(None) };
    let mut all = body[list].as_array().into_iter().flatten();
    let is_cluster = task.get("existing_cluster_id").or(task.get("new_cluster")).is_some();
    match all.find(|entry| entry[field] == *key) {
        None if !is_cluster => Err(format!("{field}: {key} is not among {list}")),
        found => Ok(found),
    }
}
