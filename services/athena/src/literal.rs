//! Flyte's values as literals of Trino's SQL.
//!
//! <https://trino.io/docs/current/language/types.html>, of which Athena's engine version 3 is a build.

use plugin_core::{
    Error, Result, Value,
    digest::hex,
    jiff::{SignedDuration, civil::DateTime},
    serde_json::Value as Json,
};

/// `value`, found as `name`, as a literal.
///
/// # Errors
/// `InvalidArgument` for what has no literal, such as a list.
pub(crate) fn literal(name: &str, value: &Value) -> Result<String> {
    Ok(match value {
        Value::Null => "NULL".to_owned(),
        Value::Boolean(truth) => truth.to_string(),
        // In parentheses, because a minus before it would start a comment.
        Value::Integer(..0) => format!("({})", text(value)),
        Value::Float(number) if !number.is_finite() => {
            return refuse(name, "must be a finite number");
        }
        Value::Float(number) if number.is_sign_negative() => format!("({})", text(value)),
        Value::Integer(_) | Value::Float(_) => text(value),
        Value::Datetime(at) => format!("TIMESTAMP '{}'", timestamp(*at)),
        Value::Duration(span) => interval(name, *span)?,
        Value::Bytes(bytes) => format!("X'{}'", hex(bytes).to_uppercase()),
        Value::List(_) => return refuse(name, "must not be a list here"),
        other => quoted(&text(other)),
    })
}

/// `value` as propeller's Go plugin wrote it into a statement; a list is its items in brackets.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Float(number) => format!("{number:?}"),
        Value::Bytes(bytes) => hex(bytes).to_uppercase(),
        Value::List(items) => {
            let items = items.iter().map(text).collect::<Vec<_>>();
            format!("[{}]", items.join(","))
        }
        other => match other.to_json() {
            Json::String(text) => text,
            json => json.to_string(),
        },
    }
}

/// `text` as a string literal.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A time as a literal of the type `TIMESTAMP` has it: milliseconds, or microseconds or nanoseconds if it has any.
pub(crate) fn timestamp(at: DateTime) -> String {
    let (date, time) = (at.date(), at.time());
    let (hour, minute, second) = (time.hour(), time.minute(), time.second());
    let nanos = time.subsec_nanosecond().unsigned_abs();
    let fraction = match (nanos % 1_000_000, nanos % 1000) {
        (0, _) => format!("{:03}", nanos / 1_000_000),
        (_, 0) => format!("{:06}", nanos / 1000),
        _ => format!("{nanos:09}"),
    };
    format!("{date} {hour:02}:{minute:02}:{second:02}.{fraction}")
}

/// The day of a time at midnight, which is how Python's `date` arrives.
pub(crate) fn date(name: &str, at: DateTime) -> Result<String> {
    match at.time() == plugin_core::jiff::civil::Time::midnight() {
        true => Ok(at.date().to_string()),
        false => refuse(name, "must be a date, because it has the type DATE here, but has a time"),
    }
}

fn interval(name: &str, span: SignedDuration) -> Result<String> {
    let (seconds, nanos) = (span.unsigned_abs().as_secs(), span.unsigned_abs().subsec_nanos());
    if nanos % 1_000_000 != 0 {
        return refuse(name, "must be whole milliseconds, because Athena's intervals are");
    }
    let sign = if span.is_negative() { "-" } else { "" };
    Ok(format!("INTERVAL '{sign}{seconds}.{:03}' SECOND", nanos / 1_000_000))
}

fn refuse<T>(name: &str, why: &str) -> Result<T> {
    Err(Error::invalid(format!("{name}: {why}")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use plugin_core::serde_json::json;

    use super::*;

    #[test]
    fn every_type_has_a_literal_and_a_text() {
        let at = |text: &str| Value::Datetime(text.parse().unwrap());
        let span = |seconds, nanos| Value::Duration(SignedDuration::new(seconds, nanos));
        let map = Value::Map(BTreeMap::from([("k".into(), Value::Integer(1))]));
        for (value, expected, plain) in [
            (Value::Null, "NULL", ""),
            (Value::Boolean(true), "true", "true"),
            (Value::Integer(7), "7", "7"),
            (Value::Integer(i64::MIN), "(-9223372036854775808)", "-9223372036854775808"),
            (Value::Float(19.99), "19.99", "19.99"),
            (Value::Float(-0.5), "(-0.5)", "-0.5"),
            (Value::Float(1e300), "1e300", "1e300"),
            (Value::String("O'Br\\".into()), "'O''Br\\'", "O'Br\\"),
            (Value::Bytes(vec![0, 255]), "X'00FF'", "00FF"),
            (
                at("2026-03-01T06:30:15.25"),
                "TIMESTAMP '2026-03-01 06:30:15.250'",
                "2026-03-01T06:30:15.25Z",
            ),
            (
                at("2026-03-01T00:00:00.000001"),
                "TIMESTAMP '2026-03-01 00:00:00.000001'",
                "2026-03-01T00:00:00.000001Z",
            ),
            (span(90, 250_000_000), "INTERVAL '90.250' SECOND", "PT1M30.25S"),
            (span(-90, 0), "INTERVAL '-90.000' SECOND", "-PT1M30S"),
            (Value::Json(json!({"a": "'"})), r#"'{"a":"''"}'"#, r#"{"a":"'"}"#),
            (map, r#"'{"k":1}'"#, r#"{"k":1}"#),
            (Value::Blob { uri: "s3://b/k".into() }, "'s3://b/k'", "s3://b/k"),
            (Value::structured_dataset("s3://b/t"), "'s3://b/t'", "s3://b/t"),
        ] {
            assert_eq!(literal("inputs.x", &value).unwrap(), expected, "{value:?}");
            assert_eq!(text(&value), plain, "{value:?}");
        }
        assert_eq!(text(&Value::List(vec![Value::Integer(1), Value::Integer(2)])), "[1,2]");
    }

    #[test]
    fn what_has_no_literal_is_refused_by_name() {
        for (value, why) in [
            (Value::Float(f64::NAN), "must be a finite number"),
            (Value::Float(f64::INFINITY), "must be a finite number"),
            (Value::Duration(SignedDuration::new(0, 1)), "must be whole milliseconds"),
            (Value::List(vec![]), "must not be a list here"),
        ] {
            let error = literal("inputs.x", &value).unwrap_err();
            assert!(error.message().starts_with(&format!("inputs.x: {why}")), "{error}");
        }
        let noon = "2026-03-01T12:00:00".parse().unwrap();
        assert!(date("inputs.d", noon).is_err());
        assert_eq!(date("inputs.d", "2026-03-01T00:00:00".parse().unwrap()).unwrap(), "2026-03-01");
    }
}
