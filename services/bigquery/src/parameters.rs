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
mod tests {
    use std::collections::BTreeMap;

    use plugin_core::serde_json;

    use super::*;

    fn written(parameter: &Parameter<'_>) -> Json {
        serde_json::to_value(parameter).unwrap()
    }

    fn parameter(value: Value, ty: Type) -> Result<(Json, Json)> {
        let mut named = written(&named("x", &Input::new(value, ty), None)?);
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

    #[test]
    fn declared_types_take_precedence() {
        let midnight = Value::Datetime("2026-03-01T00:00:00".parse().unwrap());
        let later = Value::Datetime("2026-03-01T06:30:15.2500009".parse().unwrap());
        let list = Value::List(vec![midnight.clone(), Value::Null]);
        let item = Value::Json(json!({"id": 3.0, "tags": ["a"], "price": 0.1, "none": null}));
        let scalar = |kind: &str| json!({ "type": kind });
        let dates = json!({"type": "ARRAY", "arrayType": {"type": "DATE"}});
        let item_type = json!({"type": "STRUCT", "structTypes": [
            {"name": "id", "type": {"type": "INT64"}},
            {"name": "tags", "type": {"type": "ARRAY", "arrayType": {"type": "STRING"}}},
        ]});
        for (value, declared, expected) in [
            (&midnight, scalar("DATE"), json!({"value": "2026-03-01"})),
            (&midnight, scalar("DATETIME"), json!({"value": "2026-03-01T00:00:00"})),
            (&later, scalar("DATETIME"), json!({"value": "2026-03-01T06:30:15.25"})),
            (&later, scalar("TIME"), json!({"value": "06:30:15.25"})),
            (&later, scalar("TIMESTAMP"), json!({"value": "2026-03-01T06:30:15.25Z"})),
            (&list, dates, json!({"arrayValues": [{"value": "2026-03-01"}, {}]})),
            (&Value::Float(0.1), scalar("NUMERIC"), json!({"value": "0.1"})),
            (
                &item,
                item_type,
                json!({"structValues": {
                    "id": {"value": "3"},
                    "tags": {"arrayValues": [{"value": "a"}]},
                    "price": {"value": "0.1"},
                    "none": {},
                }}),
            ),
        ] {
            let input = Input::new(value.clone(), Type::of(value));
            let found = written(&named("x", &input, Some(declared.clone())).unwrap());
            assert_eq!((&found["parameterType"], &found["parameterValue"]), (&declared, &expected));
        }
        let fraction = Value::Json(json!({"id": 3.5, "count": 3}));
        let counts = json!({"type": "STRUCT", "structTypes": [
            {"name": "id", "type": {"type": "INT64"}}, {"name": "count", "type": {"type": "INT64"}},
        ]});
        let fraction = Input::new(fraction, Type::Json);
        let found = written(&named("x", &fraction, Some(counts)).unwrap());
        let expected = json!({"structValues": {"id": {"value": "3.5"}, "count": {"value": "3"}}});
        assert_eq!(found["parameterValue"], expected);
    }

    #[test]
    fn times_of_day_are_no_dates_at_any_depth() {
        let later = Value::Datetime("2026-03-01T06:30:15.25".parse().unwrap());
        let date = json!({"type": "DATE"});
        let dates = json!({"type": "ARRAY", "arrayType": date});
        let dated =
            json!({"type": "STRUCT", "structTypes": [{"name": "on", "type": {"type": "DATE"}}]});
        let map = Value::Map(BTreeMap::from([("on".to_owned(), later.clone())]));
        for (value, declared) in
            [(later.clone(), date), (Value::List(vec![later]), dates), (map.clone(), dated)]
        {
            let input = Input::new(value, Type::Unknown);
            let error = named("x", &input, Some(declared.clone()));
            let message = "inputs.x: has a time of day, but custom.queryParameters declares a DATE";
            assert_eq!(error.unwrap_err().to_string(), message, "{declared}");
        }
        let timed = json!({"type": "STRUCT", "structTypes": [{"name": "on", "type": {"type": "DATETIME"}}]});
        let input = Input::new(map.clone(), Type::Unknown);
        let found = written(&named("x", &input, Some(timed)).unwrap());
        let expected = json!({"structValues": {"on": {"value": "2026-03-01T06:30:15.25"}}});
        assert_eq!(found["parameterValue"], expected);
        // Only a STRUCT has fields.
        let input = Input::new(map, Type::Unknown);
        assert!(named("x", &input, Some(json!({"type": "JSON"}))).is_ok());
    }
}
