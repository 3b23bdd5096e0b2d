//! JSON that SDKs write into `custom`.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};
use server_core::{Error, Result};

use super::objects::Objects;

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
    serde_path_to_error::deserialize(Objects(custom)).map_err(|error| {
        let path = match error.path().to_string() {
            path if path == "." => "custom".to_owned(),
            path => format!("custom.{path}"),
        };
        Error::invalid(format!("{path}: {}", in_words(&error.inner().to_string())))
    })
}

/// `message` of serde without the names of Rust's types, which say nothing to a task's author.
pub(crate) fn in_words(message: &str) -> String {
    const EXPECTED: &str = ", expected ";
    let Some((found, expected)) = message.rsplit_once(EXPECTED) else { return message.to_owned() };
    let words = match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, 0 or more",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a sequence" => "a list",
        "a map" => "an object",
        name if name.starts_with("struct ") && !name.contains(" with ") => "an object",
        other => other,
    };
    format!("{found}{EXPECTED}{words}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn errors_name_no_types_of_rust() {
        fn error<T: DeserializeOwned>(custom: Json) -> String {
            read_custom::<T>(custom).err().map(|error| error.to_string()).unwrap_or_default()
        }
        for (message, expected) in [
            (error::<u32>(json!("1")), "string \"1\", expected a whole number, 0 or more"),
            (error::<i64>(json!(true)), "boolean `true`, expected a whole number"),
            (error::<f64>(json!(null)), "null, expected a number"),
            (error::<Vec<u8>>(json!("a")), "string \"a\", expected a list"),
            (error::<Map<String, Json>>(json!(["a"])), "sequence, expected an object"),
            (error::<bool>(json!(", expected u8")), "expected a boolean"),
        ] {
            assert!(message.starts_with("custom: ") && message.ends_with(expected), "{message}");
        }
    }

    #[test]
    fn a_list_is_no_object() {
        #[derive(Debug, serde::Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        struct Driver {
            entry_point: String,
            #[serde(default)]
            arguments: Option<Vec<Option<(u8, i64)>>>,
        }
        type Drivers = std::collections::BTreeMap<String, Option<Driver>>;
        let read = |driver: Json| read_custom::<Drivers>(json!({ "driver": driver }));

        let drivers = read(json!({"entryPoint": "a", "arguments": [null, [1, -2]]})).unwrap();
        let driver = drivers["driver"].as_ref().unwrap();
        assert_eq!(driver.entry_point, "a");
        assert_eq!(driver.arguments, Some(vec![None, Some((1, -2))]));
        assert!(read(json!(null)).unwrap()["driver"].is_none());
        for (driver, message) in [
            (json!(["a"]), "custom.driver: invalid type: sequence, expected an object"),
            (json!(["a", [[1, 2]]]), "custom.driver: invalid type: sequence, expected an object"),
            (json!("a"), "custom.driver: invalid type: string \"a\", expected an object"),
            (json!({}), "custom.driver: missing field `entryPoint`"),
            (json!({"entryPoint": 1}), "custom.driver.entryPoint: invalid type: integer `1`"),
            (
                json!({"entryPoint": "a", "arguments": [[1, 2, 3]]}),
                "custom.driver.arguments[0]: invalid length 3",
            ),
            (json!({"entryPoint": "a", "x": 1}), "custom.driver.x: unknown field `x`"),
        ] {
            let error = read(driver).unwrap_err();
            assert!(error.message().starts_with(message), "{error}");
        }
    }

    #[test]
    fn only_null_members_are_removed() {
        let object = json!({"a": null, "b": 0, "c": "", "d": [null], "e": {}, "f": false});
        let left = without_nulls(object.as_object().unwrap().clone());
        assert_eq!(left.keys().map(String::as_str).collect::<String>(), "bcdef");
        assert_eq!(left["d"], json!([null]));
    }
}
