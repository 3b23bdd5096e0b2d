//! Values as their task declares them.
//!
//! What a workflow takes out of a dataclass (`query(ids=settings.ids)`) reaches a task as `MessagePack`,
//! a list item by item, or, from a dataclass in the older form, as a double, whatever the task declares:
//! propeller does not know the type there
//! (`flytepropeller/pkg/controller/nodes/attr_path_resolver.go`). flytekit reads it by the declaration,
//! and so does this.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp, civil, tz::TimeZone};
use serde_json::{Map, Value as Json};
use server_core::{Error, Result};

use super::exact::MAX_EXACT;
use crate::task::{Type, Value};

/// `value` as `declared`. `path` names it in errors.
///
/// # Errors
/// `InvalidArgument` when it is JSON of another type, or a number with a fraction for an integer.
pub(super) fn fit(path: &str, value: Value, declared: &Type) -> Result<Value> {
    match (value, of_optional(declared)) {
        (Value::Json(json), declared) => from_json(path, json, declared),
        (Value::Float(number), Type::Integer) => whole(number).ok_or_else(|| {
            Error::invalid(format!("{path}: is {number}, but the task declares an integer"))
        }),
        (Value::List(items), Type::List(item)) => {
            let items = items.into_iter().enumerate();
            let fitted = items.map(|(index, each)| fit(&format!("{path}[{index}]"), each, item));
            fitted.collect::<Result<_>>().map(Value::List)
        }
        (Value::Map(entries), Type::Map(item)) => {
            let fitted = entries.into_iter().map(|(key, each)| {
                let each = fit(&format!("{path}.{key}"), each, item)?;
                Ok((key, each))
            });
            fitted.collect::<Result<_>>().map(Value::Map)
        }
        (value, _) => Ok(value),
    }
}

/// The type that an `Optional` is of; any other is itself.
pub(super) fn of_optional(declared: &Type) -> &Type {
    let Type::Union(members) = declared else { return declared };
    let mut members = members.iter().filter(|member| **member != Type::Null);
    match (members.next(), members.next()) {
        (Some(only), None) => only,
        _ => declared,
    }
}

fn from_json(path: &str, json: Json, declared: &Type) -> Result<Value> {
    let declared = of_optional(declared);
    let mismatch = |json: &Json| {
        let (is, wanted) = (kind_of(json), spelled(declared));
        Err(Error::invalid(format!("{path}: is {is}, but the task declares {wanted}")))
    };
    match (json, declared) {
        (Json::Null, _) => Ok(Value::Null),
        (json, Type::Json | Type::Unknown) => Ok(Value::Json(json)),
        (json, Type::Union(members)) => {
            let mut fitting = members.iter().map(|member| from_json(path, json.clone(), member));
            fitting.find_map(Result::ok).map_or_else(|| mismatch(&json), Ok)
        }
        (Json::Array(items), Type::List(_)) => {
            fit(path, Value::List(items.into_iter().map(Value::Json).collect()), declared)
        }
        (Json::Object(entries), Type::Map(_)) => {
            let entries = entries.into_iter().map(|(key, each)| (key, Value::Json(each)));
            fit(path, Value::Map(entries.collect::<BTreeMap<_, _>>()), declared)
        }
        (json, _) => from_scalar(&json, declared).map_or_else(|| mismatch(&json), Ok),
    }
}

/// As mashumaro writes a dataclass's fields: times in ISO 8601, spans in seconds.
fn from_scalar(json: &Json, declared: &Type) -> Option<Value> {
    Some(match (json, declared) {
        (Json::Bool(truth), Type::Boolean) => Value::Boolean(*truth),
        (Json::Number(number), Type::Integer) => match number.as_i64() {
            Some(number) => Value::Integer(number),
            None => whole(number.as_f64()?)?,
        },
        (Json::Number(number), Type::Float) => Value::Float(number.as_f64()?),
        (Json::Number(number), Type::Duration) => {
            Value::Duration(SignedDuration::try_from_secs_f64(number.as_f64()?).ok()?)
        }
        (Json::String(text), Type::String) => Value::String(text.clone()),
        (Json::String(text), Type::Datetime) => Value::Datetime(datetime(text)?),
        (Json::Object(object), Type::Blob) => Value::Blob { uri: text_of(object, "path")? },
        (Json::Object(object), Type::StructuredDataset) => Value::StructuredDataset {
            uri: text_of(object, "uri")?,
            format: text_of(object, "file_format").unwrap_or_default(),
        },
        _ => return None,
    })
}

fn text_of(object: &Map<String, Json>, name: &str) -> Option<String> {
    object.get(name)?.as_str().map(str::to_owned)
}

/// In UTC, which a text without a zone is taken to be in.
fn datetime(text: &str) -> Option<civil::DateTime> {
    match text.parse::<Timestamp>() {
        Ok(at) => Some(at.to_zoned(TimeZone::UTC).datetime()),
        Err(_) => text.parse().ok(),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "whole, and within ±2^53")]
