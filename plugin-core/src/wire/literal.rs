//! Literals and their types.

use std::{borrow::Cow, collections::BTreeMap};

use jiff::{SignedDuration, civil};
use prost_types::{Struct, Value as ProtoValue, value::Kind as ProtoKind};
use serde_json::{Map, Number, Value as Json};
use server_core::{Error, Result};

use super::{
    bounds::MAX_DEPTH,
    declared::{fit, of_optional},
    exact::{MAX_EXACT, rounded},
    literal_type::kind,
    path::Path,
    proto::flyteidl::core::{
        Binary, Blob, Literal, LiteralCollection, LiteralMap, LiteralType, Primitive, Scalar,
        Schema, StructuredDataset, StructuredDatasetMetadata, StructuredDatasetType, Void,
        literal::Value as LiteralValue, primitive::Value as Prim, scalar::Value as ScalarValue,
    },
    scan::values_in_msgpack,
};
use crate::task::{Input, Type, Value};

/// The epoch of Flyte's datetimes.
const EPOCH: civil::DateTime = civil::date(1970, 1, 1).at(0, 0, 0, 0);

/// Converts `literal` to an input of the type `declared`. `path` names it in errors.
pub(super) fn input(
    path: &Path<'_>,
    literal: Literal,
    declared: Option<&LiteralType>,
) -> Result<Input> {
    let declared = declared.map_or(Type::Unknown, kind);
    if declared == Type::Unknown {
        let value = value(path, literal)?;
        return Ok(Input { ty: Type::of(&value), value });
    }
    let names_member = matches!(scalar(&literal), Some(ScalarValue::Union(_)));
    let ty = resolved(&literal, &declared).into_owned();
    let value = value(path, literal)?;
    if names_member {
        return Ok(Input { value: fit(path, value, &ty)?, ty });
    }
    let value = fit(path, value, &declared)?;
    // The literal does not name the union's member; the value decides.
    let is_open = matches!(of_optional(&declared), Type::Union(_)) && value != Value::Null;
    let ty = if is_open { Type::of(&value) } else { ty };
    Ok(Input { value, ty })
}

/// The declared type of `literal`, with each union resolved to the member that the literal names; a null
/// literal does not name one.
fn resolved<'a>(literal: &Literal, declared: &'a Type) -> Cow<'a, Type> {
    let declared = declared.without_null();
    if let Some(ScalarValue::Union(union)) = scalar(literal) {
        return match (union.r#type.as_ref().map(kind), &union.value) {
            (None | Some(Type::Null), _) => Cow::Borrowed(declared),
            (Some(member), Some(inner)) => Cow::Owned(resolved(inner, &member).into_owned()),
            (Some(member), None) => Cow::Owned(member),
        };
    }
    match (declared, literal.value.as_ref()) {
        (Type::List(item), Some(LiteralValue::Collection(list))) => {
            Cow::Owned(Type::List(Box::new(resolved_all(&list.literals, item))))
        }
        (Type::Map(item), Some(LiteralValue::Map(map))) => {
            Cow::Owned(Type::Map(Box::new(resolved_all(map.literals.values(), item))))
        }
        _ => Cow::Borrowed(declared),
    }
}

fn resolved_all<'a>(items: impl IntoIterator<Item = &'a Literal>, declared: &Type) -> Type {
    let of = |item| if is_null(item) { Cow::Owned(Type::Null) } else { resolved(item, declared) };
    match Type::unify(items.into_iter().map(of)) {
        Type::Unknown => declared.without_null().clone(),
        known => known,
    }
}

fn is_null(literal: &Literal) -> bool {
    match scalar(literal) {
        Some(ScalarValue::NoneType(_)) => true,
        Some(ScalarValue::Union(union)) => union.value.as_deref().is_none_or(is_null),
        _ => false,
    }
}

fn scalar(literal: &Literal) -> Option<&ScalarValue> {
    match literal.value.as_ref()? {
        LiteralValue::Scalar(scalar) => scalar.value.as_ref(),
        _ => None,
    }
}

pub(super) fn value(path: &Path<'_>, literal: Literal) -> Result<Value> {
    match literal.value {
        None => Ok(Value::Null),
        Some(LiteralValue::Scalar(scalar)) => match scalar.value {
            None => Ok(Value::Null),
            Some(scalar) => from_scalar(path, scalar),
        },
        Some(LiteralValue::Collection(list)) => list
            .literals
            .into_iter()
            .enumerate()
            .map(|(index, item)| value(&path.item(index), item))
            .collect::<Result<_>>()
            .map(Value::List),
        Some(LiteralValue::Map(map)) => map
            .literals
            .into_iter()
            .map(|(key, item)| {
                let value = value(&path.member(&key), item)?;
                Ok((key, value))
            })
            .collect::<Result<_>>()
            .map(Value::Map),
        Some(LiteralValue::OffloadedMetadata(offloaded)) => Err(Error::invalid(format!(
            "{path}: Flyte offloaded this value of {} bytes to storage, which backend plugins cannot \
             read; pass a smaller value, or turn literal offloading off for it",
            offloaded.size_bytes
        ))),
    }
}

