//! Flyte's literals and their types, without their wire format.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashSet},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use jiff::{SignedDuration, civil};
use serde_json::Value as Json;

/// The value of an input or output.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// Python's `None`.
    Null,
    /// An integer.
    Integer(i64),
    /// A floating-point number.
    Float(f64),
    /// A string, or an enum's value.
    String(String),
    /// True or false.
    Boolean(bool),
    /// A time in UTC, from year 1 to 9999. Flyte's datetimes have no time zone; Python's `date` arrives as
    /// midnight UTC.
    Datetime(civil::DateTime),
    /// A duration, which may be negative.
    Duration(SignedDuration),
    /// Raw bytes.
    Bytes(Vec<u8>),
    /// A `dict` or a dataclass.
    Json(Json),
    /// A list.
    List(Vec<Self>),
    /// A map with values of one type.
    Map(BTreeMap<String, Self>),
    /// A file or directory.
    Blob {
        /// Its location.
        uri: String,
    },
    /// A table of the older type `Schema`.
    Schema {
        /// Its location.
        uri: String,
    },
    /// A table.
    StructuredDataset {
        /// Its location, for example `bq://project:dataset.table`.
        uri: String,
        /// Its storage format; if empty, readers infer it from the URI.
        format: String,
    },
}

impl Value {
    /// A table at `uri` without a format.
    pub fn structured_dataset(uri: impl Into<String>) -> Self {
        Self::StructuredDataset { uri: uri.into(), format: String::new() }
    }

    /// The value as plain JSON: times in RFC 3339, durations in ISO 8601, bytes in base64, files and tables
    /// as their URI, and null for NaN and infinities.
    #[must_use]
    pub fn to_json(&self) -> Json {
        match self {
            Self::Null => Json::Null,
            Self::Integer(number) => Json::from(*number),
            Self::Float(number) => Json::from(*number),
            Self::String(text) => Json::from(text.as_str()),
            Self::Boolean(truth) => Json::from(*truth),
            Self::Datetime(at) => Json::from(format!("{at}Z")),
            Self::Duration(span) => Json::from(span.to_string()),
            Self::Bytes(bytes) => Json::from(BASE64_STANDARD.encode(bytes)),
            Self::Json(json) => json.clone(),
            Self::List(items) => items.iter().map(Self::to_json).collect(),
            Self::Map(entries) => {
                entries.iter().map(|(key, value)| (key.clone(), value.to_json())).collect()
            }
            Self::Blob { uri } | Self::Schema { uri } | Self::StructuredDataset { uri, .. } => {
                Json::from(uri.as_str())
            }
        }
    }
}

/// The type of an input or output in a task's interface.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Type {
    /// Only `None`.
    Null,
    /// Integers.
    Integer,
    /// Floating-point numbers.
    Float,
    /// Strings, and the inputs that are enums.
    String,
    /// Outputs that are one of these strings; of any string if there are none.
    Enum(Vec<String>),
    /// True or false.
    Boolean,
    /// Times in UTC.
    Datetime,
    /// Durations.
    Duration,
    /// Raw bytes.
    Bytes,
    /// A `dict` or a dataclass.
    Json,
    /// Lists of one type.
    List(Box<Self>),
    /// Maps to values of one type.
    Map(Box<Self>),
    /// One of several types; `Optional[X]` is a union with [`Type::Null`].
    Union(Vec<Self>),
    /// Files and directories.
    Blob,
    /// Tables of the older type `Schema`.
    Schema,
    /// Tables.
    StructuredDataset,
    /// Not declared, or unknown to this version.
    Unknown,
}

impl Type {
    /// The type of `value`, for values without a declaration.
    #[must_use]
    pub fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Integer(_) => Self::Integer,
            Value::Float(_) => Self::Float,
            Value::String(_) => Self::String,
            Value::Boolean(_) => Self::Boolean,
            Value::Datetime(_) => Self::Datetime,
            Value::Duration(_) => Self::Duration,
            Value::Bytes(_) => Self::Bytes,
            Value::Json(_) => Self::Json,
            Value::List(items) => {
                Self::List(Box::new(Self::unify(items.iter().map(Self::of).map(Cow::Owned))))
            }
            Value::Map(entries) => {
                let items = entries.values().map(Self::of).map(Cow::Owned);
                Self::Map(Box::new(Self::unify(items)))
            }
            Value::Blob { .. } => Self::Blob,
            Value::Schema { .. } => Self::Schema,
            Value::StructuredDataset { .. } => Self::StructuredDataset,
        }
    }

    /// The union of `members`, each of them once.
    pub(crate) fn union_of(members: impl IntoIterator<Item = Self>) -> Self {
        let distinct = distinct(members.into_iter().map(Cow::Owned));
        Self::Union(distinct.into_iter().map(Cow::into_owned).collect())
    }

    /// The common type of items of `types`: null fits every type, and integers fit floats. Without a common
    /// type, their union.
    pub(crate) fn unify<'a>(types: impl IntoIterator<Item = Cow<'a, Self>>) -> Self {
        let types = types.into_iter().filter(|ty| !matches!(**ty, Self::Null | Self::Unknown));
        let mut members = distinct(types);
        if members.iter().any(|ty| **ty == Self::Float) {
            members.retain(|ty| **ty != Self::Integer);
        }
        match (members.len(), members.pop()) {
            (0, _) => Self::Unknown,
            (1, Some(only)) => only.into_owned(),
            (_, last) => {
                Self::Union(members.into_iter().chain(last).map(Cow::into_owned).collect())
            }
        }
    }

    /// The first member of a union that is not [`Type::Null`]; any other type unchanged.
    #[must_use]
    pub fn without_null(&self) -> &Self {
        match self {
            Self::Union(members) => members
                .iter()
                .find(|member| **member != Self::Null)
                .map_or(&Self::Null, Self::without_null),
            other => other,
        }
    }
}

/// `types` in their order, each of them once.
fn distinct<'a>(types: impl Iterator<Item = Cow<'a, Type>>) -> Vec<Cow<'a, Type>> {
    let mut found = Vec::<Cow<'a, Type>>::new();
    // Compared with all others, the types of a mixed list would take quadratic time.
    let mut seen = HashSet::new();
    for ty in types {
        if found.last() != Some(&ty) && seen.insert(ty.clone()) {
            found.push(ty);
        }
    }
    found
}
