//! Conversion of values to the types that the task declares.
//!
//! A dataclass attribute that a workflow passes to a task (`query(ids=settings.ids)`) arrives as
//! `MessagePack`, a list item by item, or, from a dataclass in the older form, as a double, whatever the
//! task declares: propeller does not know the type
//! (`flytepropeller/pkg/controller/nodes/attr_path_resolver.go`). flytekit converts it to the declared type,
//! and so does this module.

use std::{borrow::Cow, collections::BTreeMap};

use jiff::{SignedDuration, Timestamp, civil, tz::TimeZone};
use serde_json::{Map, Value as Json};
use server_core::{Error, Result, text::cut};

use super::{exact::MAX_EXACT, path::Path};
use crate::task::{Type, Value};

/// The longest duration of protobuf, 10,000 years, in seconds.
const MAX_DURATION: u64 = 315_576_000_000;
/// The most bytes of an enum's values in an error.
const MAX_SPELLED: usize = 300;

/// Converts `value` to the type `declared`. `path` names it in errors.
///
/// # Errors
/// `InvalidArgument` for JSON of another type, and for a fractional number declared as an integer.
pub(super) fn fit(path: &Path<'_>, value: Value, declared: &Type) -> Result<Value> {
    match (value, of_optional(declared)) {
        (Value::Json(json), declared) => from_json(path, json, declared),
        (Value::Float(number), Type::Integer) => whole(number).ok_or_else(|| {
            Error::invalid(format!("{path}: is {number}, but the task declares an integer"))
        }),
        (Value::List(items), Type::List(item)) => {
            let items = items.into_iter().enumerate();
            let fitted = items.map(|(index, each)| fit(&path.item(index), each, item));
            fitted.collect::<Result<_>>().map(Value::List)
        }
        (Value::Map(entries), Type::Map(item)) => {
            let fitted = entries.into_iter().map(|(key, each)| {
                let each = fit(&path.member(&key), each, item)?;
                Ok((key, each))
            });
            fitted.collect::<Result<_>>().map(Value::Map)
        }
        (value, _) => Ok(value),
    }
}

/// The type `X` of `Optional[X]`; any other type unchanged.
pub(super) fn of_optional(declared: &Type) -> &Type {
    let Type::Union(members) = declared else { return declared };
    let mut members = members.iter().filter(|member| **member != Type::Null);
    match (members.next(), members.next()) {
        (Some(only), None) => only,
        _ => declared,
    }
}