fn from_scalar(path: &Path<'_>, scalar: ScalarValue) -> Result<Value> {
    Ok(match scalar {
        ScalarValue::Primitive(primitive) => from_primitive(path, primitive)?,
        ScalarValue::Blob(blob) => Value::Blob { uri: blob.uri },
        ScalarValue::Binary(binary) => from_binary(path, &binary)?,
        ScalarValue::Schema(schema) => Value::Schema { uri: schema.uri },
        ScalarValue::NoneType(Void {}) => Value::Null,
        ScalarValue::Error(error) => {
            return Err(Error::invalid(format!("{path}: is an error value: {}", error.message)));
        }
        ScalarValue::Generic(object) => Value::Json(from_struct(object)),
        ScalarValue::StructuredDataset(dataset) => {
            Value::StructuredDataset { format: format_of(&dataset), uri: dataset.uri }
        }
        ScalarValue::Union(union) => match union.value {
            None => Value::Null,
            Some(inner) => value(path, *inner)?,
        },
    })
}

fn format_of(dataset: &StructuredDataset) -> String {
    let kind = dataset.metadata.as_ref().and_then(|data| data.structured_dataset_type.as_ref());
    kind.map(|kind| kind.format.clone()).unwrap_or_default()
}

fn from_primitive(path: &Path<'_>, primitive: Primitive) -> Result<Value> {
    let out_of_range = || Error::invalid(format!("{path}: the time is out of range"));
    Ok(match primitive.value {
        None => Value::Null,
        Some(Prim::Integer(number)) => Value::Integer(number),
        Some(Prim::FloatValue(number)) => Value::Float(number),
        Some(Prim::StringValue(text)) => Value::String(text),
        Some(Prim::Boolean(truth)) => Value::Boolean(truth),
        Some(Prim::Datetime(at)) => {
            let since = SignedDuration::from_secs(at.seconds)
                .checked_add(SignedDuration::from_nanos(at.nanos.into()));
            let at = since.and_then(|since| EPOCH.checked_add(since).ok());
            Value::Datetime(at.ok_or_else(out_of_range)?)
        }
        Some(Prim::Duration(span)) if span.nanos.unsigned_abs() < 1_000_000_000 => {
            Value::Duration(SignedDuration::new(span.seconds, span.nanos))
        }
        Some(Prim::Duration(_)) => return Err(out_of_range()),
    })
}

fn from_binary(path: &Path<'_>, binary: &Binary) -> Result<Value> {
    if binary.tag != "msgpack" {
        return Ok(Value::Bytes(binary.value.to_vec()));
    }
    // Before anything is built: each level takes a part of the stack.
    values_in_msgpack(&binary.value, MAX_DEPTH, usize::MAX).map_err(|_| {
        Error::invalid(format!("{path}: MessagePack with more than {MAX_DEPTH} levels of nesting"))
    })?;
    rmp_serde::from_slice(&binary.value).map(Value::Json).map_err(|error| {
        Error::invalid(format!("{path}: is not MessagePack that converts to JSON: {error}"))
    })
}

/// A protobuf `Struct` as JSON.
///
/// All its numbers are doubles. Whole ones within the exact range become integers again, so that a vendor
/// does not get `3.0` workers.
pub(crate) fn from_struct(object: Struct) -> Json {
    Json::Object(object.fields.into_iter().map(|(key, value)| (key, from_value(value))).collect())
}

/// [`from_struct`] for a struct that an author wrote at `path`.
///
/// # Errors
/// `InvalidArgument` with the path of an integer beyond the exact range, which may have been rounded.
pub(super) fn exact_struct(path: &Path<'_>, object: Struct) -> Result<Json> {
    check_members(path, &object)?;
    Ok(from_struct(object))
}

fn check_members(path: &Path<'_>, object: &Struct) -> Result<()> {
    let mut members = object.fields.iter();
    members.try_for_each(|(key, value)| check_exact(&path.member(key), value))
}

fn check_exact(path: &Path<'_>, value: &ProtoValue) -> Result<()> {
    match value.kind.as_ref() {
        Some(ProtoKind::NumberValue(number))
            if number.fract() == 0.0 && number.abs() > MAX_EXACT =>
        {
            Err(rounded(path))
        }
        Some(ProtoKind::StructValue(object)) => check_members(path, object),
        Some(ProtoKind::ListValue(list)) => {
            let mut items = list.values.iter().enumerate();
            items.try_for_each(|(index, item)| check_exact(&path.item(index), item))
        }
        _ => Ok(()),
    }
}

