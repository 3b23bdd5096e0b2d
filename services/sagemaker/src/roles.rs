//! The roles that SageMaker is passed: only those that the operator allows.

use plugin_core::{
    Context, Error, Result,
    aws::ExecutionRoles,
    serde_json::{Map, Value as Json},
};

/// Members that are maps of the author's own keys.
const OWN_KEYS: [&str; 4] = ["HyperParameters", "StaticHyperParameters", "Environment", "Tags"];

/// Checks each role within `config`, which `field` names in errors: each member whose name ends in `RoleArn`.
///
/// # Errors
/// `InvalidArgument` for one that is not allowed; `PermissionDenied` when the caller may not use it.
pub(crate) fn check(
    cx: &Context,
    roles: &ExecutionRoles,
    field: &str,
    config: &Map<String, Json>,
) -> Result<()> {
    for (key, value) in config.iter().filter(|(key, _)| !OWN_KEYS.contains(&key.as_str())) {
        let field = format!("{field}.{key}");
        if key.ends_with("RoleArn") {
            let Some(arn) = value.as_str().filter(|arn| !arn.is_empty()) else {
                return Err(Error::invalid(format!("{field}: must be the ARN of a role")));
            };
            roles.choose(cx, &field, Some(arn))?;
        }
        check_value(cx, roles, &field, value)?;
    }
    Ok(())
}

fn check_value(cx: &Context, roles: &ExecutionRoles, field: &str, value: &Json) -> Result<()> {
    match value {
        Json::Object(object) => check(cx, roles, field, object),
        Json::Array(items) => items
            .iter()
            .enumerate()
            .try_for_each(|(at, item)| check_value(cx, roles, &format!("{field}[{at}]"), item)),
        _ => Ok(()),
    }
}

/// Gives `config` the operator's role as `member`, where it names none.
///
/// # Errors
/// `InvalidArgument` when there is neither.
pub(crate) fn fill(
    cx: &Context,
    roles: &ExecutionRoles,
    field: &str,
    member: &str,
    config: &mut Map<String, Json>,
) -> Result<()> {
    if config.contains_key(member) {
        return Ok(());
    }
    match roles.choose(cx, field, None)? {
        Some(role) => {
            config.insert(member.to_owned(), role.into());
            Ok(())
        }
        None => Err(Error::invalid(format!(
            "{field}.{member}: missing; the service has no default role"
        ))),
    }
}
