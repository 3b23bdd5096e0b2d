//! The body of `runs/submit`, always in the form with `tasks`.
//!
//! Field names: databricks-sdk 0.162.0, `jobs.py`, `JobsAPI.submit` and `SubmitTask`.

use plugin_core::{
    Context, Error, Result, Task, Type,
    serde_json::{self, Value as Json},
};

use crate::{
    code::{Action, CodeArgs, has_action},
    compute,
    custom::{Custom, Object},
    keys::Keys,
    nulls::without_nulls,
};

/// The output that Flyte's SDKs declare for a task with one result.
pub(crate) const ONLY_OUTPUT: &str = "o0";

/// The fields that belong to a task and never to the request. In the form with a single task's keys at
/// the top level, they are beside the request's own.
const TASK_FIELDS: [&str; 36] = [
    "ai_function_task",
    "ai_runtime_task",
    "alert_task",
    "clean_rooms_notebook_task",
    "compute",
    "condition_task",
    "dashboard_task",
    "dbt_cloud_task",
    "dbt_platform_task",
    "dbt_task",
    "depends_on",
    "description",
    "disable_auto_optimization",
    "disabled",
    "environment_key",
    "environment_variables_key",
    "existing_cluster_id",
    "for_each_task",
    "gen_ai_compute_task",
    "libraries",
    "max_retries",
    "min_retry_interval_millis",
    "new_cluster",
    "notebook_task",
    "pipeline_task",
    "power_bi_task",
    "python_operator_task",
    "python_wheel_task",
    "retry_on_timeout",
    "run_if",
    "run_job_task",
    "spark_jar_task",
    "spark_python_task",
    "spark_submit_task",
    "sql_task",
    "task_key",
];

/// The request that runs `task`.
///
/// # Errors
/// `InvalidArgument` with the field that is wrong or missing.
pub(crate) fn submit(cx: &Context, task: &Task<Custom>, args: &CodeArgs) -> Result<Json> {
    let conf = task.custom.databricks_conf.clone().unwrap_or_default();
    let mut request = without_nulls("custom.databricksConf", conf)?;
    let python_file = take_string(&mut request, "python_file")?;
    let mut tasks = tasks(&mut request)?;
    let mut keys = Keys::of(&tasks);
    if let Some(index) = tasks.iter().position(|task| !has_action(task)) {
        let mut flyte_task = std::mem::take(&mut tasks[index]);
        let action = fill(cx, task, args, &mut request, &mut flyte_task, python_file)?;
        keys.fill(&mut flyte_task, action.task_key);
        if let Some(repository) = action.repository {
            repository.set(&mut request, &mut tasks)?;
        }
        flyte_task.insert(action.name.to_owned(), action.body);
        tasks[index] = flyte_task;
    }
    keys.fill_all(&mut tasks);
    let has_timeout = |object: &Object| object.contains_key("timeout_seconds");
    let limited = has_timeout(&request) || tasks.iter().any(has_timeout);
    if let Some(timeout) = task.timeout.filter(|_| !limited) {
        request.insert("timeout_seconds".to_owned(), timeout.as_secs().max(1).into());
    }
    if let Some(name) = run_name(cx) {
        request.entry("run_name").or_insert(name.into());
    }
    request.insert("tasks".to_owned(), tasks.into_iter().map(Json::Object).collect());
    // Replaces the author's token, which would return the run of another execution.
    request.insert("idempotency_token".to_owned(), cx.idempotency_key().hex().into());
    Ok(request.into())
}

/// Adds the compute to Flyte's task, and returns what it runs.
fn fill(
    cx: &Context,
    task: &Task<Custom>,
    args: &CodeArgs,
    request: &mut Object,
    flyte_task: &mut Object,
    python_file: Option<String>,
) -> Result<Action> {
    let serverless = compute::is_serverless(request, flyte_task)?;
    let has_git = request.contains_key("git_source");
    let action = Action::of(cx, task, args, python_file, has_git, serverless)?;
    if serverless {
        compute::prepare_serverless(request, flyte_task, task, args)?;
    } else {
        compute::prepare_cluster(flyte_task, task)?;
    }
    Ok(action)
}

/// Takes the request's tasks out of it, with the task fields that are beside them.
fn tasks(request: &mut Object) -> Result<Vec<Object>> {
    if request.contains_key("spark_python_task") {
        return Err(Error::invalid(
            "custom.databricksConf.spark_python_task: Flyte's connector replaces it by the task's code; \
             set python_file to start that code with a file of your own, or move spark_python_task into \
             tasks[] to run it instead",
        ));
    }
    let mut top_level = Object::new();
    for field in TASK_FIELDS {
        top_level.extend(request.remove_entry(field));
    }
    let Some(tasks) = request.remove("tasks") else { return Ok(vec![top_level]) };
    let mut tasks = serde_json::from_value::<Vec<Object>>(tasks)
        .map_err(|_| Error::invalid("custom.databricksConf.tasks: must be a list of objects"))?;
    let index = tasks.iter().position(|task| !has_action(task)).unwrap_or_default();
    let flyte_task = tasks
        .get_mut(index)
        .ok_or_else(|| Error::invalid("custom.databricksConf.tasks: is empty"))?;
    for (field, value) in top_level {
        flyte_task.entry(field).or_insert(value);
    }
    Ok(tasks)
}

fn take_string(request: &mut Object, field: &str) -> Result<Option<String>> {
    match request.remove(field) {
        None => Ok(None),
        Some(Json::String(text)) => Ok(Some(text)),
        Some(_) => Err(Error::invalid(format!("custom.databricksConf.{field}: must be a string"))),
    }
}

/// Whether the task has a single result, a string, as which a notebook's exit value can be returned.
pub(crate) fn returns_string(task: &Task<Custom>) -> bool {
    matches!(task.output_type(ONLY_OUTPUT), Some(Type::String | Type::Enum(_)))
        && !task.declares_output("o1")
}

/// The run's name at Databricks, if its author sets none.
fn run_name(cx: &Context) -> Option<String> {
    let execution = cx.execution();
    let names = [&execution.project, &execution.domain, &execution.name, &execution.node];
    let names = names.into_iter().filter(|name| !name.is_empty()).map(String::as_str);
    Some(names.collect::<Vec<_>>().join("/")).filter(|name| !name.is_empty())
}
