//! Flyte's values for Snowflake: as bind variables, literals, or plain strings.
//!
//! Strings are those of Snowflake's Python connector, with which Flyte's own connector runs statements,
//! so that a workflow compares the same strings with both.

use plugin_core::{
    Value,
    digest::hex,
    jiff::{SignedDuration, civil::DateTime},
    serde_json::Value as Json,
};

/// `value` as a bind variable of the SQL API: its type and its text.
///
/// Times are bound as strings, not as `TIMESTAMP_TZ`: a string is converted to the type of the column, so
/// that a column without time zone compares with the time in UTC, as with Flyte's connector.
pub(crate) fn binding(value: &Value) -> (&'static str, String) {
    let kind = match value {
        Value::Integer(_) => "FIXED",
        Value::Float(_) => "REAL",
        Value::Boolean(_) => "BOOLEAN",
        Value::Bytes(_) => "BINARY",
        _ => "TEXT",
    };
    let text = match value {
        Value::Boolean(truth) => truth.to_string(),
        other => text(other),
    };
    (kind, text)
}

/// `value` as a literal in a statement.
pub(crate) fn literal(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        // In parentheses, because a minus before it would start a comment.
        Value::Integer(..0) => format!("({})", text(value)),
        Value::Float(number) if !number.is_finite() => format!("'{number}'::FLOAT"),
        Value::Float(number) if number.is_sign_negative() => format!("({})", text(value)),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) => text(value),
        Value::Bytes(_) => format!("X'{}'", text(value)),
        other => format!("'{}'", escape(&text(other))),
    }
}

/// `value` without quotes.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Boolean(truth) => truth.to_string().to_uppercase(),
        Value::Float(number) if number.is_finite() => format!("{number:?}"),
        Value::Float(number) => number.to_string(),
        Value::Datetime(at) => timestamp(*at),
        Value::Duration(span) => clock(*span),
        Value::Bytes(bytes) => hex(bytes).to_uppercase(),
        other => match other.to_json() {
            Json::String(text) => text,
            json => json.to_string(),
        },
    }
}

/// `text`, escaped for single quotes.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => escaped.push_str("\\\\"),
            '\'' => escaped.push_str("\\'"),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// As Python formats a `datetime` in UTC.
fn timestamp(at: DateTime) -> String {
    let (date, time) = (at.date(), at.time());
    let (hour, minute, second) = (time.hour(), time.minute(), time.second());
    let fraction = fraction(time.subsec_nanosecond().unsigned_abs() / 1000);
    format!("{date} {hour:02}:{minute:02}:{second:02}{fraction}+00:00")
}

/// Hours, minutes and seconds; days become hours.
fn clock(span: SignedDuration) -> String {
    let sign = if span.is_negative() { "-" } else { "" };
    let (seconds, micros) = (span.unsigned_abs().as_secs(), span.unsigned_abs().subsec_micros());
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{sign}{hours:02}:{minutes:02}:{seconds:02}{}", fraction(micros))
}

fn fraction(micros: u32) -> String {
    if micros == 0 { String::new() } else { format!(".{micros:06}") }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use plugin_core::serde_json::json;

    use super::*;

    #[test]
    fn every_type_has_a_binding_and_a_literal() {
        let at = |text: &str| Value::Datetime(text.parse().unwrap());
        let span = |seconds, nanos| Value::Duration(SignedDuration::new(seconds, nanos));
        let map = Value::Map(BTreeMap::from([("k".into(), Value::Integer(1))]));
        for (value, kind, bound, written) in [
            (Value::Integer(1), "FIXED", "1", "1"),
            (Value::Integer(-5), "FIXED", "-5", "(-5)"),
            (Value::Integer(i64::MIN), "FIXED", "-9223372036854775808", "(-9223372036854775808)"),
            (Value::Float(19.99), "REAL", "19.99", "19.99"),
            (Value::Float(-0.5), "REAL", "-0.5", "(-0.5)"),
            (Value::Float(1e300), "REAL", "1e300", "1e300"),
            (Value::Float(f64::NAN), "REAL", "NaN", "'NaN'::FLOAT"),
            (Value::Float(f64::NEG_INFINITY), "REAL", "-inf", "'-inf'::FLOAT"),
            (Value::Boolean(true), "BOOLEAN", "true", "TRUE"),
            (Value::String("O'Br\\n\n".into()), "TEXT", "O'Br\\n\n", "'O\\'Br\\\\n\\n'"),
            (Value::Bytes(vec![0, 255]), "BINARY", "00FF", "X'00FF'"),
            (
                at("2026-03-01T06:30:15.2500009"),
                "TEXT",
                "2026-03-01 06:30:15.250000+00:00",
                "'2026-03-01 06:30:15.250000+00:00'",
            ),
            (
                at("2020-01-02T03:04:05"),
                "TEXT",
                "2020-01-02 03:04:05+00:00",
                "'2020-01-02 03:04:05+00:00'",
            ),
            (span(90, 0), "TEXT", "00:01:30", "'00:01:30'"),
            (span(-90_061, -5_000), "TEXT", "-25:01:01.000005", "'-25:01:01.000005'"),
            (Value::Json(json!({"a": "'"})), "TEXT", r#"{"a":"'"}"#, r#"'{"a":"\'"}'"#),
            (map, "TEXT", r#"{"k":1}"#, r#"'{"k":1}'"#),
            (Value::Blob { uri: "s3://b/k".into() }, "TEXT", "s3://b/k", "'s3://b/k'"),
            (
                Value::structured_dataset("snowflake://u"),
                "TEXT",
                "snowflake://u",
                "'snowflake://u'",
            ),
        ] {
            assert_eq!(binding(&value), (kind, bound.to_owned()), "{value:?}");
            assert_eq!(literal(&value), written, "{value:?}");
        }
        assert_eq!(literal(&Value::Null), "NULL");
    }
}
