//! Flyte inputs as BigQuery query parameters.
//!
//! Types come from the task's interface, never from the first item: a list may be empty.

use plugin_core::{
    Error, Result, Type, Value,
    jiff::{SignedDuration, civil::DateTime},
    serde_json::{Value as Json, json},
    task::Input,
};

/// `@name` for `input`.
pub(crate) fn named(name: &str, input: &Input) -> Result<Json> {
    let wrong = |why| Error::invalid(format!("inputs.{name}: {why}"));
    Ok(json!({
        "name": name,
        "parameterType": parameter_type(&input.ty).map_err(wrong)?,
        "parameterValue": value(&input.value),
    }))
}

fn parameter_type(declared: &Type) -> Result<Json, &'static str> {
    let scalar = match declared.without_null() {
        Type::Integer => "INT64",
        Type::Float => "FLOAT64",
        Type::Boolean => "BOOL",
        // Flyte's datetimes are instants; DATETIME would drop the zone.
        Type::Datetime => "TIMESTAMP",
        Type::Duration => "INTERVAL",
        Type::Bytes => "BYTES",
        Type::Json | Type::Map(_) => "JSON",
        Type::List(item) if matches!(item.without_null(), Type::List(_)) => {
            return Err("BigQuery has no arrays of arrays");
        }
        Type::List(item) if matches!(**item, Type::Union(_)) => {
            return Err("BigQuery has no arrays of mixed types");
        }
        Type::List(item) => {
            return Ok(json!({ "type": "ARRAY", "arrayType": parameter_type(item)? }));
        }
        // Strings; files and tables by their URI; and nulls without a type.
        _ => "STRING",
    };
    Ok(json!({ "type": scalar }))
}

fn value(value: &Value) -> Json {
    match value {
        Value::Null => json!({}),
        Value::List(items) => {
            json!({ "arrayValues": items.iter().map(self::value).collect::<Vec<_>>() })
        }
        scalar => json!({ "value": text(scalar) }),
    }
}

/// A scalar as the string that BigQuery parses.
fn text(value: &Value) -> String {
    match value {
        // Also "NaN" and "inf", which JSON does not have.
        Value::Float(number) => format!("{number:?}"),
        Value::Datetime(at) => timestamp(*at),
        Value::Duration(span) => interval(*span),
        other => match other.to_json() {
            Json::String(text) => text,
            json => json.to_string(),
        },
    }
}

/// BigQuery stores microseconds and rejects more digits.
fn timestamp(at: DateTime) -> String {
    let micros = at.subsec_nanosecond() / 1000 * 1000;
    format!("{}Z", at.with().subsec_nanosecond(micros).build().unwrap_or(at))
}

/// `Y-M D H:M:S.F`, the canonical form of an INTERVAL.
fn interval(span: SignedDuration) -> String {
    let sign = if span.is_negative() { "-" } else { "" };
    let (seconds, micros) = (span.unsigned_abs().as_secs(), span.unsigned_abs().subsec_micros());
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("0-0 0 {sign}{hours}:{minutes}:{seconds}.{micros:06}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn parameter(value: Value, ty: Type) -> Result<(Json, Json)> {
        let mut named = named("x", &Input::new(value, ty))?;
        Ok((named["parameterType"].take(), named["parameterValue"].take()))
    }

    fn scalar(kind: &str, value: &str) -> (Json, Json) {
        (json!({ "type": kind }), json!({ "value": value }))
    }

    #[test]
    fn every_scalar_has_a_type_and_a_value() {
        let at = |text: &str| Value::Datetime(text.parse().unwrap());
        let optional = Type::Union(vec![Type::Null, Type::Integer]);
        for (value, kind, expected) in [
            (Value::Integer(i64::MIN), Type::Integer, scalar("INT64", "-9223372036854775808")),
            (Value::Float(19.99), Type::Float, scalar("FLOAT64", "19.99")),
            (Value::Float(f64::NAN), Type::Float, scalar("FLOAT64", "NaN")),
            (Value::Float(f64::NEG_INFINITY), Type::Float, scalar("FLOAT64", "-inf")),
            (Value::String("O'Brien".into()), Type::String, scalar("STRING", "O'Brien")),
            (Value::Boolean(true), Type::Boolean, scalar("BOOL", "true")),
            (
                at("2026-03-01T06:30:15.2500009"),
                Type::Datetime,
                scalar("TIMESTAMP", "2026-03-01T06:30:15.25Z"),
            ),
            (
                Value::Duration(SignedDuration::new(93603, 250_000_000)),
                Type::Duration,
                scalar("INTERVAL", "0-0 0 26:0:3.250000"),
            ),
            (
                Value::Duration(SignedDuration::new(-86399, -999_995_000)),
                Type::Duration,
                scalar("INTERVAL", "0-0 0 -23:59:59.999995"),
            ),
            (Value::Bytes(vec![0, 255]), Type::Bytes, scalar("BYTES", "AP8=")),
            (Value::Json(json!({"a": 1})), Type::Json, scalar("JSON", r#"{"a":1}"#)),
            (
                Value::Map(BTreeMap::from([("k".into(), Value::Integer(1))])),
                Type::Map(Box::new(Type::Integer)),
                scalar("JSON", r#"{"k":1}"#),
            ),
            (
                Value::structured_dataset("bq://p:d.t"),
                Type::StructuredDataset,
                scalar("STRING", "bq://p:d.t"),
            ),
            (Value::Null, optional, (json!({"type": "INT64"}), json!({}))),
            (Value::Null, Type::Null, (json!({"type": "STRING"}), json!({}))),
        ] {
            assert_eq!(parameter(value.clone(), kind).unwrap(), expected, "{value:?}");
        }
    }

    #[test]
    fn list_types_come_from_the_interface() {
        let array = |item: &str| json!({"type": "ARRAY", "arrayType": {"type": item}});
        let list = |kind| Type::List(Box::new(kind));
        for (items, kind, expected) in [
            (vec![], Type::Integer, (array("INT64"), json!({"arrayValues": []}))),
            (
                vec![Value::Integer(1), Value::Integer(2)],
                Type::Integer,
                (array("INT64"), json!({"arrayValues": [{"value": "1"}, {"value": "2"}]})),
            ),
            (vec![], Type::Unknown, (array("STRING"), json!({"arrayValues": []}))),
        ] {
            assert_eq!(parameter(Value::List(items), list(kind)).unwrap(), expected);
        }
        let mixed = list(Type::Union(vec![Type::Integer, Type::String]));
        let mixed = parameter(Value::List(vec![]), mixed).unwrap_err();
        assert_eq!(mixed.to_string(), "inputs.x: BigQuery has no arrays of mixed types");
        let nested = parameter(Value::List(vec![]), list(list(Type::Integer))).unwrap_err();
        assert_eq!(nested.to_string(), "inputs.x: BigQuery has no arrays of arrays");
    }
}
