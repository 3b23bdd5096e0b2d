//! What a run does: a Spark script, a Hive query, or the task's own code on Spark.

use std::str::FromStr;

use plugin_core::{
    Context, Error, Result, Task, Value,
    aws::given,
    serde_json::{Value as Json, json},
    task::{
        FAIL_ON_ERROR,
        placeholder::{Placeholder, find},
    },
};

use crate::{
    custom::{Custom, HiveJobDriver, SparkJobDriver},
    environment,
};

/// The model's limits, in characters.
const LONGEST_QUERY: usize = 10_280;
const LONGEST_PARAMETERS: usize = 102_400;
const MOST_ARGUMENTS: usize = 1024;
const LONGEST_ARGUMENT: usize = 10_280;

/// What makes Spark use the image's Python, as Flyte's connector does.
const PYTHON: [(&str, &str); 3] = [
    ("spark.emr-serverless.driverEnv.PYSPARK_DRIVER_PYTHON", "/usr/bin/python3"),
    ("spark.emr-serverless.driverEnv.PYSPARK_PYTHON", "/usr/bin/python3"),
    ("spark.executorEnv.PYSPARK_PYTHON", "/usr/bin/python3"),
];
/// Before the name of a variable of the driver.
const VARIABLE: &str = "spark.emr-serverless.driverEnv.";

/// The script in S3 that starts a task's own code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entrypoint(String);

impl FromStr for Entrypoint {
    type Err = String;

    fn from_str(uri: &str) -> std::result::Result<Self, String> {
        match uri.starts_with("s3://") && !uri.contains(char::is_whitespace) && uri.len() <= 1024 {
            true => Ok(Self(uri.to_owned())),
            false => Err(format!("{uri:?} is not a URI in S3 such as s3://bucket/entrypoint.py")),
        }
    }
}

/// Whether the job writes the task's outputs: the task's own code does, and a script that is told where.
pub(crate) fn writes_outputs(custom: &Custom) -> bool {
    let told = |argument: &String| {
        let mut at = 0;
        while let Some(found) = find(argument, at) {
            if found.placeholder == Placeholder::OutputPrefix {
                return true;
            }
            at = found.range.end;
        }
        false
    };
    match (&custom.spark_job_driver, &custom.hive_job_driver) {
        (None, None) => true,
        (Some(spark), _) => spark.entry_point_arguments.iter().flatten().any(told),
        (None, Some(_)) => false,
    }
}

/// `jobDriver` of the run of `task`.
///
/// # Errors
/// `InvalidArgument` with the field that AWS would not take.
pub(crate) fn of(
    cx: &Context,
    task: &Task<Custom>,
    entrypoint: Option<&Entrypoint>,
) -> Result<Json> {
    let custom = &task.custom;
    let kind = given(&custom.application_type).unwrap_or("SPARK");
    match (&custom.spark_job_driver, &custom.hive_job_driver, kind) {
        (Some(_), Some(_), _) => Err(Error::invalid(
            "custom.hive_job_driver: a task cannot have both it and custom.spark_job_driver",
        )),
        (None, Some(hive), _) => self::hive(hive),
        (_, None, "HIVE") => {
            Err(Error::invalid("custom.hive_job_driver: missing; custom.application_type is HIVE"))
        }
        (_, _, kind) if kind != "SPARK" => {
            Err(Error::invalid(format!("custom.application_type: {kind:?} must be SPARK or HIVE")))
        }
        (Some(spark), None, _) => script(cx, task, spark),
        (None, None, _) => code(cx, task, entrypoint),
    }
}

fn hive(hive: &HiveJobDriver) -> Result<Json> {
    not_blank("custom.hive_job_driver.query", &hive.query, LONGEST_QUERY)?;
    if find(&hive.query, 0).is_some() {
        return Err(Error::invalid(
            "custom.hive_job_driver.query: has a placeholder; values are written into \
             custom.spark_job_driver.entryPointArguments alone, because in a query they would be part of its syntax",
        ));
    }
    let mut driver = json!({ "query": hive.query });
    for (key, value) in [("initQueryFile", &hive.init_query_file), ("parameters", &hive.parameters)]
    {
        if let Some(value) = given(value) {
            driver[key] = value.into();
        }
    }
    Ok(json!({ "hive": driver }))
}

/// A script of the author's.
fn script(cx: &Context, task: &Task<Custom>, spark: &SparkJobDriver) -> Result<Json> {
    not_blank("custom.spark_job_driver.entryPoint", &spark.entry_point, 4096)?;
    let field = "custom.spark_job_driver.entryPointArguments";
    let arguments = spark.entry_point_arguments.iter().flatten();
    let arguments = arguments.map(|argument| rendered(cx, task, field, argument));
    let arguments = arguments.collect::<Result<Vec<_>>>()?;
    check_arguments(field, &arguments)?;
    let own = given(&spark.spark_submit_parameters).map(str::to_owned);
    submit(cx, task, &spark.entry_point, arguments, own.into_iter().collect())
}

