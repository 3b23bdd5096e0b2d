//! The request that starts a run.

use std::collections::BTreeMap;

use plugin_core::{
    Context, Error, Result, Task,
    aws::given,
    serde_json::{Map, Value as Json, json},
    task::without_nulls,
};
use serde::Serialize;

use crate::{
    custom::{Custom, RetryPolicy},
    driver::{self, Entrypoint},
};

/// The tags that Flyte's connector gives runs; reports of cost may rely on them.
const TAGS: [(&str, &str); 2] = [("Application", "flyte"), ("ManagedBy", "flyte-connector")];
/// The model's limits.
const LONGEST_NAME: usize = 256;
const MOST_MINUTES: u64 = 1_000_000;

/// `StartJobRun`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Request {
    client_token: String,
    execution_role_arn: String,
    job_driver: Json,
    name: String,
    tags: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    configuration_overrides: Option<Map<String, Json>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    execution_timeout_minutes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_policy: Option<Json>,
    /// The image of a task whose own code runs.
    #[serde(skip)]
    code_image: Option<String>,
}

impl Request {
    /// The request that runs `task` as `role`.
    ///
    /// # Errors
    /// `InvalidArgument` with the field that AWS would not take.
    pub(crate) fn new(
        cx: &Context,
        task: &Task<Custom>,
        role: Option<String>,
        entrypoint: Option<&Entrypoint>,
    ) -> Result<Self> {
        let custom = &task.custom;
        let role = role.ok_or_else(|| {
            Error::invalid("custom.execution_role_arn: missing; the service has no default role")
        })?;
        let runs_code = custom.spark_job_driver.is_none() && custom.hive_job_driver.is_none();
        let image = task.container.as_ref().map(|container| container.image.clone());
        Ok(Self {
            // 64 characters, the model's most.
            client_token: cx.idempotency_key().hex(),
            execution_role_arn: role,
            job_driver: driver::of(cx, task, entrypoint)?,
            name: name(cx, task),
            tags: tags(custom)?,
            configuration_overrides: overrides(custom)?,
            execution_timeout_minutes: minutes(task)?,
            retry_policy: custom.retry_policy.as_ref().map(retry_policy).transpose()?,
            code_image: image.filter(|image| runs_code && !image.is_empty()),
        })
    }

    /// The image that the application must have, and the field that asks for it. Scripts run on any, unless their author
    /// names one.
    pub(crate) fn image<'a>(&'a self, custom: &'a Custom) -> Option<(&'static str, &'a str)> {
        if custom.sync_image == Some(false) {
            return None;
        }
        let configured = custom.image_configuration.as_ref();
        let configured = configured.and_then(|image| given(&image.image_uri));
        let configured = configured.map(|uri| ("custom.image_configuration.imageUri", uri));
        let of_code = self.code_image.as_deref().map(|image| ("template.container.image", image));
        // In flytekit's order.
        of_code.or(configured)
    }
}

/// The task's name, or one of the key: the model has at most 256 characters, of which one is no space.
fn name(cx: &Context, task: &Task<Custom>) -> String {
    match task.id.name.trim() {
        "" => cx.idempotency_key().shortened("flyte-", 40),
        name => name.chars().take(LONGEST_NAME).collect(),
    }
}

fn tags(custom: &Custom) -> Result<BTreeMap<String, String>> {
    let mut tags = TAGS
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into_iter()
        .collect::<BTreeMap<_, _>>();
    tags.extend(custom.tags.clone().unwrap_or_default());
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b" /_.:=+@-".contains(&b);
    for (key, value) in &tags {
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(Error::invalid(format!(
                "custom.tags: {key:?}: AWS keeps keys that begin with aws: for itself"
            )));
        }
        let fits = |text: &str, least, most| {
            (least..=most).contains(&text.len()) && text.bytes().all(allowed)
        };
        if !fits(key, 1, 128) || !fits(value, 0, 256) {
            return Err(Error::invalid(format!(
                "custom.tags: {key:?}: keys of 1 to 128 and values of up to 256 letters, digits, spaces and any of /_.:=+@- \
                 are allowed"
            )));
        }
    }
    Ok(tags)
}

/// `configurationOverrides`, with the author's further application configurations.
fn overrides(custom: &Custom) -> Result<Option<Map<String, Json>>> {
    let mut overrides = without_nulls(custom.configuration_overrides.clone().unwrap_or_default());
    let further = custom.application_configuration.clone().unwrap_or_default();
    if !further.is_empty() {
        let all = overrides.entry("applicationConfiguration").or_insert_with(|| json!([]));
        let Json::Array(all) = all else {
            return Err(Error::invalid(
                "custom.configuration_overrides.applicationConfiguration: must be a list",
            ));
        };
        all.extend(further);
    }
    Ok(Some(overrides).filter(|overrides| !overrides.is_empty()))
}

/// The author's timeout, else the task's: EMR Serverless must not go on when Flyte has given up.
fn minutes(task: &Task<Custom>) -> Result<Option<u64>> {
    let of_task = || task.timeout.map(|timeout| timeout.as_secs().div_ceil(60));
    match task.custom.execution_timeout_minutes.map(u64::from) {
        Some(minutes) if minutes > MOST_MINUTES => Err(Error::invalid(format!(
            "custom.execution_timeout_minutes: {minutes} is more than {MOST_MINUTES}"
        ))),
        Some(minutes) => Ok(Some(minutes)),
        None => Ok(of_task().map(|minutes| minutes.min(MOST_MINUTES))),
    }
}

fn retry_policy(policy: &RetryPolicy) -> Result<Json> {
    let mut sent = Map::new();
    for (key, number) in [
        ("maxAttempts", policy.max_attempts),
        ("maxFailedAttemptsPerHour", policy.max_failed_attempts_per_hour),
    ] {
        match number {
            Some(0) => {
                return Err(Error::invalid(format!(
                    "custom.retry_policy.{key}: must be at least 1"
                )));
            }
            Some(number) => sent.insert(key.to_owned(), number.into()),
            None => None,
        };
    }
    Ok(sent.into())
}

#[cfg(test)]
mod tests;
