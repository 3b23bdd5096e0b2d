//! JSON that SDKs write into `custom`.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};
use server_core::{Error, Result};

/// `object` without its members that are null. Flyte's SDKs write null for what their user did not set,
/// where a vendor may read it as a value.
///
/// Members of members stay as they are: there a null may be the author's.
///
/// ```
/// use plugin_core::{serde_json::json, task::without_nulls};
///
/// let custom = json!({"priority": null, "query": {"label": null}});
/// let custom = without_nulls(custom.as_object().unwrap().clone());
/// assert_eq!(json!(custom), json!({"query": {"label": null}}));
/// ```
#[must_use]
pub fn without_nulls(mut object: Map<String, Json>) -> Map<String, Json> {
    object.retain(|_, value| !value.is_null());
    object
}

/// `custom` as a plugin's own type.
///
/// # Errors
/// `InvalidArgument` with the path of what is wrong.
pub(crate) fn read_custom<T: DeserializeOwned>(custom: Json) -> Result<T> {
    serde_path_to_error::deserialize(custom).map_err(|error| {
        let path = match error.path().to_string() {
            path if path == "." => "custom".to_owned(),
            path => format!("custom.{path}"),
        };
        Error::invalid(format!("{path}: {}", error.inner()))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_null_members_are_removed() {
        let object = json!({"a": null, "b": 0, "c": "", "d": [null], "e": {}, "f": false});
        let left = without_nulls(object.as_object().unwrap().clone());
        assert_eq!(left.keys().map(String::as_str).collect::<String>(), "bcdef");
        assert_eq!(left["d"], json!([null]));
    }
}
