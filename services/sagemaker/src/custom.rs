//! What a task's author writes in `custom`: what flytekit's SageMaker tasks have there.

use std::collections::BTreeMap;

use plugin_core::{
    TaskType,
    schemars::{self, JsonSchema},
    serde_json::{Map, Value as Json},
};
use serde::Deserialize;

use crate::resource::runs_code;

/// The task's configuration: of jobs and endpoints `config`, `region` and `images`; of tasks that run their own code the
/// fields of flytekit's `SageMakerTraining` and `SageMakerProcessing`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
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

/// The keys of tasks without code of their own.
const OF_REQUESTS: [&str; 4] = ["config", "region", "images", "role"];

/// The JSON Schema of the `custom` of `task_type`.
pub(crate) fn schema(task_type: TaskType) -> Json {
    let mut schema = schemars::schema_for!(Custom).to_value();
    if let Some(properties) = schema["properties"].as_object_mut() {
        let is_of_code = |key: &str| !["config", "images"].contains(&key);
        properties.retain(|key, _| match runs_code(task_type) {
            true => is_of_code(key),
            false => OF_REQUESTS.contains(&key.as_str()),
        });
    }
    schema
}

#[cfg(test)]
mod tests {
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
}
