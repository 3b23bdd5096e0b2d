//! What a task's author writes in `custom`: the fields of flytekit's `EMRServerless`.

use std::collections::BTreeMap;

use plugin_core::{
    schemars::{self, JsonSchema},
    serde_json::{Map, Value as Json},
};
use serde::Deserialize;

/// The task's configuration: flytekit's `EMRServerless`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Custom {
    /// The ARN of the role that the job runs as, one of those that the service's operator allows; by default the
    /// operator's.
    pub(crate) execution_role_arn: String,
    /// The application, by its id or its name; by default the operator's.
    pub(crate) application_id: Option<String>,
    /// The application by its name, if there is no `application_id`.
    pub(crate) application_name: Option<String>,
    /// The region, one of those that the service's operator lists.
    pub(crate) region: Option<String>,
    /// The ARN of the role to call AWS as, one of those that the service's operator allows. flytekit has no such field.
    pub(crate) role: Option<String>,

    /// `SPARK` (the default) or `HIVE`.
    pub(crate) application_type: Option<String>,
    /// A Spark job. Without it and `hive_job_driver`, the task's own code runs as one.
    pub(crate) spark_job_driver: Option<SparkJobDriver>,
    /// A Hive job.
    pub(crate) hive_job_driver: Option<HiveJobDriver>,
    /// Further parameters of spark-submit, such as `--conf spark.executor.memory=4g`.
    pub(crate) spark_submit_parameters: Option<String>,
    /// Whether Spark's driver and executors get Flyte's environment variables; true by default.
    pub(crate) inject_flyte_env: Option<bool>,

    /// `configurationOverrides` of StartJobRun.
    pub(crate) configuration_overrides: Option<Map<String, Json>>,
    /// Further items of `configurationOverrides.applicationConfiguration`.
    pub(crate) application_configuration: Option<Vec<Json>>,
    /// `retryPolicy` of StartJobRun: EMR's own attempts within one of Flyte's.
    pub(crate) retry_policy: Option<RetryPolicy>,
    /// Tags of the run.
    pub(crate) tags: Option<BTreeMap<String, String>>,
    /// After how many minutes EMR Serverless cancels the run; by default the task's timeout, else AWS's 12 hours.
    #[schemars(range(max = 1_000_000))]
    pub(crate) execution_timeout_minutes: Option<u32>,

    /// Whether the application must have the task's image; true by default. This service changes no application.
    pub(crate) sync_image: Option<bool>,
    /// The image that the application must have, instead of the task's: `{"imageUri": …}`.
    pub(crate) image_configuration: Option<ImageConfiguration>,

    /// Of a new application; flytekit always writes it. This service makes no applications.
    #[serde(rename = "release_label")]
    _release_label: Option<String>,
    /// Of a new application.
    #[serde(rename = "architecture")]
    _architecture: Option<String>,
    /// Of a new application.
    #[serde(rename = "runtime_configuration")]
    _runtime_configuration: Option<Vec<Json>>,
    /// Of a new application.
    #[serde(rename = "scheduler_configuration")]
    _scheduler_configuration: Option<Map<String, Json>>,
    /// Of a new application.
    #[serde(rename = "auto_stop_config")]
    _auto_stop_config: Option<Map<String, Json>>,
    /// Of a new application.
    #[serde(rename = "initial_capacity")]
    _initial_capacity: Option<Map<String, Json>>,
    /// Of a new application.
    #[serde(rename = "maximum_capacity")]
    _maximum_capacity: Option<Map<String, Json>>,
    /// Of a new application.
    #[serde(rename = "network_configuration")]
    _network_configuration: Option<Map<String, Json>>,
}

/// A Spark job.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct SparkJobDriver {
    /// The application's main file, `s3://bucket/main.py` or a JAR.
    pub(crate) entry_point: String,
    /// Its arguments, in which placeholders such as `{{ .inputs.x }}` are replaced.
    #[serde(default)]
    pub(crate) entry_point_arguments: Option<Vec<String>>,
    /// Parameters of spark-submit.
    #[serde(default)]
    pub(crate) spark_submit_parameters: Option<String>,
}

/// A Hive job.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct HiveJobDriver {
    /// The query, or the URI in S3 of a file with it.
    pub(crate) query: String,
    /// The URI in S3 of a file with statements that run first.
    #[serde(default)]
    pub(crate) init_query_file: Option<String>,
    /// Parameters of Hive, such as `--hiveconf hive.exec.scratchdir=s3://bucket/hive/scratch`.
    #[serde(default)]
    pub(crate) parameters: Option<String>,
}

/// How often EMR Serverless itself starts a run again.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct RetryPolicy {
    /// The attempts of a batch job, with the first.
    #[serde(default)]
    pub(crate) max_attempts: Option<u32>,
    /// The failed attempts of a streaming job in an hour.
    #[serde(default)]
    pub(crate) max_failed_attempts_per_hour: Option<u32>,
}

/// The image of an application's workers.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ImageConfiguration {
    /// The URI in ECR.
    #[serde(default)]
    pub(crate) image_uri: Option<String>,
}
