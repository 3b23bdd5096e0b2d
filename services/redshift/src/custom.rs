//! What a task's author writes in `custom`.

use std::collections::BTreeMap;

use plugin_core::schemars::{self, JsonSchema};
use serde::Deserialize;

/// What a task's author writes in `custom`. The statements are in `template.sql`. Whatever names something of AWS has to
/// be on the operator's lists.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Custom {
    /// The provisioned cluster to run on; not with `workgroup`. By default the only one that the operator allows.
    pub(crate) cluster: Option<String>,
    /// The workgroup of Redshift Serverless to run on; not with `cluster`. By default the only one that the operator
    /// allows.
    pub(crate) workgroup: Option<String>,
    /// The database; by default the operator's first.
    pub(crate) database: Option<String>,
    /// The ARN of the secret in Secrets Manager with the database user's name and password; not with `db_user`.
    pub(crate) secret: Option<String>,
    /// The database user to get temporary credentials for, on a cluster; not with `secret`. Without either, the
    /// database user is the IAM identity's.
    pub(crate) db_user: Option<String>,
    /// The region; by default the operator's.
    pub(crate) region: Option<String>,
    /// The ARN of the IAM role to call AWS as; by default the operator's.
    pub(crate) role: Option<String>,
    /// Whether several statements are one transaction, which fails as a whole; true by default. VACUUM and other
    /// statements that cannot run in a transaction need false: each statement is then committed by itself.
    pub(crate) transaction: Option<bool>,
    /// A name that Redshift lists the statements by; by default `flyte-` and a part of the task's key.
    pub(crate) statement_name: Option<String>,
    /// Whether Redshift sends an event to EventBridge when the statements have ended; false by default.
    pub(crate) with_event: Option<bool>,

    /// The names of the secrets whose values Flyte 2 sends with each call, by `aws_access_key_id`,
    /// `aws_secret_access_key` and `aws_session_token`. Flyte 2 reads it, not the service.
    #[serde(rename = "secrets")]
    _secrets: Option<BTreeMap<String, String>>,
    /// Settings of Flyte 2's connection, which have no meaning here.
    #[serde(rename = "configs")]
    _configs: Option<BTreeMap<String, String>>,
}
