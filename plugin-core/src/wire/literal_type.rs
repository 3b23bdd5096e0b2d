//! The types of literals.

use super::proto::flyteidl::core::{
    BlobType, EnumType, LiteralType, SchemaType, SimpleType, StructuredDatasetType, UnionType,
    literal_type::Type as ProtoType,
};
use crate::task::Type;

/// The type of an input's declaration: an enum's values are strings, which its author has checked.
pub(super) fn kind(declared: &LiteralType) -> Type {
    kind_with(declared, &|_| Type::String)
}

/// The type of an output's declaration.
pub(super) fn output_kind(declared: &LiteralType) -> Type {
    kind_with(declared, &|one_of| Type::Enum(one_of.values.clone()))
}

fn kind_with(declared: &LiteralType, of_enum: &impl Fn(&EnumType) -> Type) -> Type {
    let kind = |inner| kind_with(inner, of_enum);
    match declared.r#type.as_ref() {
        None => Type::Unknown,
        Some(ProtoType::Simple(simple)) => simple_kind(*simple),
        Some(ProtoType::Schema(_)) => Type::Schema,
        Some(ProtoType::CollectionType(item)) => Type::List(Box::new(kind(item))),
        Some(ProtoType::MapValueType(item)) => Type::Map(Box::new(kind(item))),
        Some(ProtoType::Blob(_)) => Type::Blob,
        Some(ProtoType::EnumType(one_of)) => of_enum(one_of),
        Some(ProtoType::StructuredDatasetType(_)) => Type::StructuredDataset,
        Some(ProtoType::UnionType(union)) => Type::union_of(union.variants.iter().map(kind)),
    }
}

/// The proto of `ty`, of which [`output_kind`] makes `ty` again. What is not known has no type.
pub(super) fn literal_type(ty: &Type) -> LiteralType {
    let simple = |simple: SimpleType| ProtoType::Simple(simple as i32);
    let proto = match ty {
        Type::Null => simple(SimpleType::None),
        Type::Integer => simple(SimpleType::Integer),
        Type::Float => simple(SimpleType::Float),
        Type::String => simple(SimpleType::String),
        Type::Enum(values) => ProtoType::EnumType(EnumType { values: values.clone() }),
        Type::Boolean => simple(SimpleType::Boolean),
        Type::Datetime => simple(SimpleType::Datetime),
        Type::Duration => simple(SimpleType::Duration),
        Type::Bytes => simple(SimpleType::Binary),
        Type::Json => simple(SimpleType::Struct),
        Type::List(item) => ProtoType::CollectionType(Box::new(literal_type(item))),
        Type::Map(item) => ProtoType::MapValueType(Box::new(literal_type(item))),
        Type::Union(members) => {
            let variants = members.iter().map(literal_type).collect();
            ProtoType::UnionType(UnionType { variants })
        }
        Type::Blob => ProtoType::Blob(BlobType::default()),
        Type::Schema => ProtoType::Schema(SchemaType::default()),
        Type::StructuredDataset => {
            ProtoType::StructuredDatasetType(StructuredDatasetType::default())
        }
        Type::Unknown => return LiteralType::default(),
    };
    LiteralType { r#type: Some(proto) }
}

fn simple_kind(simple: i32) -> Type {
    match SimpleType::try_from(simple) {
        Ok(SimpleType::None) => Type::Null,
        Ok(SimpleType::Integer) => Type::Integer,
        Ok(SimpleType::Float) => Type::Float,
        Ok(SimpleType::String) => Type::String,
        Ok(SimpleType::Boolean) => Type::Boolean,
        Ok(SimpleType::Datetime) => Type::Datetime,
        Ok(SimpleType::Duration) => Type::Duration,
        Ok(SimpleType::Binary) => Type::Bytes,
        Ok(SimpleType::Struct) => Type::Json,
        Ok(SimpleType::Error) | Err(_) => Type::Unknown,
    }
}
