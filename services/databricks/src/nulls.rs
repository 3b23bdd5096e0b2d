//! Nulls in JSON that an author wrote.
//!
//! The Jobs API has no field for which null differs from absence, and refuses it as a value of a map, such as
//! `base_parameters`, `spark_conf` or `custom_tags`.

use plugin_core::{Error, Result, serde_json::Value as Json};

use crate::custom::Object;

/// `object`, which is at `field`, without the members that are null, at every depth.
///
/// # Errors
/// `InvalidArgument` with the path of an item of a list that is null: without it, the items after it would
/// move up.
pub(crate) fn without_nulls(field: &str, object: Object) -> Result<Object> {
    in_object(object).map_err(|path| Error::invalid(format!("{field}{path}: must not be null")))
}

fn in_object(object: Object) -> Result<Object, String> {
    let present = object.into_iter().filter(|(_, value)| !value.is_null());
    let kept = present.map(|(key, value)| match in_value(value) {
        Ok(value) => Ok((key, value)),
        Err(path) => Err(format!(".{key}{path}")),
    });
    kept.collect()
}

fn in_value(value: Json) -> Result<Json, String> {
    match value {
        Json::Object(object) => in_object(object).map(Json::Object),
        Json::Array(items) => {
            let kept = items.into_iter().enumerate().map(|(at, item)| match item {
                Json::Null => Err(format!("[{at}]")),
                item => in_value(item).map_err(|path| format!("[{at}]{path}")),
            });
            kept.collect()
        }
        other => Ok(other),
    }
}

#[cfg(test)]
mod tests {
    use plugin_core::serde_json::json;

    use super::*;

    fn kept(object: &Json) -> Result<Json> {
        without_nulls("custom.databricksConf", object.as_object().unwrap().clone()).map(Json::from)
    }

    #[test]
    fn null_members_are_left_out_at_every_depth() {
        for (object, expected) in [
            (
                json!({"a": null, "b": 0, "c": "", "d": [], "e": false}),
                json!({"b": 0, "c": "", "d": [], "e": false}),
            ),
            (
                json!({"new_cluster": {"custom_tags": {"a": null, "b": "x"}}}),
                json!({"new_cluster": {"custom_tags": {"b": "x"}}}),
            ),
            (json!({"tasks": [{"a": {"b": {"c": null}}}]}), json!({"tasks": [{"a": {"b": {}}}]})),
            (json!({"a": [[{"b": null}]]}), json!({"a": [[{}]]})),
        ] {
            assert_eq!(kept(&object).unwrap(), expected);
        }
    }

    #[test]
    fn null_items_are_rejected_with_their_path() {
        for (object, path) in [
            (json!({"libraries": [{}, null]}), ".libraries[1]"),
            (
                json!({"tasks": [{"spark_jar_task": {"parameters": [null]}}]}),
                ".tasks[0].spark_jar_task.parameters[0]",
            ),
            (json!({"a": [[0, null]]}), ".a[0][1]"),
        ] {
            let expected = format!("custom.databricksConf{path}: must not be null");
            assert_eq!(kept(&object).unwrap_err().message(), expected);
        }
    }
}
