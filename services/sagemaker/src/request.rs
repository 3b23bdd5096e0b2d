//! The request that makes a task's job or endpoint.

use plugin_core::{
    Context, Error, Result, Task,
    aws::ExecutionRoles,
    digest,
    serde_json::{self, Map, Value as Json, json},
};

use crate::{
    code,
    custom::Custom,
    images,
    render::Values,
    resource::{Resource, runs_code},
    roles,
};

/// The digits of the key in names, in `{idempotence_token}`.
const TOKEN_DIGITS: usize = 20;
/// The tag with the attempt's key.
pub(crate) const KEY_TAG: &str = "outrigger-key";
/// The tag with the digest of what was asked.
pub(crate) const DIGEST_TAG: &str = "outrigger-request";

/// The input of an API's create.
#[derive(Debug)]
pub(crate) struct Request {
    /// The name of what it makes.
    pub(crate) name: String,
    /// The attempt's key.
    pub(crate) key: String,
    /// The digest of what was asked.
    pub(crate) digest: String,
    pub(crate) body: Json,
}

/// The token that `{idempotence_token}` stands for.
pub(crate) fn token(cx: &Context) -> String {
    cx.idempotency_key().shortened("", TOKEN_DIGITS)
}

impl Request {
    /// The request of `task`, which makes a `resource` in `region`.
    ///
    /// # Errors
    /// `InvalidArgument` with the field that is wrong, `PermissionDenied` for a role that the caller may not use.
    pub(crate) fn new(
        cx: &Context,
        task: &Task<Custom>,
        resource: Resource,
        region: &str,
        roles: &ExecutionRoles,
    ) -> Result<Self> {
        let facts = resource.facts();
        let (field, mut config) = match runs_code(cx.task_type()) {
            true => ("custom", code::request(cx, task, resource, roles)?),
            false => ("custom.config", rendered(cx, task, resource, region)?),
        };
        let name = match config.get(facts.name) {
            None => default_name(cx, resource),
            Some(name) => {
                checked(&format!("{field}.{}", facts.name), name, facts.longest_name)?.to_owned()
            }
        };
        config.insert(facts.name.to_owned(), name.clone().into());
        roles::check(cx, roles, field, &config)?;
        if resource.has_role() && resource != Resource::Tuning {
            roles::fill(cx, roles, field, "RoleArn", &mut config)?;
        }
        if resource == Resource::Tuning {
            fill_tuning(cx, roles, field, &mut config)?;
        }
        Self::tagged(cx, field, name, config)
    }

    /// The request for `config`, with the tags that tell whose it is.
    ///
    /// # Errors
    /// `InvalidArgument` when `Tags` is no list.
    pub(crate) fn tagged(
        cx: &Context,
        field: &str,
        name: String,
        mut config: Map<String, Json>,
    ) -> Result<Self> {
        let key = cx.idempotency_key().hex();
        let asked = serde_json::to_vec(&config).map_err(Error::internal)?;
        let digest = digest::hex(&digest::sha256(&[&asked]));
        let tags = config.entry("Tags").or_insert_with(|| json!([]));
        let Json::Array(tags) = tags else {
            return Err(Error::invalid(format!("{field}.Tags: must be a list")));
        };
        let mut keys = tags.iter().filter_map(|tag| tag["Key"].as_str());
        if let Some(key) = keys.find(|key| key.to_ascii_lowercase().starts_with("aws:")) {
            return Err(Error::invalid(format!(
                "{field}: the tag {key:?}: AWS keeps keys that begin with aws: for itself"
            )));
        }
        let own = [(KEY_TAG, &key), (DIGEST_TAG, &digest)];
        tags.retain(|tag| own.iter().all(|(name, _)| tag["Key"] != *name));
        tags.extend(own.map(|(name, value)| json!({ "Key": name, "Value": value })));
        Ok(Self { name, key, digest, body: config.into() })
    }
}

fn rendered(
    cx: &Context,
    task: &Task<Custom>,
    resource: Resource,
    region: &str,
) -> Result<Map<String, Json>> {
    let Some(config) = &task.custom.config else {
        return Err(Error::invalid("custom.config: missing"));
    };
    let facts = resource.facts();
    let values = Values {
        inputs: &task.inputs,
        images: &images::of(task.custom.images.as_ref(), region)?,
        token: &token(cx),
        longest: (facts.name, facts.longest_name),
    };
    values.render("custom.config", config)
}

/// A name for tasks that choose none.
fn default_name(cx: &Context, resource: Resource) -> String {
    // "flyte-" and 26 digits are the 32 characters that tuning jobs may have.
    let digits = if resource == Resource::Tuning { 26 } else { 40 };
    cx.idempotency_key().shortened("flyte-", digits)
}

/// `name`, if SageMaker takes it.
///
/// # Errors
/// `InvalidArgument` with `field`.
pub(crate) fn checked<'a>(field: &str, name: &'a Json, longest: usize) -> Result<&'a str> {
    let is_inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    let fits = |name: &str| {
        (1..=longest).contains(&name.len())
            && name.bytes().all(is_inner)
            && !name.starts_with('-')
            && !name.ends_with('-')
    };
    match name.as_str() {
        Some(name) if fits(name) => Ok(name),
        _ => Err(Error::invalid(format!(
            "{field}: {name} is not a name of 1 to {longest} letters, digits and dashes between them"
        ))),
    }
}

/// The training jobs of a tuning job have the roles.
fn fill_tuning(
    cx: &Context,
    roles: &ExecutionRoles,
    field: &str,
    config: &mut Map<String, Json>,
) -> Result<()> {
    if let Some(Json::Object(one)) = config.get_mut("TrainingJobDefinition") {
        roles::fill(cx, roles, &format!("{field}.TrainingJobDefinition"), "RoleArn", one)?;
    }
    let several = config.get_mut("TrainingJobDefinitions").and_then(Json::as_array_mut);
    for (at, one) in several.into_iter().flatten().enumerate() {
        if let Json::Object(one) = one {
            let field = format!("{field}.TrainingJobDefinitions[{at}]");
            roles::fill(cx, roles, &field, "RoleArn", one)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_letters_digits_and_inner_dashes() {
        for (name, is_name) in [
            ("a", true),
            ("train-2026--x", true),
            ("-a", false),
            ("a-", false),
            ("a_b", false),
            ("", false),
            (&*"a".repeat(63), true),
            (&*"a".repeat(64), false),
        ] {
            assert_eq!(checked("f", &name.into(), 63).is_ok(), is_name, "{name}");
        }
        let error = checked("custom.config.JobName", &json!(3), 63).unwrap_err();
        assert!(error.message().starts_with("custom.config.JobName: 3 is not a name"), "{error}");
    }
}
