//! What Flyte reads of the outputs of plugins that speak plain JSON.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message as _;
use serde_json::Value as Json;
use server_core::{Error, Result};

use super::{
    declared::of_optional,
    literal_type::kind,
    path::Path,
    proto::flyteidl::core::{
        BlobMetadata, BlobType, Literal, LiteralType, Scalar, Variable, VariableMap,
        literal::Value as LiteralValue, literal_type::Type as ProtoType,
        scalar::Value as ScalarValue,
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

/// The declarations among `declared` that say more of files and tables than [`kind`] keeps, encoded for
/// [`OutputTypes::of`](super::OutputTypes::of).
pub(super) fn detailed(declared: &BTreeMap<String, Variable>) -> Bytes {
    let detailed = declared.iter().filter(|(_, it)| it.r#type.as_ref().is_some_and(has_details));
    let variables = detailed.map(|(name, variable)| {
        let r#type = variable.r#type.clone();
        (name.clone(), Variable { r#type, ..Variable::default() })
    });
    VariableMap { variables: variables.collect() }.encode_to_vec().into()
}

fn has_details(declared: &LiteralType) -> bool {
    match declared.r#type.as_ref() {
        Some(ProtoType::Blob(blob)) => *blob != BlobType::default(),
        Some(ProtoType::StructuredDatasetType(table)) => !table.format.is_empty(),
        Some(ProtoType::CollectionType(item) | ProtoType::MapValueType(item)) => has_details(item),
        Some(ProtoType::UnionType(union)) => union.variants.iter().any(has_details),
        Some(ProtoType::Simple(_) | ProtoType::Schema(_) | ProtoType::EnumType(_)) | None => false,
    }
}

/// Gives the files, directories and tables in `literal` what their declared type says of them.
pub(super) fn describe(literal: &mut Literal, declared: &LiteralType) {
    match (literal.value.as_mut(), declared.r#type.as_ref()) {
        (Some(LiteralValue::Collection(list)), Some(ProtoType::CollectionType(item))) => {
            list.literals.iter_mut().for_each(|each| describe(each, item));
        }
        (Some(LiteralValue::Map(map)), Some(ProtoType::MapValueType(item))) => {
            map.literals.values_mut().for_each(|each| describe(each, item));
        }
        (Some(_), Some(ProtoType::UnionType(union))) => {
            let mut others = union.variants.iter().filter(|it| kind(it) != Type::Null);
            if let (Some(only), None) = (others.next(), others.next()) {
                describe(literal, only);
            }
        }
        (Some(LiteralValue::Scalar(scalar)), Some(declared)) => describe_scalar(scalar, declared),
        _ => {}
    }
}

/// Gives the file, directory or table `scalar` its declared type.
fn describe_scalar(scalar: &mut Scalar, declared: &ProtoType) {
    match (&mut scalar.value, declared) {
        (Some(ScalarValue::Blob(blob)), ProtoType::Blob(declared)) => {
            blob.metadata = Some(BlobMetadata { r#type: Some(declared.clone()) });
        }
        (
            Some(ScalarValue::StructuredDataset(table)),
            ProtoType::StructuredDatasetType(declared),
        ) => {
            let metadata = table.metadata.get_or_insert_default();
            let own = metadata.structured_dataset_type.get_or_insert_default();
            // What the vendor says that it has written counts.
            if own.format.is_empty() {
                own.format.clone_from(&declared.format);
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
