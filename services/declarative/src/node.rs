//! Values of a file that may contain expressions: any YAML.

use std::fmt;

use plugin_core::{
    schemars::{JsonSchema, Schema, SchemaGenerator},
    serde_json::{Number, Value as Json},
};
use serde::{Deserialize, Deserializer, de};

use crate::located::{At, Place, entries};

/// A value of a file, and where it is.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) tree: Tree,
    pub(crate) place: Place,
}

#[derive(Debug, Clone)]
pub(crate) enum Tree {
    /// A null, truth value or number.
    Scalar(Json),
    /// A string, which may be or contain an expression.
    Text(String),
    List(Vec<Node>),
    Map(Vec<(At<String>, Node)>),
}

impl Node {
    /// Where the first expression in it is.
    pub(crate) fn expression(&self) -> Option<Place> {
        match &self.tree {
            Tree::Scalar(_) => None,
            Tree::Text(text) => {
                let has = text.starts_with('=') || text.replace("$${", "").contains("${");
                has.then_some(self.place)
            }
            Tree::List(items) => items.iter().find_map(Self::expression),
            Tree::Map(entries) => entries.iter().find_map(|(_, value)| value.expression()),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let At { value, place } = At::deserialize(deserializer)?;
        Ok(Self { tree: value, place })
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Tree;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_unit<E: de::Error>(self) -> Result<Tree, E> {
                Ok(Tree::Scalar(Json::Null))
            }

            fn visit_none<E: de::Error>(self) -> Result<Tree, E> {
                self.visit_unit()
            }

            fn visit_bool<E: de::Error>(self, truth: bool) -> Result<Tree, E> {
                Ok(Tree::Scalar(truth.into()))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Tree, E> {
                Ok(Tree::Scalar(number.into()))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Tree, E> {
                Ok(Tree::Scalar(number.into()))
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Tree, E> {
                let number = Number::from_f64(number);
                let number = number.ok_or_else(|| E::custom("JSON has no infinite numbers"))?;
                Ok(Tree::Scalar(number.into()))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Tree, E> {
                Ok(Tree::Text(text.to_owned()))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Tree, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element()? {
                    items.push(item);
                }
                Ok(Tree::List(items))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
                entries(&mut map).map(Tree::Map)
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Node {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Value".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        Schema::from(true)
    }
}
