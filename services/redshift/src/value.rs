//! Flyte's values as the Data API's parameters, which are strings: Redshift converts them to the type that the statement
//! needs.

use plugin_core::{
    Value,
    digest::hex,
    jiff::{SignedDuration, civil::DateTime},
    serde_json::Value as Json,
};

/// The string for `value`; `None` for null.
pub(crate) fn text(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => return None,
        Value::Float(number) if number.is_nan() => "NaN".to_owned(),
        Value::Float(number) if number.is_infinite() => {
            if *number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()
        }
        Value::Float(number) => format!("{number:?}"),
        Value::Boolean(truth) => truth.to_string(),
        Value::Datetime(at) => timestamp(*at),
        Value::Duration(span) => clock(*span),
        Value::Bytes(bytes) => hex(bytes),
        Value::Blob { uri } | Value::Schema { uri } | Value::StructuredDataset { uri, .. } => {
            uri.clone()
        }
        other => match other.to_json() {
            Json::String(text) => text,
            json => json.to_string(),
        },
    })
}

/// `2026-03-01 06:30:15.250000+00`: a TIMESTAMP ignores the zone, a TIMESTAMPTZ needs it.
fn timestamp(at: DateTime) -> String {
    let (date, time) = (at.date(), at.time());
    let (hour, minute, second) = (time.hour(), time.minute(), time.second());
    let fraction = fraction(time.subsec_nanosecond().unsigned_abs() / 1000);
    format!("{date} {hour:02}:{minute:02}:{second:02}{fraction}+00")
}

/// Hours, minutes and seconds, as an INTERVAL; days become hours.
fn clock(span: SignedDuration) -> String {
    let sign = if span.is_negative() { "-" } else { "" };
    let (seconds, micros) = (span.unsigned_abs().as_secs(), span.unsigned_abs().subsec_micros());
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{sign}{hours:02}:{minutes:02}:{seconds:02}{}", fraction(micros))
}

fn fraction(micros: u32) -> String {
    if micros == 0 { String::new() } else { format!(".{micros:06}") }
}
