//! The body of `jobs.insert`.

use std::collections::HashMap;

use plugin_core::{
    Context, Error, Result, Task,
    serde_json::{self, Map, Value as Json, json},
    task::without_nulls,
};
use serde::{Deserialize as _, Deserializer, Serialize};

use crate::{
    Custom, Job, labels,
    parameters::{Parameter, named},
    sql,
};

/// The body of `jobs.insert`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Insert<'a> {
    job_reference: Json,
    configuration: Configuration<'a>,
}

#[derive(Debug, Serialize)]
struct Configuration<'a> {
    #[serde(flatten)]
    job_level: Map<String, Json>,
    query: Query<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Query<'a> {
    #[serde(flatten)]
    keys: Map<String, Json>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    query_parameters: Vec<QueryParameter<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum QueryParameter<'a> {
    Authors(Json),
    Input(Parameter<'a>),
}

/// A query job that runs `task` under the id of `job`.
pub(crate) fn insert<'a>(cx: &Context, task: &'a Task<Custom>, job: &Job) -> Result<Insert<'a>> {
    check_names(&task.custom)?;
    let mut query = without_nulls(task.custom.query.clone());
    query.insert("query".to_owned(), sql::render(cx, task)?.into());
    // BigQuery's own default is legacy SQL; that of Google's clients and Flyte's SDKs is not.
    let legacy = query.entry("useLegacySql").or_insert(Json::Bool(false)) == &Json::Bool(true);
    let mut query_parameters = Vec::new();
    if !task.inputs.is_empty() {
        if legacy {
            return Err(Error::invalid("custom.useLegacySql: legacy SQL does not support inputs"));
        }
        query_parameters = parameters(&mut query, task)?;
    }
    let job_level = job_level(cx, task, &mut query)?;
    let mut reference = json!({ "projectId": job.project, "jobId": job.id });
    if let Some(location) = &job.location {
        reference["location"] = location.as_str().into();
    }
    let query = Query { keys: query, query_parameters };
    Ok(Insert { job_reference: reference, configuration: Configuration { job_level, query } })
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

/// The task's inputs as named parameters, after the author's with other names, which are taken out of
/// `query`. Inputs have the types that the author declared for their names.
fn parameters<'a>(
    query: &mut Map<String, Json>,
    task: &'a Task<Custom>,
) -> Result<Vec<QueryParameter<'a>>> {
    let mode = query.insert("parameterMode".to_owned(), "NAMED".into());
    if mode.is_some_and(|mode| mode != "NAMED") {
        return Err(Error::invalid(
            "custom.parameterMode: must be NAMED, because the task's inputs have names",
        ));
    }
    let all = match query.remove("queryParameters") {
        None => Vec::new(),
        Some(Json::Array(all)) => all,
        Some(_) => return Err(Error::invalid("custom.queryParameters: must be a list")),
    };
    let mut declared = HashMap::new();
    let mut parameters = Vec::new();
    for mut parameter in all {
        match parameter["name"].as_str().filter(|name| task.inputs.contains(name)) {
            None => parameters.push(QueryParameter::Authors(parameter)),
            Some(name) => {
                let name = name.to_owned();
                let ty = parameter.get_mut("parameterType").map(Json::take);
                ty.and_then(|ty| declared.insert(name, ty));
            }
        }
    }
    for (name, input) in task.inputs.iter() {
        let parameter = named(name, input, declared.remove(name))?;
        parameters.push(QueryParameter::Input(parameter));
    }
    Ok(parameters)
}
