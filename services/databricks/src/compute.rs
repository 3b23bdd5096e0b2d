//! The compute of a run: a new cluster, an existing one, or serverless.

use plugin_core::{
    Error, Result, Task,
    serde_json::{Value as Json, json},
    task::FAIL_ON_ERROR,
};

use crate::{
    code::{CodeArgs, Place},
    custom::{Custom, Object},
    nulls::without_nulls,
};

/// The key of our entry in `environment_variables`, for tasks that have none.
const VARIABLES_KEY: &str = "flyte";
/// The environment key of tasks that set none.
const ENVIRONMENT_KEY: &str = "default";
/// The first environment version that supports the request's `environment_variables`.
const TAKES_VARIABLES: u32 = 5;

/// Whether `task` runs on serverless compute.
///
/// # Errors
/// `InvalidArgument` when no compute is specified.
pub(crate) fn is_serverless(request: &Object, task: &Object) -> Result<bool> {
    let has = |field: &str| task.get(field).is_some_and(|value| !value.is_null());
    if has("existing_cluster_id") || has("new_cluster") {
        return Ok(false);
    }
    let environments = request.get("environments").and_then(Json::as_array);
    if has("environment_key") || has("compute") || environments.is_some_and(|all| !all.is_empty()) {
        return Ok(true);
    }
    Err(Error::invalid(
        "custom.databricksConf: specifies no compute; set existing_cluster_id, new_cluster, \
         environment_key or environments",
    ))
}

/// The task's environment variables.
fn variables(task: &Task<Custom>) -> Object {
    let (name, value) = FAIL_ON_ERROR;
    let env = task.container.iter().flat_map(|container| &container.env);
    let mut all = env.map(|(key, value)| (key.clone(), value.as_str().into())).collect::<Object>();
    all.insert(name.to_owned(), value.into());
    all
}

/// Adds the task's image, Spark settings and variables to a new cluster. An existing cluster stays as it
/// is.
pub(crate) fn prepare_cluster(flyte_task: &mut Object, task: &Task<Custom>) -> Result<()> {
    if flyte_task.contains_key("existing_cluster_id") {
        return Ok(());
    }
    let Some(cluster) = flyte_task.get_mut("new_cluster") else { return Ok(()) };
    let cluster = object("new_cluster", cluster)?;
    let image = task.container.as_ref().map(|container| container.image.as_str());
    if let Some(image) = image.filter(|image| !image.is_empty()) {
        set_if_empty(cluster, "docker_image", json!({ "url": image }));
    }
    let spark = spark_conf(&task.custom)?;
    if !spark.is_empty() {
        set_if_empty(cluster, "spark_conf", spark.into());
    }
    let env = cluster.entry("spark_env_vars").or_insert_with(|| json!({}));
    object("new_cluster.spark_env_vars", env)?.extend(variables(task));
    Ok(())
}

/// Spark's settings, with Hadoop's under the prefix that Spark reads them from.
fn spark_conf(custom: &Custom) -> Result<Object> {
    let spark = custom.spark_conf.clone().unwrap_or_default();
    let hadoop = custom.hadoop_conf.clone().unwrap_or_default();
    let mut spark = without_nulls("custom.sparkConf", spark)?;
    for (key, value) in without_nulls("custom.hadoopConf", hadoop)? {
        spark.entry(format!("spark.hadoop.{key}")).or_insert(value);
    }
    Ok(spark)
}

/// Adds its environment and variables to a serverless task.
pub(crate) fn prepare_serverless(
    request: &mut Object,
    flyte_task: &mut Object,
    task: &Task<Custom>,
    args: &CodeArgs,
) -> Result<()> {
    let environment = environment(request, flyte_task, &args.environment_version)?;
    let in_environment = match args.serverless_variables {
        Place::Auto => version(environment).is_some_and(|version| version < TAKES_VARIABLES),
        Place::Request => false,
        Place::Environment => true,
    };
    if in_environment {
        let spec = environment.entry("spec").or_insert_with(|| json!({}));
        let spec = object("environments[].spec", spec)?;
        let vars = spec.entry("environment_vars").or_insert_with(|| json!({}));
        object("environments[].spec.environment_vars", vars)?.extend(variables(task));
        return Ok(());
    }
    let entry = variables_entry(request, flyte_task)?;
    let spec = entry.entry("spec").or_insert_with(|| json!({}));
    let spec = object("environment_variables[].spec", spec)?;
    let vars = spec.entry("variables").or_insert_with(|| json!({}));
    object("environment_variables[].spec.variables", vars)?.extend(variables(task));
    Ok(())
}

/// The environment that Flyte's task names, or the first one, or a new one.
fn environment<'a>(
    request: &'a mut Object,
    flyte_task: &mut Object,
    new_version: &str,
) -> Result<&'a mut Object> {
    let all = list(request, "environments")?;
    let first = all.first().and_then(|first| first["environment_key"].as_str());
    let default = first.unwrap_or(ENVIRONMENT_KEY).to_owned();
    let key = flyte_task.entry("environment_key").or_insert(default.into()).clone();
    let new = json!({ "environment_key": key, "spec": { "environment_version": new_version } });
    entry(all, "environments", "environment_key", &key, new)
}

/// The entry of the request's `environment_variables` that Flyte's task names, or a new one.
fn variables_entry<'a>(request: &'a mut Object, flyte_task: &mut Object) -> Result<&'a mut Object> {
    const FIELD: &str = "environment_variables_key";
    let key = flyte_task.entry(FIELD).or_insert(VARIABLES_KEY.into()).clone();
    let all = list(request, "environment_variables")?;
    entry(all, "environment_variables", FIELD, &key, json!({ FIELD: key }))
}

/// The version of an environment, if it is set; `client` is its older name.
fn version(environment: &Object) -> Option<u32> {
    let spec = environment.get("spec")?;
    let version = [&spec["environment_version"], &spec["client"]];
    let version = version.into_iter().find(|version| !version.is_null())?;
    version.as_str().map_or_else(|| version.to_string(), str::to_owned).parse().ok()
}

fn list<'a>(request: &'a mut Object, field: &str) -> Result<&'a mut Vec<Json>> {
    let list = request.entry(field).or_insert_with(|| json!([]));
    list.as_array_mut().ok_or_else(|| wrong(field, "a list"))
}

/// The entry of `all` whose `field` is `key`, or `new` at its end.
fn entry<'a>(
    all: &'a mut Vec<Json>,
    name: &str,
    field: &str,
    key: &Json,
    new: Json,
) -> Result<&'a mut Object> {
    let at = all.iter().position(|entry| entry[field] == *key).unwrap_or(all.len());
    if at == all.len() {
        all.push(new);
    }
    object(&format!("{name}[{at}]"), &mut all[at])
}

fn set_if_empty(object: &mut Object, field: &str, value: Json) {
    let is_set = match object.get(field) {
        Some(Json::Object(existing)) => !existing.is_empty(),
        Some(existing) => !existing.is_null(),
        None => false,
    };
    if !is_set {
        object.insert(field.to_owned(), value);
    }
}

fn object<'a>(field: &str, value: &'a mut Json) -> Result<&'a mut Object> {
    if value.is_null() {
        *value = json!({});
    }
    value.as_object_mut().ok_or_else(|| wrong(field, "an object"))
}

fn wrong(field: &str, expected: &str) -> Error {
    Error::invalid(format!("custom.databricksConf.{field}: must be {expected}"))
}
