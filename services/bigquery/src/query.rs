//! The body of `jobs.insert`.

use std::{collections::BTreeMap, mem};

use plugin_core::{
    Context, Error, Result, Task,
    serde_json::{self, Map, Value as Json},
    task::without_nulls,
};
use serde::{Deserialize as _, Deserializer, Serialize};

use crate::{
    Custom, Job,
    labels::{self, Label, Labels},
    parameters::{Parameter, named},
    sql,
};

/// The body of `jobs.insert`. It is written when it is sent, from what the task has.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Insert<'a> {
    job_reference: Reference<'a>,
    configuration: Configuration<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Reference<'a> {
    project_id: &'a str,
    job_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<&'a str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Configuration<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    job_timeout_ms: Option<Json>,
    #[serde(skip_serializing_if = "Labels::is_empty")]
    labels: Labels<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_slots: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reservation: Option<Json>,
    query: Query<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Query<'a> {
    query: String,
    use_legacy_sql: Json,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter_mode: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    query_parameters: Vec<QueryParameter<'a>>,
    /// The author's other keys.
    #[serde(flatten)]
    keys: Map<String, Json>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum QueryParameter<'a> {
    Authors(Json),
    Input(Parameter<'a>),
}

/// A query job that runs `task` under the id of `job`. The author's keys are taken out of `task`.
pub(crate) fn insert<'a>(
    cx: &'a Context,
    task: &'a mut Task<Custom>,
    job: &'a Job,
) -> Result<Insert<'a>> {
    check_names(&task.custom)?;
    let statement = sql::render(cx, task)?;
    let mut keys = without_nulls(mem::take(&mut task.custom.query));
    let task = &*task;
    keys.remove("query");
    // BigQuery's own default is legacy SQL; that of Google's clients and Flyte's SDKs is not.
    let use_legacy_sql = keys.remove("useLegacySql").unwrap_or(Json::Bool(false));
    let (mut parameter_mode, mut query_parameters) = (None, Vec::new());
    if !task.inputs.is_empty() {
        if use_legacy_sql == Json::Bool(true) {
            return Err(Error::invalid("custom.useLegacySql: legacy SQL does not support inputs"));
        }
        query_parameters = parameters(&mut keys, task)?;
        parameter_mode = Some("NAMED");
    }
    let mut job_level = |key: &str| {
        let in_config = || task.config.get(key).map(|text| from_config(text));
        keys.remove(key).or_else(in_config)
    };
    let limit = || task.timeout.map(|timeout| timeout.as_millis().to_string().into());
    let job_timeout_ms = job_level("jobTimeoutMs").or_else(limit);
    let labels = with_labels(labels::of(cx.execution(), &task.labels), job_level("labels"))?;
    let (max_slots, reservation) = (job_level("maxSlots"), job_level("reservation"));
    let location = job.location.as_deref();
    let query = Query { query: statement, use_legacy_sql, parameter_mode, query_parameters, keys };
    Ok(Insert {
        job_reference: Reference { project_id: &job.project, job_id: &job.id, location },
        configuration: Configuration { job_timeout_ms, labels, max_slots, reservation, query },
    })
}

/// `labels` with the author's.
fn with_labels<'a>(mut labels: Labels<'a>, authors: Option<Json>) -> Result<Labels<'a>> {
    match authors {
        None => {}
        Some(Json::Object(authors)) => {
            let authors = authors.into_iter();
            labels.extend(authors.map(|(key, value)| (key.into(), Label::Authors(value))));
        }
        Some(_) => return Err(Error::invalid("custom.labels: must be an object of strings")),
    }
    Ok(labels)
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
/// `keys`. Inputs have the types that the author declared for their names.
fn parameters<'a>(
    keys: &mut Map<String, Json>,
    task: &'a Task<Custom>,
) -> Result<Vec<QueryParameter<'a>>> {
    let mode = keys.remove("parameterMode");
    if mode.is_some_and(|mode| mode != "NAMED") {
        return Err(Error::invalid(
            "custom.parameterMode: must be NAMED, because the task's inputs have names",
        ));
    }
    let all = match keys.remove("queryParameters") {
        None => Vec::new(),
        Some(Json::Array(all)) => all,
        Some(_) => return Err(Error::invalid("custom.queryParameters: must be a list")),
    };
    let mut declared = BTreeMap::new();
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