/// The task's own code, which the operator's script starts.
fn code(cx: &Context, task: &Task<Custom>, entrypoint: Option<&Entrypoint>) -> Result<Json> {
    let Some(Entrypoint(uri)) = entrypoint else {
        return Err(Error::invalid(
            "custom.spark_job_driver: missing, and the service's operator has set no script that starts the task's own code: \
             --entrypoint (EMR_SERVERLESS_ENTRYPOINT)",
        ));
    };
    let arguments =
        task.container.as_ref().map(|container| container.args.clone()).unwrap_or_default();
    if arguments.is_empty() {
        return Err(Error::invalid(
            "template.container.args: missing; they are the command that runs the task's code",
        ));
    }
    let authors = given(&task.custom.spark_submit_parameters).unwrap_or_default();
    let is_set = |key: &str| {
        let mut words = authors.split_whitespace();
        words.any(|word| word.strip_prefix(key).is_some_and(|rest| rest.starts_with('=')))
    };
    let (name, value) = FAIL_ON_ERROR;
    let fail_on_error = format!("{VARIABLE}{name}");
    let defaults = PYTHON.into_iter().chain([(fail_on_error.as_str(), value)]);
    let defaults = defaults.filter(|(key, _)| !is_set(key));
    let defaults = defaults.map(|(key, value)| format!("--conf {key}={value}")).collect();
    check_arguments("template.container.args", &arguments)?;
    submit(cx, task, uri, arguments, defaults)
}

/// # Errors
/// `InvalidArgument` for arguments that the model does not have, such as the value of an empty input.
fn check_arguments(field: &str, arguments: &[String]) -> Result<()> {
    if arguments.len() > MOST_ARGUMENTS {
        return Err(Error::invalid(format!(
            "{field}: {} arguments, of at most {MOST_ARGUMENTS}",
            arguments.len()
        )));
    }
    for (index, argument) in arguments.iter().enumerate() {
        let length = argument.chars().count();
        if argument.trim().is_empty() {
            return Err(Error::invalid(format!(
                "{field}[{index}]: empty; EMR Serverless takes no empty arguments"
            )));
        }
        if length > LONGEST_ARGUMENT {
            return Err(Error::invalid(format!(
                "{field}[{index}]: {length} characters, of at most {LONGEST_ARGUMENT}"
            )));
        }
    }
    Ok(())
}

/// `sparkSubmit`, with `parameters`, the author's further ones and Flyte's variables.
fn submit(
    cx: &Context,
    task: &Task<Custom>,
    entry_point: &str,
    arguments: Vec<String>,
    mut parameters: Vec<String>,
) -> Result<Json> {
    parameters.extend(given(&task.custom.spark_submit_parameters).map(str::to_owned));
    if task.custom.inject_flyte_env.unwrap_or(true) {
        parameters.extend(environment::parameters(&cx.variables(task)));
    }
    let parameters = parameters.join(" ");
    let length = parameters.chars().count();
    if length > LONGEST_PARAMETERS {
        return Err(Error::invalid(format!(
            "custom.spark_submit_parameters: {length} characters with Flyte's variables, of at most {LONGEST_PARAMETERS}"
        )));
    }
    let mut spark = json!({ "entryPoint": entry_point });
    if !arguments.is_empty() {
        spark["entryPointArguments"] = arguments.into();
    }
    if !parameters.is_empty() {
        spark["sparkSubmitParameters"] = parameters.into();
    }
    Ok(json!({ "sparkSubmit": spark }))
}

/// `argument` with the values of its placeholders. It is one argument, whatever they contain.
fn rendered(cx: &Context, task: &Task<Custom>, field: &str, argument: &str) -> Result<String> {
    let (mut text, mut at) = (String::new(), 0);
    while let Some(found) = find(argument, at) {
        text += &argument[at..found.range.start];
        if let Placeholder::Input(name) = found.placeholder {
            task.inputs.get(name).map_err(|error| error.about(field))?;
        }
        let filling = cx.fill(field, found.placeholder, &task.inputs)?;
        text += &match &*filling.value {
            Value::String(value) => value.clone(),
            Value::Blob { uri } | Value::Schema { uri } | Value::StructuredDataset { uri, .. } => {
                uri.clone()
            }
            Value::Null => String::new(),
            other => match other.to_json() {
                Json::String(value) => value,
                json => json.to_string(),
            },
        };
        at = found.range.end;
    }
    Ok(text + &argument[at..])
}

fn not_blank(field: &str, value: &str, longest: usize) -> Result<()> {
    let length = value.chars().count();
    match value.trim().is_empty() {
        true => Err(Error::invalid(format!("{field}: empty"))),
        false if length > longest => Err(Error::invalid(format!(
            "{field}: {length} characters, of at most {longest}; put it into a file in S3"
        ))),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests;
