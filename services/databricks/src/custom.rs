//! The task's configuration.

use plugin_core::{
    clap::{self, ValueEnum},
    schemars::{self, JsonSchema},
    serde_json::{Map, Value as Json},
};
use serde::{Deserialize, Serialize};

/// A JSON object.
pub(crate) type Object = Map<String, Json>;

/// How to authenticate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AuthType {
    /// With a personal access token.
    Pat,
    /// As a service principal, with its OAuth secret.
    #[value(name = "oauth_m2m")]
    OauthM2m,
    /// As a service principal that trusts the service's own OIDC token.
    #[value(name = "oidc_federation")]
    OidcFederation,
}

/// The task's configuration: `Databricks` of flyte-sdk, `DatabricksV2` of flytekit.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Custom {
    /// The body of `runs/submit`, in the form with `tasks` or with a single task's keys on top.
    pub(crate) databricks_conf: Option<Object>,
    /// The workspace's host, one of those that the service's operator lists.
    pub(crate) databricks_instance: Option<String>,
    /// How to authenticate, in place of the operator's default.
    pub(crate) databricks_auth_type: Option<AuthType>,
    /// The name of the secret with a personal access token.
    pub(crate) databricks_token_secret: Option<String>,
    /// The service principal to authenticate as.
    pub(crate) databricks_client_id: Option<String>,
    /// The name of the secret with the service principal's OAuth secret.
    pub(crate) databricks_oauth_secret: Option<String>,
    /// The service credential with which serverless code accesses its storage.
    pub(crate) databricks_service_credential_provider: Option<String>,
    /// A notebook to run in place of the task's code.
    pub(crate) notebook_path: Option<String>,
    /// The notebook's parameters.
    pub(crate) notebook_base_parameters: Option<Object>,
    /// Spark settings, for a new cluster that has none of its own.
    pub(crate) spark_conf: Option<Object>,
    /// Hadoop settings, for the same cluster.
    pub(crate) hadoop_conf: Option<Object>,
    /// Flyte 2: names of secrets by key, for example `databricks_token`.
    pub(crate) secrets: Option<Object>,
}
