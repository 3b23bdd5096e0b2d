//! Inputs in plain JSON, for the short form of REST requests.

use serde_json::Value as Json;
use server_core::{Error, Result};

use super::{
    exact::{MAX_EXACT, rounded},
    path::Path,
};
use crate::task::Value;

/// Converts a JSON value to an input. `path` names it in errors.
///
/// # Errors
/// `InvalidArgument` with the path of an integer that would be rounded.
pub(crate) fn from_plain_json(path: &Path<'_>, json: Json) -> Result<Value> {
    Ok(match json {
        Json::Null => Value::Null,
        Json::Bool(truth) => Value::Boolean(truth),
        Json::Number(number) if number.is_u64() && !number.is_i64() => {
            let message =
                format!("{path}: does not fit a signed 64-bit integer; pass it as a string");
            return Err(Error::invalid(message));
        }
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Value::Integer(whole),
            None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::String(text),
        Json::Array(items) => {
            let items = items.into_iter().enumerate();
            let values = items.map(|(index, item)| from_plain_json(&path.item(index), item));
            Value::List(values.collect::<Result<_>>()?)
        }
        Json::Object(object) => {
            // Numbers in objects become doubles; only integers must be exact.
            object.iter().try_for_each(|(key, json)| check_whole(&path.member(key), json))?;
            Value::Json(Json::Object(object))
        }
    })
}

fn check_whole(path: &Path<'_>, json: &Json) -> Result<()> {
    let is_exact = |number: f64| number.abs() <= MAX_EXACT;
    match json {
        Json::Number(number) if !number.is_f64() && !number.as_f64().is_some_and(is_exact) => {
            Err(rounded(path))
        }
        Json::Array(items) => {
            let mut items = items.iter().enumerate();
            items.try_for_each(|(index, item)| check_whole(&path.item(index), item))
        }
        Json::Object(object) => {
            object.iter().try_for_each(|(key, json)| check_whole(&path.member(key), json))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn inexact_numbers_of_plain_json_are_refused_by_path() {
        let read = |json: Json| {
            from_plain_json(&Path::Root("inputs.x"), json).map(|value| value.to_json())
        };
        for exact in
            [json!(i64::MIN), json!([1, 0.5]), json!({"a": [1e300, 9_007_199_254_740_991_i64]})]
        {
            assert_eq!(read(exact.clone()).unwrap(), exact);
        }
        for (json, path) in [
            (json!(u64::MAX), "inputs.x: "),
            (json!([1, u64::MAX]), "inputs.x[1]: "),
            (json!({"a": [9_007_199_254_740_993_i64]}), "inputs.x.a[0]: "),
        ] {
            let error = read(json).unwrap_err().to_string();
            assert!(error.starts_with(path) && error.ends_with("as a string"), "{error}");
        }
    }
}
