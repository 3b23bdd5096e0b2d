//! What a task's author writes in `custom`: what flytekit's SageMaker tasks have there.

use std::collections::BTreeMap;

use plugin_core::{
    Error, Result, TaskType,
    schemars::{self, JsonSchema},
    serde_json::{self, Map, Value as Json},
};
use serde::{Deserialize, Serialize};

use crate::resource::{Resource, runs_code};

/// The task's configuration: of jobs and endpoints `config`, `region` and `images`; of tasks that run their own code the
/// fields of flytekit's `SageMakerTraining` and `SageMakerProcessing`.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Custom {
    /// The request of the API's create, in which `{inputs.x}`, `{images.x}` and `{idempotence_token}` are replaced.
    pub(crate) config: Option<Map<String, Json>>,
    /// The region, one of those that the service's operator lists.
    pub(crate) region: Option<String>,
    /// Images for `{images.x}`.
    pub(crate) images: Option<BTreeMap<String, String>>,
    /// The ARN of the role to call AWS as, one of those that the service's operator allows. flytekit has no such field.
    pub(crate) role: Option<String>,

    /// The ARN of the role that the job runs as, one of those that the service's operator allows; by default the
    /// operator's.
    pub(crate) execution_role_arn: Option<String>,
    /// The type of the job's instance; `ml.m5.large` by default.
    pub(crate) instance_type: Option<String>,
    /// 1: the task's code runs once.
    pub(crate) instance_count: Option<u32>,
    /// The size of the instance's volume, in GB; 30 by default.
    pub(crate) volume_size_in_gb: Option<u32>,
    /// After how many seconds SageMaker stops the job; 3600 by default.
    pub(crate) max_runtime_in_seconds: Option<u32>,
    /// Further environment variables.
    pub(crate) environment: Option<BTreeMap<String, String>>,
    /// The KMS key of the instance's volume.
    pub(crate) kms_key_id: Option<String>,
    /// Tags of the job.
    pub(crate) tags: Option<BTreeMap<String, String>>,
    /// The beginning of the job's name; `flyte-` by default.
    pub(crate) job_name_prefix: Option<String>,
    /// Of a training job: the location in S3 of the model that SageMaker packs; by default below the attempt's outputs.
    pub(crate) output_s3_path: Option<String>,
    /// Of a training job: `VpcConfig`.
    pub(crate) vpc_config: Option<Json>,
    /// Of a processing job: `NetworkConfig`.
    pub(crate) network_config: Option<Json>,
}

impl Custom {
    /// # Errors
    /// `InvalidArgument` with a key that other tasks of SageMaker have, and those of `task_type` do not: to ignore it would be to
    /// run something else than the author asked for.
    pub(crate) fn check(&self, task_type: TaskType) -> Result<()> {
        let keys = serde_json::to_value(self).map_err(Error::internal)?;
        let keys = keys.as_object().into_iter().flatten();
        let mut set = keys.filter(|(_, value)| !value.is_null()).map(|(key, _)| key);
        match set.find(|key| !has_key(task_type, key)) {
            Some(key) => Err(Error::invalid(format!(
                "custom.{key}: tasks of the type {} have no such key",
                task_type.name
            ))),
            None => Ok(()),
        }
    }
}

/// Whether tasks of `task_type` have `key`, one of those of [`Custom`].
fn has_key(task_type: TaskType, key: &str) -> bool {
    let runs_code = runs_code(task_type);
    let runs_code_as = |resource| runs_code && Resource::of(task_type) == Some(resource);
    match key {
        "region" | "role" => true,
        "config" | "images" => !runs_code,
        "output_s3_path" | "vpc_config" => runs_code_as(Resource::Training),
        "network_config" => runs_code_as(Resource::Processing),
        _ => runs_code,
    }
}

/// The JSON Schema of the `custom` of `task_type`.
pub(crate) fn schema(task_type: TaskType) -> Json {
    let mut schema = schemars::schema_for!(Custom).to_value();
    if let Some(properties) = schema["properties"].as_object_mut() {
        properties.retain(|key, _| has_key(task_type, key));
    }
    schema
}

#[cfg(test)]
mod tests {
    use plugin_core::serde_json::json;

    use super::*;

    #[test]
    fn each_task_type_has_its_own_keys() {
        let keys = |name: &'static str| {
            let schema = schema(TaskType::new(name, 0));
            schema["properties"].as_object().unwrap().keys().cloned().collect::<Vec<_>>()
        };
        assert_eq!(keys("sagemaker-endpoint"), ["config", "images", "region", "role"]);
        let of_code = keys("sagemaker-training-task");
        assert!(of_code.contains(&"execution_role_arn".to_owned()), "{of_code:?}");
        assert!(!of_code.contains(&"config".to_owned()), "{of_code:?}");
    }

    #[test]
    fn keys_of_other_tasks_are_refused() {
        for (name, custom, refused) in [
            ("sagemaker-training-job", json!({"config": {}, "images": {}, "region": "r"}), None),
            (
                "sagemaker-training-job",
                json!({"config": {}, "instance_type": "x"}),
                Some("instance_type"),
            ),
            (
                "sagemaker-endpoint",
                json!({"config": {}, "execution_role_arn": "x"}),
                Some("execution_role_arn"),
            ),
            ("sagemaker-training-task", json!({"vpc_config": {}, "tags": {}}), None),
            ("sagemaker-training-task", json!({"config": {}}), Some("config")),
            ("sagemaker-training-task", json!({"network_config": {}}), Some("network_config")),
            ("sagemaker-processing-task", json!({"network_config": {}, "vpc_config": null}), None),
            ("sagemaker-processing-task", json!({"vpc_config": {}}), Some("vpc_config")),
        ] {
            let custom = serde_json::from_value::<Custom>(custom).unwrap();
            let refusal = custom.check(TaskType::new(name, 0)).err();
            let refusal = refusal.map(|error| error.message().to_owned());
            let expected = refused
                .map(|key| format!("custom.{key}: tasks of the type {name} have no such key"));
            assert_eq!(refusal, expected);
        }
    }
}
