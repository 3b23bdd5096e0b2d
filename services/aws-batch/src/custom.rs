//! What a task's author writes in `custom`: the fields of flytekit's `AWSBatchConfig`.

use std::collections::BTreeMap;

use plugin_core::schemars::{self, JsonSchema};
use serde::Deserialize;

/// The task's configuration: flytekit's `AWSBatchConfig`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub struct Custom {
    /// Parameters of the job definition. The service's own definitions have none.
    pub(crate) parameters: Option<BTreeMap<String, String>>,
    /// The priority in a queue with a fair-share policy, from 0 to 9999.
    #[schemars(range(max = 9999))]
    pub(crate) scheduling_priority: Option<u32>,
    /// `EC2` (the default) or `FARGATE`.
    pub(crate) platform_capabilities: Option<String>,
    /// Whether the job's tags are those of its ECS task, too.
    pub(crate) propagate_tags: Option<bool>,
    /// Tags of the job.
    pub(crate) tags: Option<BTreeMap<String, String>>,

    /// The job queue, one of those that the service's operator lists. flytekit has no such field.
    pub(crate) job_queue: Option<String>,
    /// The share in a queue with a fair-share policy. flytekit has no such field.
    pub(crate) share_identifier: Option<String>,
    /// The region, one of those that the service's operator lists. flytekit has no such field.
    pub(crate) region: Option<String>,
    /// The ARN of the role to call AWS as, one of those that the service's operator allows. flytekit has no such field.
    pub(crate) role: Option<String>,
    /// The ARN of the role that the container has, one of those that the service's operator allows; by default the
    /// execution's, else the operator's. flytekit has no such field.
    pub(crate) job_role: Option<String>,
}
