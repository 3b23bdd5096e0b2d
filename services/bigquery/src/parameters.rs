//! Flyte inputs as BigQuery query parameters.
//!
//! Types come from the task's interface, never from the first item: a list may be empty. A type that the
//! author declares in `custom.queryParameters` takes precedence.

use std::{borrow::Cow, collections::BTreeMap, sync::LazyLock};

use plugin_core::{
    Error, Result, Type, Value,
    jiff::{
        SignedDuration,
        civil::{DateTime, Time},
    },
    serde_json::{Value as Json, json},
    task::Input,
};
use serde::{
    Serialize, Serializer,
    ser::{Error as _, SerializeMap as _, SerializeStruct as _},
};

/// A query parameter. It is written when it is sent: as JSON, each item of a list would take a kilobyte.
#[derive(Debug)]
pub(crate) struct Parameter<'a> {
    name: &'a str,
    ty: Cow<'static, Json>,
    value: &'a Value,
}

/// `@name` for `input`, of the type that the author `declared`, if any.
pub(crate) fn named<'a>(
    name: &'a str,
    input: &'a Input,
    declared: Option<Json>,
) -> Result<Parameter<'a>> {
    let wrong = |why| Error::invalid(format!("inputs.{name}: {why}"));
    let ty = match declared {
        Some(declared) => Cow::Owned(declared),
        None => parameter_type(&input.ty).map_err(wrong)?,
    };
    check(&input.value, &ty).map_err(wrong)?;
    Ok(Parameter { name, ty, value: &input.value })
}

impl Serialize for Parameter<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut parameter = to.serialize_struct("QueryParameter", 3)?;
        parameter.serialize_field("name", self.name)?;
        parameter.serialize_field("parameterType", &*self.ty)?;
        parameter.serialize_field("parameterValue", &Typed(self.value, &self.ty))?;
        parameter.end()
    }
}

/// The types without parts, by name: nearly every parameter has one of them.
static SCALARS: LazyLock<BTreeMap<&'static str, Json>> = LazyLock::new(|| {
    let names = ["BOOL", "BYTES", "FLOAT64", "INT64", "INTERVAL", "JSON", "STRING", "TIMESTAMP"];
    names.map(|name| (name, json!({ "type": name }))).into()
});

fn parameter_type(declared: &Type) -> Result<Cow<'static, Json>, &'static str> {
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
            return Ok(Cow::Owned(json!({ "type": "ARRAY", "arrayType": *parameter_type(item)? })));
        }
        // Strings; files and tables by their URI; and nulls without a type.
        _ => "STRING",
    };
    let known = SCALARS.get(scalar).map(Cow::Borrowed);
    Ok(known.unwrap_or_else(|| Cow::Owned(json!({ "type": scalar }))))
}

/// Checks that `value` can be of the type `ty`.
fn check(value: &Value, ty: &Json) -> Result<(), &'static str> {
    match value {
        Value::Datetime(at) => check_datetime(*at, ty["type"].as_str()),
        Value::List(items) => items.iter().try_for_each(|item| check(item, &ty["arrayType"])),
        Value::Map(entries) if is_struct(ty) => {
            entries.iter().try_for_each(|(name, field)| check(field, field_type(ty, name)))
        }
        _ => Ok(()),
    }
}

fn is_struct(ty: &Json) -> bool {
    ty["type"] == "STRUCT"
}

/// A value as a `QueryParameterValue` of a type.
struct Typed<'a>(&'a Value, &'a Json);

impl Serialize for Typed<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self(value, ty) = self;
        match value {
            Value::Null => to.serialize_map(Some(0))?.end(),
            Value::List(items) => array(to, items.iter().map(|item| Typed(item, &ty["arrayType"]))),
            Value::Datetime(at) => {
                scalar(to, &datetime(*at, ty["type"].as_str()).map_err(S::Error::custom)?)
            }
            Value::Map(entries) if is_struct(ty) => {
                let fields = entries.iter();
                fields_of(
                    to,
                    fields.map(|(name, field)| (name, Typed(field, field_type(ty, name)))),
                )
            }
            Value::Json(Json::Object(fields)) if is_struct(ty) => fields_of(
                to,
                fields.iter().map(|(name, field)| (name, TypedJson(field, field_type(ty, name)))),
            ),
            other => scalar(to, &text(other)),
        }
    }
}

/// A field of a dataclass as a `QueryParameterValue` of a type.
struct TypedJson<'a>(&'a Json, &'a Json);

