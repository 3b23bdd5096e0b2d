//! The request that submits a job.

use std::collections::BTreeMap;

use plugin_core::{
    Context, Error, Result, Task,
    aws::given,
    serde_json::{Map, Value as Json, json},
    task::FAIL_ON_ERROR,
};

use crate::{command, custom::Custom, definition::Platform, resources};

/// AWS Batch's shortest timeout, in seconds.
const SHORTEST: u64 = 60;
/// The highest priority ("SubmitJob" in AWS Batch's API reference).
const HIGHEST_PRIORITY: u32 = 9999;

/// `SubmitJob`, but for the job definition.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    name: String,
    queue: String,
    body: Map<String, Json>,
}

impl Request {
    /// The request that runs `task` in `queue`.
    ///
    /// # Errors
    /// `InvalidArgument` with the field that AWS would not take.
    pub(crate) fn new(cx: &Context, task: &Task<Custom>, queue: String) -> Result<Self> {
        let custom = &task.custom;
        // 64 of at most 128 characters.
        let name = cx.idempotency_key().hex();
        let mut body = Map::new();
        let mut add = |key: &str, value: Option<Json>| {
            value.and_then(|value| body.insert(key.to_owned(), value));
        };
        add("jobName", Some(name.as_str().into()));
        add("jobQueue", Some(queue.as_str().into()));
        add("containerOverrides", Some(overrides(cx, task)?));
        // Flyte counts attempts, each with a key and outputs of its own.
        add("retryStrategy", Some(json!({ "attempts": 1 })));
        add(
            "timeout",
            task.timeout.map(|timeout| {
                let seconds = timeout.as_secs().max(SHORTEST);
                json!({ "attemptDurationSeconds": seconds })
            }),
        );
        add("parameters", filled(&custom.parameters));
        add("shareIdentifier", given(&custom.share_identifier).map(Json::from));
        add("schedulingPriorityOverride", priority(custom)?);
        add("propagateTags", custom.propagate_tags.map(Json::from));
        add("tags", tags(custom)?);
        Ok(Self { name, queue, body })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn queue(&self) -> &str {
        &self.queue
    }

    /// The request with the job definition that has `arn`, and itself.
    pub(crate) fn of(&self, arn: String) -> (&Self, Json) {
        let mut body = self.body.clone();
        body.insert("jobDefinition".to_owned(), arn.into());
        (self, body.into())
    }
}

/// `containerOverrides`: command, resources and variables.
fn overrides(cx: &Context, task: &Task<Custom>) -> Result<Json> {
    let container = task
        .container
        .as_ref()
        .ok_or_else(|| Error::invalid("template.container: missing; AWS Batch runs a container"))?;
    let mut variables = cx.variables(task);
    let (name, value) = FAIL_ON_ERROR;
    variables.entry(name.to_owned()).or_insert_with(|| value.to_owned());
    let environment = variables.iter().map(|(name, value)| json!({ "name": name, "value": value }));
    let mut overrides = json!({
        "command": command::of(cx, container)?,
        "environment": environment.collect::<Json>(),
    });
    let requirements = resources::of(container, Platform::of(task)?)?;
    if !requirements.is_empty() {
        overrides["resourceRequirements"] = json!(requirements);
    }
    Ok(overrides)
}

fn filled(map: &Option<BTreeMap<String, String>>) -> Option<Json> {
    map.as_ref().filter(|map| !map.is_empty()).map(|map| json!(map))
}

fn priority(custom: &Custom) -> Result<Option<Json>> {
    match custom.scheduling_priority {
        Some(priority) if priority > HIGHEST_PRIORITY => Err(Error::invalid(format!(
            "custom.schedulingPriority: {priority} is more than {HIGHEST_PRIORITY}"
        ))),
        priority => Ok(priority.map(Json::from)),
    }
}

fn tags(custom: &Custom) -> Result<Option<Json>> {
    let mut keys = custom.tags.iter().flatten().map(|(key, _)| key);
    if let Some(key) = keys.find(|key| key.to_ascii_lowercase().starts_with("aws:")) {
        return Err(Error::invalid(format!(
            "custom.tags: {key:?}: AWS keeps keys that begin with aws: for itself"
        )));
    }
    let tags = custom.tags.iter().flatten();
    let mut wrong = tags.filter(|(key, value)| {
        !(1..=128).contains(&key.chars().count()) || value.chars().count() > 256
    });
    match wrong.next() {
        Some((key, _)) => Err(Error::invalid(format!(
            "custom.tags: {key:?}: keys have 1 to 128 characters, and values up to 256"
        ))),
        None => Ok(filled(&custom.tags)),
    }
}

#[cfg(test)]
mod tests;