fn from_value(value: ProtoValue) -> Json {
    match value.kind {
        None | Some(ProtoKind::NullValue(_)) => Json::Null,
        Some(ProtoKind::NumberValue(number)) => from_double(number),
        Some(ProtoKind::StringValue(text)) => Json::String(text),
        Some(ProtoKind::BoolValue(truth)) => Json::Bool(truth),
        Some(ProtoKind::StructValue(object)) => from_struct(object),
        Some(ProtoKind::ListValue(list)) => list.values.into_iter().map(from_value).collect(),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "whole, and within ±2^53")]
fn from_double(number: f64) -> Json {
    // No integer is -0.0.
    let is_integer = number.fract() == 0.0 && number.to_bits() != (-0.0_f64).to_bits();
    if is_integer && number.abs() <= MAX_EXACT {
        return Json::from(number as i64);
    }
    Number::from_f64(number).map_or(Json::Null, Json::Number)
}

/// JSON as a protobuf `Struct`'s value.
fn to_value(json: &Json) -> ProtoValue {
    let kind = match json {
        Json::Null => ProtoKind::NullValue(0),
        Json::Bool(truth) => ProtoKind::BoolValue(*truth),
        Json::Number(number) => ProtoKind::NumberValue(number.as_f64().unwrap_or(f64::NAN)),
        Json::String(text) => ProtoKind::StringValue(text.clone()),
        Json::Array(items) => ProtoKind::ListValue(prost_types::ListValue {
            values: items.iter().map(to_value).collect(),
        }),
        Json::Object(object) => ProtoKind::StructValue(to_struct(object)),
    };
    ProtoValue { kind: Some(kind) }
}

/// A JSON object as a protobuf `Struct`.
pub(crate) fn to_struct(object: &Map<String, Json>) -> Struct {
    Struct { fields: object.iter().map(|(key, value)| (key.clone(), to_value(value))).collect() }
}

/// Named values as Flyte's literals.
pub(crate) fn literal_map(values: &BTreeMap<String, Value>) -> LiteralMap {
    LiteralMap {
        literals: values.iter().map(|(name, value)| (name.clone(), literal(value))).collect(),
    }
}

/// A value as Flyte's literal.
pub(crate) fn literal(value: &Value) -> Literal {
    let value = match value {
        Value::List(items) => LiteralValue::Collection(LiteralCollection {
            literals: items.iter().map(literal).collect(),
        }),
        Value::Map(entries) => LiteralValue::Map(literal_map(entries)),
        scalar => LiteralValue::Scalar(Box::new(Scalar { value: Some(to_scalar(scalar)) })),
    };
    Literal { value: Some(value), hash: String::new() }
}

fn to_scalar(value: &Value) -> ScalarValue {
    let primitive = |value| ScalarValue::Primitive(Primitive { value: Some(value) });
    match value {
        Value::Null | Value::List(_) | Value::Map(_) => ScalarValue::NoneType(Void {}),
        Value::Integer(number) => primitive(Prim::Integer(*number)),
        Value::Float(number) => primitive(Prim::FloatValue(*number)),
        Value::String(text) => primitive(Prim::StringValue(text.clone())),
        Value::Boolean(truth) => primitive(Prim::Boolean(*truth)),
        Value::Datetime(at) => primitive(Prim::Datetime(timestamp(*at))),
        Value::Duration(span) => primitive(Prim::Duration(prost_types::Duration {
            seconds: span.as_secs(),
            nanos: span.subsec_nanos(),
        })),
        Value::Bytes(bytes) => {
            ScalarValue::Binary(Binary { value: bytes.clone().into(), tag: String::new() })
        }
        Value::Json(Json::Object(object)) => ScalarValue::Generic(to_struct(object)),
        Value::Json(other) => primitive(Prim::StringValue(other.to_string())),
        Value::Blob { uri } => ScalarValue::Blob(Blob { uri: uri.clone(), metadata: None }),
        Value::Schema { uri } => ScalarValue::Schema(Schema { uri: uri.clone() }),
        Value::StructuredDataset { uri, format } => {
            ScalarValue::StructuredDataset(StructuredDataset {
                uri: uri.clone(),
                metadata: Some(StructuredDatasetMetadata {
                    structured_dataset_type: Some(StructuredDatasetType { format: format.clone() }),
                }),
            })
        }
    }
}

/// `at` as a protobuf timestamp, whose nanoseconds count forward even before 1970.
fn timestamp(at: civil::DateTime) -> prost_types::Timestamp {
    let since = at.duration_since(EPOCH);
    let (seconds, nanos) = (since.as_secs(), since.subsec_nanos());
    let nanos_forward = nanos.rem_euclid(1_000_000_000);
    prost_types::Timestamp { seconds: seconds - i64::from(nanos < 0), nanos: nanos_forward }
}

#[cfg(test)]
mod tests;
