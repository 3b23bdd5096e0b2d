//! What a task's author writes.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use crate::credentials::AuthType;

/// What a task's author writes: `Databricks` of flyte-sdk, `DatabricksV2` of flytekit.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Custom {
    /// The body of `runs/submit`, in the form with `tasks` or with a single task's keys on top.
    pub(crate) databricks_conf: Option<Map<String, Json>>,
    /// The workspace's host; one of those that the service's operator lists.
    pub(crate) databricks_instance: Option<String>,
    /// How to sign in, if not as the operator says.
    pub(crate) databricks_auth_type: Option<AuthType>,
    /// The secret that holds a personal access token.
    pub(crate) databricks_token_secret: Option<String>,
    /// The service principal to sign in as.
    pub(crate) databricks_client_id: Option<String>,
    /// The secret that holds the service principal's OAuth secret.
    pub(crate) databricks_oauth_secret: Option<String>,
    /// The service credential that serverless code reads its storage with.
    pub(crate) databricks_service_credential_provider: Option<String>,
    /// A notebook to run in place of the task's code.
    pub(crate) notebook_path: Option<String>,
    /// What to run the notebook with.
    pub(crate) notebook_base_parameters: Option<Map<String, Json>>,
    /// Spark's settings, for a new cluster that has none of its own.
    pub(crate) spark_conf: Option<Map<String, Json>>,
    /// Hadoop's settings, for the same cluster.
    pub(crate) hadoop_conf: Option<Map<String, Json>>,
    /// Flyte 2: which secret holds what, for example `databricks_token`.
    pub(crate) secrets: Option<Map<String, Json>>,
}