impl Serialize for TypedJson<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self(field, ty) = self;
        match (field, ty["type"].as_str()) {
            (Json::Null, _) => to.serialize_map(Some(0))?.end(),
            (Json::String(text), _) => scalar(to, text),
            (Json::Array(items), Some("ARRAY")) => {
                array(to, items.iter().map(|item| TypedJson(item, &ty["arrayType"])))
            }
            (Json::Object(fields), Some("STRUCT")) => fields_of(
                to,
                fields.iter().map(|(name, field)| (name, TypedJson(field, field_type(ty, name)))),
            ),
            // Numbers in JSON have no type: 3.0 is an integer where the author says so.
            (Json::Number(number), Some("INT64" | "INTEGER")) => match number.as_f64() {
                Some(whole) if number.is_f64() && whole.fract() == 0.0 => {
                    scalar(to, &format!("{whole:.0}"))
                }
                _ => scalar(to, &number.to_string()),
            },
            (other, _) => scalar(to, &other.to_string()),
        }
    }
}

fn scalar<S: Serializer>(to: S, text: &str) -> Result<S::Ok, S::Error> {
    only(to, "value", text)
}

fn array<S: Serializer>(
    to: S,
    items: impl Iterator<Item = impl Serialize> + Clone,
) -> Result<S::Ok, S::Error> {
    only(to, "arrayValues", &Items(items))
}

fn fields_of<'a, S: Serializer>(
    to: S,
    fields: impl Iterator<Item = (&'a String, impl Serialize)> + Clone,
) -> Result<S::Ok, S::Error> {
    only(to, "structValues", &Fields(fields))
}

fn only<S: Serializer>(
    to: S,
    key: &'static str,
    value: &(impl Serialize + ?Sized),
) -> Result<S::Ok, S::Error> {
    let mut map = to.serialize_map(Some(1))?;
    map.serialize_entry(key, value)?;
    map.end()
}

struct Items<I>(I);

impl<T: Serialize, I: Iterator<Item = T> + Clone> Serialize for Items<I> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.0.clone())
    }
}

struct Fields<I>(I);

impl<'a, T: Serialize, I: Iterator<Item = (&'a String, T)> + Clone> Serialize for Fields<I> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.clone())
    }
}

/// The type of the field `name` of the struct `ty`.
fn field_type<'t>(ty: &'t Json, name: &str) -> &'t Json {
    let fields = ty["structTypes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let field = fields.iter().find(|field| field["name"] == name);
    field.map_or(&Json::Null, |field| &field["type"])
}

/// A scalar as the string that BigQuery parses.
fn text(value: &Value) -> String {
    match value {
        // Also "NaN" and "inf", which JSON does not have.
        Value::Float(number) => format!("{number:?}"),
        Value::Duration(span) => interval(*span),
        other => match other.to_json() {
            Json::String(text) => text,
            json => json.to_string(),
        },
    }
}

/// Checks that `at` can be of the type `ty`.
fn check_datetime(at: DateTime, ty: Option<&str>) -> Result<(), &'static str> {
    match ty {
        Some("DATE") if at.time() != Time::midnight() => {
            Err("has a time of day, but custom.queryParameters declares a DATE")
        }
        _ => Ok(()),
    }
}

/// `at` as a value of the type `ty`: Flyte has one type for dates and times.
fn datetime(at: DateTime, ty: Option<&str>) -> Result<String, &'static str> {
    check_datetime(at, ty)?;
    Ok(match ty {
        Some("DATE") => at.date().to_string(),
        Some("DATETIME") => micros(at).to_string(),
        Some("TIME") => micros(at).time().to_string(),
        _ => format!("{}Z", micros(at)),
    })
}

/// BigQuery stores microseconds and rejects more digits.
fn micros(at: DateTime) -> DateTime {
    let micros = at.subsec_nanosecond() / 1000 * 1000;
    at.with().subsec_nanosecond(micros).build().unwrap_or(at)
}

/// `Y-M D H:M:S.F`, the canonical form of an INTERVAL.
fn interval(span: SignedDuration) -> String {
    let sign = if span.is_negative() { "-" } else { "" };
    let (seconds, micros) = (span.unsigned_abs().as_secs(), span.unsigned_abs().subsec_micros());
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("0-0 0 {sign}{hours}:{minutes}:{seconds}.{micros:06}")
}

#[cfg(test)]
mod tests;