fn from_json(path: &Path<'_>, json: Json, declared: &Type) -> Result<Value> {
    let declared = of_optional(declared);
    let mismatch = |json: &Json| {
        let (is, wanted) = (spelled_value(json, declared), spelled(declared));
        Err(Error::invalid(format!("{path}: is {is}, but the task declares {wanted}")))
    };
    match (json, declared) {
        (Json::Null, _) => Ok(Value::Null),
        (json, Type::Json | Type::Unknown) => Ok(Value::Json(json)),
        (json, Type::Union(members)) => {
            let fitting = members.iter().find_map(|member| from_member(path, &json, member));
            fitting.map_or_else(|| mismatch(&json), Ok)
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

/// `json` as the member `declared` of a union. Only what may be of that type is copied.
fn from_member(path: &Path<'_>, json: &Json, declared: &Type) -> Option<Value> {
    match (json, of_optional(declared)) {
        (_, Type::Json | Type::Unknown | Type::Union(_))
        | (Json::Array(_), Type::List(_))
        | (Json::Object(_), Type::Map(_)) => from_json(path, json.clone(), declared).ok(),
        (scalar, declared) => from_scalar(scalar, declared),
    }
}

/// Reads a scalar as mashumaro serialises dataclasses: times in ISO 8601, durations in seconds.
fn from_scalar(json: &Json, declared: &Type) -> Option<Value> {
    Some(match (json, declared) {
        (Json::Bool(truth), Type::Boolean) => Value::Boolean(*truth),
        (Json::Number(number), Type::Integer) => match number.as_i64() {
            Some(number) => Value::Integer(number),
            None => whole(number.as_f64()?)?,
        },
        (Json::Number(number), Type::Float) => Value::Float(number.as_f64()?),
        (Json::Number(number), Type::Duration) => {
            let span = SignedDuration::try_from_secs_f64(number.as_f64()?).ok()?;
            (span.as_secs().unsigned_abs() <= MAX_DURATION).then_some(Value::Duration(span))?
        }
        (Json::String(text), Type::String) => Value::String(text.clone()),
        (Json::String(text), Type::Enum(values)) => {
            (values.is_empty() || values.contains(text)).then(|| Value::String(text.clone()))?
        }
        (Json::String(text), Type::Datetime) => Value::Datetime(datetime(text)?),
        (Json::Object(object), Type::Blob) => Value::Blob { uri: string_of(object, "path")? },
        (Json::Object(object), Type::StructuredDataset) => Value::StructuredDataset {
            uri: string_of(object, "uri")?,
            format: string_of(object, "file_format").unwrap_or_default(),
        },
        _ => return None,
    })
}

fn string_of(object: &Map<String, Json>, name: &str) -> Option<String> {
    object.get(name)?.as_str().map(str::to_owned)
}

/// A time in UTC; a string without an offset is taken for UTC.
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

pub(super) fn kind_of(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::String(_) => "a string",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    }
}

/// What `json` is, for an error. Where an enum is declared, a string is quoted.
fn spelled_value(json: &Json, declared: &Type) -> Cow<'static, str> {
    match (json, declared) {
        (Json::String(text), Type::Enum(_)) => cut(format!("{text:?}"), MAX_SPELLED),
        _ => kind_of(json).into(),
    }
}

fn spelled(declared: &Type) -> Cow<'static, str> {
    let spelled = match declared {
        Type::Enum(values) if !values.is_empty() => {
            let values = values.iter().map(|value| format!("{value:?}")).collect::<Vec<_>>();
            return format!("one of {}", cut(values.join(", "), MAX_SPELLED)).into();
        }
        Type::Null => "null",
        Type::Integer => "an integer",
        Type::Float => "a number",
        Type::String | Type::Enum(_) => "a string",
        Type::Boolean => "a boolean",
        Type::Datetime => "a datetime",
        Type::Duration => "a duration",
        Type::Bytes => "bytes",
        Type::Json | Type::Unknown => "an object",
        Type::List(_) => "a list",
        Type::Map(_) => "a map",
        Type::Union(_) => "another type",
        Type::Blob => "a file",
        Type::Schema | Type::StructuredDataset => "a table",
    };
    spelled.into()
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
    fn dataclass_attributes_become_the_declared_type() {
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
            let fitted = fit(&Path::Root("x"), Value::Json(json.clone()), &declared);
            assert_eq!(fitted.unwrap(), expected, "{json} as {declared:?}");
        }
    }

    #[test]
    fn a_whole_double_becomes_a_declared_integer() {
        assert_eq!(
            fit(&Path::Root("x"), Value::Float(42.0), &Type::Integer).unwrap(),
            Value::Integer(42)
        );
        assert_eq!(
            fit(&Path::Root("x"), Value::Float(42.0), &Type::Float).unwrap(),
            Value::Float(42.0)
        );
        let error =
            fit(&Path::Root("inputs.x"), Value::Float(0.5), &optional(Type::Integer)).unwrap_err();
        assert_eq!(error.to_string(), "inputs.x: is 0.5, but the task declares an integer");
    }

    #[test]
    fn mismatched_values_are_refused_by_path() {
        for (json, declared, message) in [
            (json!("x"), Type::Integer, "inputs.x: is a string, but the task declares an integer"),
            (json!(7), Type::String, "inputs.x: is a number, but the task declares a string"),
            (
                json!([1, "x"]),
                list(Type::Integer),
                "inputs.x[1]: is a string, but the task declares an integer",
            ),
            (
                json!(u64::MAX),
                Type::Integer,
                "inputs.x: is a number, but the task declares an integer",
            ),
            (
                json!("soon"),
                Type::Datetime,
                "inputs.x: is a string, but the task declares a datetime",
            ),
        ] {
            let error = fit(&Path::Root("inputs.x"), Value::Json(json), &declared).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    }
}
