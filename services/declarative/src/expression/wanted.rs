//! What the place of an expression needs, for those whose value is known before there is a task.

use plugin_core::serde_json::Value as Json;

use super::scalar;

/// What the place of an expression needs.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wanted {
    Scalar,
    Truth,
    List,
}

impl Wanted {
    /// What is wrong with `value`, of the part `part` of the file.
    pub(crate) fn wrong(self, part: &str, value: Option<&Json>) -> Option<String> {
        let value = value.unwrap_or(&Json::Null);
        let (fits, wanted) = match self {
            Self::Scalar => (scalar(value).is_some(), "a string, a number or a truth value"),
            Self::Truth => (value.is_boolean(), "true or false"),
            Self::List => (value.is_array(), "a list"),
        };
        (!fits).then(|| format!("{part}: must be {wanted}, not {}", kind(value)))
    }
}

/// What `value` is.
pub(crate) fn kind(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "a truth value",
        Json::Number(_) => "a number",
        Json::String(_) => "a string",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    }
}
