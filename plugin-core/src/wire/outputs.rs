//! What Flyte reads of the outputs of plugins that speak plain JSON.

use serde_json::Value as Json;
use server_core::{Error, Result};

use super::{
    declared::of_optional,
    literal_type::kind,
    path::Path,
    proto::flyteidl::core::{
        BlobMetadata, Literal, LiteralType, literal::Value as LiteralValue,
        literal_type::Type as ProtoType, scalar::Value as ScalarValue,
    },
};
use crate::task::{Type, Value};

/// The most messages within each other in an output. Readers of protobuf take 100, and the outputs are within others.
const MAX_MESSAGES: usize = 90;

/// Refuses a null within lists and maps whose items are declared as something else.
pub(super) fn check_nulls(path: &Path<'_>, value: &Value, declared: &Type) -> Result<()> {
    let takes_null = match declared {
        Type::Union(members) => members.contains(&Type::Null),
        declared => matches!(declared, Type::Null | Type::Unknown),
    };
    match (value, of_optional(declared)) {
        (Value::Null, _) if !takes_null => {
            Err(Error::invalid(format!("{path}: is null, but the task declares a value")))
        }
        (Value::List(items), Type::List(item)) => {
            let mut items = items.iter().enumerate();
            items.try_for_each(|(index, each)| check_nulls(&path.item(index), each, item))
        }
        (Value::Map(entries), Type::Map(item)) => {
            let mut entries = entries.iter();
            entries.try_for_each(|(key, each)| check_nulls(&path.member(key), each, item))
        }
        _ => Ok(()),
    }
}

/// Gives the files and directories in `literal` their declared type.
pub(super) fn describe_blobs(literal: &mut Literal, declared: &LiteralType) {
    match (literal.value.as_mut(), declared.r#type.as_ref()) {
        (Some(LiteralValue::Scalar(scalar)), Some(ProtoType::Blob(blob_type))) => {
            if let Some(ScalarValue::Blob(blob)) = &mut scalar.value {
                blob.metadata = Some(BlobMetadata { r#type: Some(blob_type.clone()) });
            }
        }
        (Some(LiteralValue::Collection(list)), Some(ProtoType::CollectionType(item))) => {
            list.literals.iter_mut().for_each(|each| describe_blobs(each, item));
        }
        (Some(LiteralValue::Map(map)), Some(ProtoType::MapValueType(item))) => {
            map.literals.values_mut().for_each(|each| describe_blobs(each, item));
        }
        (Some(_), Some(ProtoType::UnionType(union))) => {
            let mut others = union.variants.iter().filter(|it| kind(it) != Type::Null);
            if let (Some(only), None) = (others.next(), others.next()) {
                describe_blobs(literal, only);
            }
        }
        _ => {}
    }
}

/// Leaves out the values of the enums in `declared`.
pub(super) fn forget_enums(declared: &mut LiteralType) {
    match declared.r#type.as_mut() {
        Some(ProtoType::EnumType(one_of)) => one_of.values.clear(),
        Some(ProtoType::CollectionType(item) | ProtoType::MapValueType(item)) => forget_enums(item),
        Some(ProtoType::UnionType(union)) => union.variants.iter_mut().for_each(forget_enums),
        _ => {}
    }
}

/// Refuses what readers of protobuf would not read.
pub(super) fn check_depth(path: &Path<'_>, value: &Value) -> Result<()> {
    if messages_in(value) <= MAX_MESSAGES {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{path}: is nested too deeply for Flyte's messages; return it as a string"
    )))
}

/// How many messages are within each other in the literal of `value`, with the entries of maps.
fn messages_in(value: &Value) -> usize {
    let deepest = |levels: usize, inner: Option<usize>| levels + inner.unwrap_or(0);
    match value {
        Value::List(items) => deepest(2, items.iter().map(messages_in).max()),
        Value::Map(entries) => deepest(3, entries.values().map(messages_in).max()),
        Value::Json(json) => 2 + messages_in_json(json),
        _ => 3,
    }
}

/// The same, in a `google.protobuf.Struct` or in a value of one.
fn messages_in_json(json: &Json) -> usize {
    let deepest = |levels: usize, inner: Option<usize>| levels + inner.unwrap_or(0);
    match json {
        Json::Array(items) => deepest(2, items.iter().map(messages_in_json).max()),
        Json::Object(members) => deepest(3, members.values().map(messages_in_json).max()),
        _ => 0,
    }
}