fn whole(number: f64) -> Option<Value> {
    let exact = number.fract() == 0.0 && number.abs() <= MAX_EXACT;
    exact.then_some(Value::Integer(number as i64))
}

fn kind_of(json: &Json) -> &'static str {
    match json {
        Json::Null => "nothing",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::String(_) => "a text",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    }
}

fn spelled(declared: &Type) -> &'static str {
    match declared {
        Type::Null => "nothing",
        Type::Integer => "an integer",
        Type::Float => "a number",
        Type::String => "a text",
        Type::Boolean => "a boolean",
        Type::Datetime => "a datetime",
        Type::Duration => "a duration",
        Type::Bytes => "bytes",
        Type::Json | Type::Unknown => "an object",
        Type::List(_) => "a list",
        Type::Map(_) => "a map",
        Type::Union(_) => "something else",
        Type::Blob => "a file",
        Type::Schema | Type::StructuredDataset => "a table",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn list(item: Type) -> Type {
        Type::List(Box::new(item))
    }

    fn optional(member: Type) -> Type {
        Type::Union(vec![member, Type::Null])
    }

    #[test]
    fn what_comes_from_a_dataclass_is_what_the_task_declares() {
        let map = BTreeMap::from([("k".to_owned(), Value::Integer(1))]);
        let numbers = Value::List(vec![Value::Integer(1), Value::Integer(2)]);
        let file = json!({"path": "s3://b/f", "metadata": null});
        let table = json!({"uri": "bq://p:d.t", "file_format": "parquet"});
        let at = || Value::Datetime("2026-03-01T10:00:00.5".parse().unwrap());
        for (json, declared, expected) in [
            (json!(42), Type::Integer, Value::Integer(42)),
            (json!(42.0), Type::Integer, Value::Integer(42)),
            (json!(42), Type::Float, Value::Float(42.0)),
            (json!("x"), Type::String, Value::String("x".to_owned())),
            (json!(true), Type::Boolean, Value::Boolean(true)),
            (json!([1, 2]), list(Type::Integer), numbers.clone()),
            (json!([1, 2]), optional(list(Type::Integer)), numbers),
            (json!({"k": 1}), Type::Map(Box::new(Type::Integer)), Value::Map(map)),
            (json!(null), optional(Type::String), Value::Null),
            (json!(null), optional(Type::Json), Value::Null),
            (json!([null]), list(optional(Type::Integer)), Value::List(vec![Value::Null])),
            (json!({"k": [1]}), Type::Json, Value::Json(json!({"k": [1]}))),
            (json!("2026-03-01T12:00:00.5+02:00"), Type::Datetime, at()),
            (json!("2026-03-01T10:00:00.5"), Type::Datetime, at()),
            (
                json!("2026-03-01"),
                Type::Datetime,
                Value::Datetime("2026-03-01T00:00:00".parse().unwrap()),
            ),
            (json!(-1.5), Type::Duration, Value::Duration(SignedDuration::from_millis(-1500))),
            (file, Type::Blob, Value::Blob { uri: "s3://b/f".to_owned() }),
            (
                table,
                Type::StructuredDataset,
                Value::StructuredDataset {
                    uri: "bq://p:d.t".to_owned(),
                    format: "parquet".to_owned(),
                },
            ),
            (
                json!("x"),
                Type::Union(vec![Type::Integer, Type::String]),
                Value::String("x".to_owned()),
            ),
        ] {
            let fitted = fit("x", Value::Json(json.clone()), &declared);
            assert_eq!(fitted.unwrap(), expected, "{json} as {declared:?}");
        }
    }

    #[test]
    fn a_double_for_an_integer_is_one() {
        assert_eq!(fit("x", Value::Float(42.0), &Type::Integer).unwrap(), Value::Integer(42));
        assert_eq!(fit("x", Value::Float(42.0), &Type::Float).unwrap(), Value::Float(42.0));
        let error = fit("inputs.x", Value::Float(0.5), &optional(Type::Integer)).unwrap_err();
        assert_eq!(error.to_string(), "inputs.x: is 0.5, but the task declares an integer");
    }

    #[test]
    fn what_does_not_fit_is_refused_by_its_path() {
        for (json, declared, words) in [
            (json!("x"), Type::Integer, "inputs.x: is a text, but the task declares an integer"),
            (json!(7), Type::String, "inputs.x: is a number, but the task declares a text"),
            (
                json!([1, "x"]),
                list(Type::Integer),
                "inputs.x[1]: is a text, but the task declares an integer",
            ),
            (
                json!(u64::MAX),
                Type::Integer,
                "inputs.x: is a number, but the task declares an integer",
            ),
            (
                json!("soon"),
                Type::Datetime,
                "inputs.x: is a text, but the task declares a datetime",
            ),
        ] {
            let error = fit("inputs.x", Value::Json(json), &declared).unwrap_err();
            assert_eq!(error.to_string(), words);
        }
    }
}
