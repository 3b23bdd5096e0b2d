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
    let timed =
        json!({"type": "STRUCT", "structTypes": [{"name": "on", "type": {"type": "DATETIME"}}]});
    let input = Input::new(map.clone(), Type::Unknown);
    let found = written(&named("x", &input, Some(timed)).unwrap());
    let expected = json!({"structValues": {"on": {"value": "2026-03-01T06:30:15.25"}}});
    assert_eq!(found["parameterValue"], expected);
    // Only a STRUCT has fields.
    let input = Input::new(map, Type::Unknown);
    assert!(named("x", &input, Some(json!({"type": "JSON"}))).is_ok());
}
