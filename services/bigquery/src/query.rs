//! The body of `jobs.insert`.

use plugin_core::{
    Context, Error, Result, Task,
    serde_json::{self, Map, Value as Json, json},
    task::without_nulls,
};
use serde::{Deserialize as _, Deserializer};

use crate::{Custom, Job, labels, parameters, sql};

/// A query job that runs `task` under the id of `job`.
pub(crate) fn insert(cx: &Context, task: &Task<Custom>, job: &Job) -> Result<Json> {
    check_names(&task.custom)?;
    let mut query = without_nulls(task.custom.query.clone());
    query.insert("query".to_owned(), sql::render(cx, task)?.into());
    // BigQuery's own default is legacy SQL; that of Google's clients and Flyte's SDKs is not.
    let legacy = query.entry("useLegacySql").or_insert(Json::Bool(false)) == &Json::Bool(true);
    if !task.inputs.is_empty() {
        if legacy {
            return Err(Error::invalid("custom.useLegacySql: legacy SQL does not support inputs"));
        }
        add_inputs(&mut query, task)?;
    }
    let mut configuration = job_level(cx, task, &mut query)?;
    configuration.insert("query".to_owned(), query.into());
    let mut reference = json!({ "projectId": job.project, "jobId": job.id });
    if let Some(location) = &job.location {
        reference["location"] = location.as_str().into();
    }
    Ok(json!({ "jobReference": reference, "configuration": configuration }))
}

/// The keys of `JobConfiguration` beside `query`: from `custom`, else from the template's `config`, where
/// the SDKs let an author put them.
fn job_level(
    cx: &Context,
    task: &Task<Custom>,
    query: &mut Map<String, Json>,
) -> Result<Map<String, Json>> {
    let mut job = Map::new();
    for key in ["jobTimeoutMs", "labels", "maxSlots", "reservation"] {
        let in_config = || task.config.get(key).map(|text| from_config(text));
        if let Some(value) = query.remove(key).or_else(in_config) {
            job.insert(key.to_owned(), value);
        }
    }
    if let Some(timeout) = task.timeout {
        let millis = timeout.as_millis().to_string();
        job.entry("jobTimeoutMs").or_insert_with(|| millis.into());
    }
    let mut labels = labels::of(cx.execution(), &task.labels);
    match job.remove("labels") {
        None => {}
        Some(Json::Object(theirs)) => labels.extend(theirs),
        Some(_) => return Err(Error::invalid("custom.labels: must be an object of strings")),
    }
    if !labels.is_empty() {
        job.insert("labels".to_owned(), labels.into());
    }
    Ok(job)
}

/// A value of the template's `config`, which holds strings: an object as JSON, else the string itself.
fn from_config(text: &str) -> Json {
    match serde_json::from_str(text) {
        Ok(Json::Object(object)) => Json::Object(object),
        _ => Json::from(text),
    }
}

/// A string that counts as absent when it is empty.
pub(crate) fn non_empty<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.filter(|text| !text.is_empty()))
}

/// Bounds what becomes part of paths, links and the handle.
fn check_names(custom: &Custom) -> Result<()> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
    for (field, name) in
        [("ProjectID", Some(&custom.project)), ("Location", custom.location.as_ref())]
    {
        if let Some(name) = name
            && (name.is_empty() || name.len() > 100 || !name.chars().all(allowed))
        {
            return Err(Error::invalid(format!(
                "custom.{field}: {name:?} must be 1 to 100 letters, digits or -_.:"
            )));
        }
    }
    Ok(())
}

/// Adds the task's inputs as named parameters, in place of the author's of the same name.
fn add_inputs(query: &mut Map<String, Json>, task: &Task<Custom>) -> Result<()> {
    let mode = query.insert("parameterMode".to_owned(), "NAMED".into());
    if mode.is_some_and(|mode| mode != "NAMED") {
        return Err(Error::invalid(
            "custom.parameterMode: must be NAMED, because the task's inputs have names",
        ));
    }
    let mut all = match query.remove("queryParameters") {
        None => Vec::new(),
        Some(Json::Array(all)) => all,
        Some(_) => return Err(Error::invalid("custom.queryParameters: must be a list")),
    };
    for (name, input) in task.inputs.iter() {
        all.retain(|parameter| parameter["name"] != name);
        all.push(parameters::named(name, input)?);
    }
    query.insert("queryParameters".to_owned(), all.into());
    Ok(())
}
