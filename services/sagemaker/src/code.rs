//! Tasks that run their own code: flytekit's `SageMakerTraining` and `SageMakerProcessing`.

use std::collections::BTreeMap;

use plugin_core::{
    Context, Error, Result, Task,
    aws::{ExecutionRoles, given},
    serde_json::{Map, Value as Json, json},
    task::FAIL_ON_ERROR,
};

use crate::{custom::Custom, resource::Resource};

/// The model's limits of `ContainerEntrypoint`.
const MOST_ARGUMENTS: usize = 100;
const LONGEST_ARGUMENT: usize = 256;
/// The model's limits of names, and the digits of the key in them.
const LONGEST_NAME: usize = 63;
const FEWEST_DIGITS: usize = 20;
const MOST_DIGITS: usize = 40;

/// The input of the create.
///
/// # Errors
/// `InvalidArgument` with the field that SageMaker would not take.
pub(crate) fn request(
    cx: &Context,
    task: &Task<Custom>,
    resource: Resource,
    roles: &ExecutionRoles,
) -> Result<Map<String, Json>> {
    let custom = &task.custom;
    if custom.instance_count.is_some_and(|count| count != 1) {
        return Err(Error::invalid("custom.instance_count: must be 1: a task's code runs once"));
    }
    let image = task.container.as_ref().map(|container| container.image.as_str());
    let Some(image) = image.filter(|image| !image.is_empty()) else {
        return Err(Error::invalid(
            "template.container.image: missing; SageMaker runs the task in it",
        ));
    };
    let mut request = json!({
        resource.facts().name: name(cx, custom),
        "Environment": environment(cx, task)?,
        "StoppingCondition": { "MaxRuntimeInSeconds": custom.max_runtime_in_seconds.unwrap_or(3600) },
        "Tags": custom.tags.iter().flatten().map(|(key, value)| json!({ "Key": key, "Value": value })).collect::<Json>(),
    });
    request["RoleArn"] = role(cx, roles, custom)?.into();
    let entrypoint = entrypoint(task)?;
    match resource {
        Resource::Processing => {
            request["AppSpecification"] =
                json!({ "ImageUri": image, "ContainerEntrypoint": entrypoint });
            request["ProcessingResources"] = json!({ "ClusterConfig": cluster(custom) });
            if let Some(network) = network(custom)? {
                request["NetworkConfig"] = network.clone();
            }
        }
        _ => {
            request["AlgorithmSpecification"] = json!({
                "TrainingImage": image, "ContainerEntrypoint": entrypoint, "TrainingInputMode": "File",
            });
            request["ResourceConfig"] = cluster(custom);
            request["OutputDataConfig"] = json!({ "S3OutputPath": model_path(cx, custom)? });
            if let Some(vpc) = custom.vpc_config.as_ref().filter(|vpc| !vpc.is_null()) {
                request["VpcConfig"] = vpc.clone();
            }
        }
    }
    match request {
        Json::Object(request) => Ok(request),
        _ => Err(Error::invalid("custom: must be an object")),
    }
}

/// The role of the job: the author's, or the operator's.
fn role(cx: &Context, roles: &ExecutionRoles, custom: &Custom) -> Result<String> {
    let field = "custom.execution_role_arn";
    let role = roles.choose(cx, field, given(&custom.execution_role_arn))?;
    role.ok_or_else(|| Error::invalid(format!("{field}: missing; the service has no default role")))
}

/// The author's prefix and digits of the key, within the limit.
fn name(cx: &Context, custom: &Custom) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' };
    let prefix = given(&custom.job_name_prefix).unwrap_or("flyte-");
    let prefix = prefix.chars().map(allowed).take(LONGEST_NAME - 1 - FEWEST_DIGITS);
    let prefix = prefix.collect::<String>();
    let prefix = match prefix.trim_matches('-') {
        "" => "flyte",
        prefix => prefix,
    };
    let digits = (LONGEST_NAME - 1 - prefix.len()).min(MOST_DIGITS);
    cx.idempotency_key().shortened(&format!("{prefix}-"), digits)
}

/// The container's command, which SageMaker runs instead of the image's own.
fn entrypoint(task: &Task<Custom>) -> Result<Vec<&str>> {
    let container = task.container.iter();
    let all = container.flat_map(|container| container.command.iter().chain(&container.args));
    let all = all.map(String::as_str).collect::<Vec<_>>();
    let field = "template.container.args";
    if all.is_empty() {
        return Err(Error::invalid(format!("{field}: missing; SageMaker runs them in the image")));
    }
    if all.len() > MOST_ARGUMENTS {
        return Err(Error::invalid(format!(
            "{field}: SageMaker takes at most {MOST_ARGUMENTS} arguments; there are {}",
            all.len()
        )));
    }
    match all.iter().find(|argument| argument.chars().count() > LONGEST_ARGUMENT) {
        Some(long) => Err(Error::invalid(format!(
            "{field}: SageMaker takes arguments of at most {LONGEST_ARGUMENT} characters; one begins with {:?}",
            long.chars().take(40).collect::<String>()
        ))),
        None => Ok(all),
    }
}

/// The variables of the task's code, and those of `custom`, which take precedence.
///
/// Propeller reads `error.pb` of a job that succeeded, and with it whether the error is recoverable, if the task declares outputs.
/// Without outputs only a failed job tells.
fn environment(cx: &Context, task: &Task<Custom>) -> Result<BTreeMap<String, String>> {
    let mut variables = cx.variables(task);
    variables.extend(task.custom.environment.clone().unwrap_or_default());
    if !task.declares_outputs() {
        let (name, value) = FAIL_ON_ERROR;
        variables.insert(name.to_owned(), value.to_owned());
    }
    match variables.len() <= MOST_ARGUMENTS {
        true => Ok(variables),
        false => Err(Error::invalid(format!(
            "custom.environment: with those of Flyte and of the container there are {} variables; SageMaker takes {MOST_ARGUMENTS}",
            variables.len()
        ))),
    }
}

fn cluster(custom: &Custom) -> Json {
    let mut cluster = json!({
        "InstanceType": given(&custom.instance_type).unwrap_or("ml.m5.large"),
        "InstanceCount": 1,
        "VolumeSizeInGB": custom.volume_size_in_gb.unwrap_or(30),
    });
    if let Some(key) = given(&custom.kms_key_id) {
        cluster["VolumeKmsKeyId"] = key.into();
    }
    cluster
}

fn network(custom: &Custom) -> Result<Option<&Json>> {
    let network = custom.network_config.as_ref().filter(|network| !network.is_null());
    match network {
        Some(network) if network["EnableNetworkIsolation"] == true => Err(Error::invalid(
            "custom.network_config.EnableNetworkIsolation: the task's code reads its inputs from S3, and writes its outputs there",
        )),
        network => Ok(network),
    }
}

/// Where SageMaker puts the model that it packs, which a training job must say.
fn model_path(cx: &Context, custom: &Custom) -> Result<String> {
    if let Some(path) = given(&custom.output_s3_path) {
        return Ok(path.to_owned());
    }
    let prefix = cx.output_prefix().trim_end_matches('/');
    match prefix.starts_with("s3://") {
        true => Ok(format!("{prefix}/_sagemaker_model")),
        false => {
            Err(Error::invalid("custom.output_s3_path: missing, and Flyte's outputs are not in S3"))
        }
    }
}

#[cfg(test)]
mod tests;
