use serde_json::json;

use super::*;
use crate::wire::proto::flyteidl::core::{SimpleType, literal_type::Type as ProtoType};

#[test]
fn exact_whole_doubles_become_integers() {
    for (double, expected) in [
        (3.0, json!(3)),
        (-3600.0, json!(-3600)),
        (0.5, json!(0.5)),
        (9_007_199_254_740_991.0, json!(9_007_199_254_740_991_i64)),
        (9_007_199_254_740_992.0, json!(9_007_199_254_740_992.0)),
        (1.234_567_890_123_456_8e19, json!(1.234_567_890_123_456_8e19)),
        (f64::NAN, Json::Null),
    ] {
        assert_eq!(from_double(double), expected, "{double}");
    }
}

#[test]
fn values_survive_a_round_trip_through_literals() {
    let values = [
        Value::Null,
        Value::Integer(i64::MIN),
        Value::Float(1.5),
        Value::String("ä".to_owned()),
        Value::Boolean(true),
        Value::Datetime("1969-12-31T23:59:58.999999995".parse().unwrap()),
        Value::Datetime("9999-12-31T23:59:59.999999".parse().unwrap()),
        Value::Datetime("0001-01-01T00:00:00".parse().unwrap()),
        Value::Duration(SignedDuration::new(-86_399, -999_995_000)),
        Value::Bytes(vec![0, 255]),
        Value::Json(json!({"a": [1, null, "x"]})),
        Value::List(vec![Value::Integer(1), Value::Null]),
        Value::Map(BTreeMap::from([("k".to_owned(), Value::Boolean(false))])),
        Value::Blob { uri: "s3://b".to_owned() },
        Value::Schema { uri: "s3://s".to_owned() },
        Value::StructuredDataset { uri: "bq://p:d.t".to_owned(), format: "parquet".to_owned() },
    ];
    for expected in values {
        assert_eq!(value(&Path::Root("x"), literal(&expected)).unwrap(), expected);
    }
}

#[test]
fn a_rounded_number_is_refused_by_path() {
    let custom =
        |json: Json| exact_struct(&Path::Root("custom"), to_struct(json.as_object().unwrap()));
    assert!(custom(json!({"a": {"b": [1, -9_007_199_254_740_991_i64, 1.5e300]}})).is_err());
    let error = custom(json!({"a": {"b": [1, 9_007_199_254_740_993_i64]}})).unwrap_err();
    assert!(error.to_string().starts_with("custom.a.b[1]: Flyte carries numbers as doubles"));
}

#[test]
fn a_list_of_unions_has_the_type_of_its_items() {
    let list = |items: Vec<Literal>| Literal {
        value: Some(LiteralValue::Collection(LiteralCollection { literals: items })),
        hash: String::new(),
    };
    let declared = Type::List(Box::new(Type::Union(vec![Type::Integer, Type::String, Type::Null])));
    let text = || in_union(&Value::String("x".to_owned()), SimpleType::String);
    let number = || in_union(&Value::Integer(1), SimpleType::Integer);
    let null = || in_union(&Value::Null, SimpleType::None);
    for (items, item) in [
        (vec![null(), text()], Type::String),
        (vec![number(), number()], Type::Integer),
        (vec![text(), number()], Type::Union(vec![Type::String, Type::Integer])),
        (vec![], Type::Integer),
    ] {
        assert_eq!(*resolved(&list(items), &declared), Type::List(Box::new(item)));
    }
}

#[test]
fn dataclasses_are_decoded_from_messagepack() {
    let packed = rmp_serde::to_vec_named(&json!({"a": 1})).unwrap();
    let binary = Binary { value: packed.into(), tag: "msgpack".to_owned() };
    assert_eq!(from_binary(&Path::Root("x"), &binary).unwrap(), Value::Json(json!({"a": 1})));
    let broken = Binary { value: vec![0xc1].into(), tag: "msgpack".to_owned() };
    assert!(
        from_binary(&Path::Root("inputs.x"), &broken)
            .unwrap_err()
            .to_string()
            .starts_with("inputs.x:")
    );
}

#[test]
fn a_union_has_the_type_of_the_member_named_by_its_literal() {
    let optional = LiteralType {
        r#type: Some(ProtoType::UnionType(super::super::proto::flyteidl::core::UnionType {
            variants: [SimpleType::Integer, SimpleType::None].map(simple).to_vec(),
        })),
    };
    for (literal, expected) in [
        (in_union(&Value::Integer(7), SimpleType::Integer), (Value::Integer(7), Type::Integer)),
        (in_union(&Value::Null, SimpleType::None), (Value::Null, Type::Integer)),
        (literal(&Value::Null), (Value::Null, Type::Integer)),
    ] {
        let input = input(&Path::Root("x"), literal, Some(&optional)).unwrap();
        assert_eq!((input.value, input.ty), expected);
    }
}

fn in_union(value: &Value, member: SimpleType) -> Literal {
    let union = super::super::proto::flyteidl::core::Union {
        value: Some(Box::new(literal(value))),
        r#type: Some(simple(member)),
    };
    let scalar = Scalar { value: Some(ScalarValue::Union(Box::new(union))) };
    Literal { value: Some(LiteralValue::Scalar(Box::new(scalar))), hash: String::new() }
}

fn simple(simple: SimpleType) -> LiteralType {
    LiteralType { r#type: Some(ProtoType::Simple(simple as i32)) }
}

#[test]
fn dataclass_attributes_have_the_declared_type() {
    let packed = |json: Json| {
        let value = rmp_serde::to_vec_named(&json).unwrap().into();
        let scalar = ScalarValue::Binary(Binary { value, tag: "msgpack".to_owned() });
        let scalar = Scalar { value: Some(scalar) };
        Literal { value: Some(LiteralValue::Scalar(Box::new(scalar))), hash: String::new() }
    };
    let numbers = LiteralType {
        r#type: Some(ProtoType::CollectionType(Box::new(simple(SimpleType::Integer)))),
    };
    let items = [1, 2].map(|number| packed(json!(number))).to_vec();
    let list = LiteralValue::Collection(LiteralCollection { literals: items });
    for list in [packed(json!([1, 2])), Literal { value: Some(list), hash: String::new() }] {
        let read = input(&Path::Root("x"), list, Some(&numbers)).unwrap();
        let expected = Value::List(vec![Value::Integer(1), Value::Integer(2)]);
        assert_eq!((read.value, read.ty), (expected, Type::List(Box::new(Type::Integer))));
    }

    let either = LiteralType {
        r#type: Some(ProtoType::UnionType(super::super::proto::flyteidl::core::UnionType {
            variants: [SimpleType::Integer, SimpleType::String].map(simple).to_vec(),
        })),
    };
    let read = input(&Path::Root("x"), packed(json!("a")), Some(&either)).unwrap();
    assert_eq!((read.value, read.ty), (Value::String("a".to_owned()), Type::String));

    let read =
        input(&Path::Root("x"), literal(&Value::Float(3.0)), Some(&simple(SimpleType::Integer)));
    assert_eq!(read.unwrap().value, Value::Integer(3));
}

#[test]
fn an_offloaded_value_is_refused_by_path() {
    let literal = Literal {
        value: Some(LiteralValue::OffloadedMetadata(
            super::super::proto::flyteidl::core::LiteralOffloadedMetadata {
                uri: "s3://x".to_owned(),
                size_bytes: 7,
            },
        )),
        hash: String::new(),
    };
    let error = input(&Path::Root("inputs.x"), literal, None).unwrap_err();
    assert!(error.to_string().starts_with("inputs.x: Flyte offloaded this value of 7 bytes"));
}

#[test]
fn messagepack_nested_too_deeply_is_refused_before_it_is_built() {
    let packed = |levels| [vec![0x91; levels], vec![0]].concat();
    let binary = |levels| Binary { value: packed(levels).into(), tag: "msgpack".to_owned() };
    assert!(from_binary(&Path::Root("inputs.x"), &binary(100)).is_ok());
    for levels in [101, 1000, 1_000_000] {
        let error = from_binary(&Path::Root("inputs.x"), &binary(levels)).unwrap_err();
        assert_eq!(error.to_string(), "inputs.x: MessagePack with more than 100 levels of nesting");
    }
}
