//! Literals as proto-JSON, a value at a time.
//!
//! A message of prost-reflect takes kilobytes, so that one of all outputs would be hundreds of times their size.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer, ser::SerializeMap as _};
use server_core::Error;

use super::{
    json::{dynamic, serialize},
    proto::flyteidl::core::{Literal, LiteralMap, literal::Value as LiteralValue},
};

/// Outputs, which serialise as Flyte's `LiteralMap` in proto-JSON. A value that has no JSON, such as
/// one that is nested too deeply for protobuf, is null.
#[derive(Debug)]
pub(crate) struct ShownOutputs(pub(crate) LiteralMap);

impl Serialize for ShownOutputs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ShownMap(&self.0).serialize(serializer)
    }
}

struct ShownMap<'a>(&'a LiteralMap);

impl Serialize for ShownMap<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let literals = &self.0.literals;
        let mut members = serializer.serialize_map(None)?;
        // Proto-JSON leaves out what is empty.
        if !literals.is_empty() {
            members.serialize_entry("literals", &Entries(literals))?;
        }
        members.end()
    }
}

struct Entries<'a>(&'a BTreeMap<String, Literal>);

impl Serialize for Entries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, it)| (name, Shown(it))))
    }
}

struct Items<'a>(&'a [Literal]);

impl Serialize for Items<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_map(None)?;
        if !self.0.is_empty() {
            members.serialize_entry("literals", &self.0.iter().map(Shown).collect::<Vec<_>>())?;
        }
        members.end()
    }
}

struct Shown<'a>(&'a Literal);

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0.value {
            Some(LiteralValue::Collection(list)) => {
                self.nested(serializer, "collection", &Items(&list.literals))
            }
            Some(LiteralValue::Map(map)) => self.nested(serializer, "map", &ShownMap(map)),
            _ => leaf(self.0, serializer),
        }
    }
}

impl Shown<'_> {
    fn nested<S: Serializer>(
        &self,
        serializer: S,
        kind: &'static str,
        value: &impl Serialize,
    ) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_map(None)?;
        members.serialize_entry(kind, value)?;
        if !self.0.hash.is_empty() {
            members.serialize_entry("hash", &self.0.hash)?;
        }
        members.end()
    }
}

fn leaf<S: Serializer>(literal: &Literal, serializer: S) -> Result<S::Ok, S::Error> {
    let json = dynamic(literal).and_then(|message| {
        serialize(&message, serde_json::value::Serializer).map_err(Error::internal)
    });
    json.unwrap_or_default().serialize(serializer)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::{
        task::Value,
        wire::{literal, literal::literal_map, to_proto_json},
    };

    fn shown(outputs: LiteralMap) -> Json {
        serde_json::to_value(ShownOutputs(outputs)).unwrap()
    }

    #[test]
    fn outputs_are_shown_as_proto_json_has_them() {
        let list = Value::List(vec![Value::Integer(1), Value::Null, Value::List(vec![])]);
        let map = BTreeMap::from([
            ("k".to_owned(), list.clone()),
            ("e".to_owned(), Value::Map(BTreeMap::new())),
        ]);
        let values = BTreeMap::from([
            ("list".to_owned(), list),
            ("map".to_owned(), Value::Map(map)),
            ("object".to_owned(), Value::Json(json!({"a": [1.5, null, {"b": "c"}]}))),
            (
                "table".to_owned(),
                Value::StructuredDataset { uri: "bq://p:d.t".to_owned(), format: String::new() },
            ),
            ("not a number".to_owned(), Value::Float(f64::NAN)),
        ]);
        let mut outputs = literal_map(&values);
        outputs.literals.insert("empty".to_owned(), Literal::default());
        outputs.literals.get_mut("list").unwrap().hash = "h".to_owned();
        for outputs in [outputs, LiteralMap::default()] {
            assert_eq!(shown(outputs.clone()), to_proto_json(&outputs).unwrap());
        }
    }

    #[test]
    fn a_value_without_json_hides_no_other() {
        let deep = (0..60).fold(json!(1), |json, _| json!([json]));
        let literals = [
            ("deep", Value::Json(json!({ "a": deep }))),
            ("long", Value::Duration(jiff::SignedDuration::from_secs(1 << 60))),
            ("n", Value::Integer(1)),
        ];
        let literals = literals.map(|(name, value)| (name.to_owned(), literal(&value)));
        let shown = shown(LiteralMap { literals: literals.into() });
        assert_eq!(shown["literals"]["deep"], Json::Null);
        assert_eq!(shown["literals"]["long"], Json::Null);
        assert_eq!(shown["literals"]["n"]["scalar"]["primitive"]["integer"], "1");
    }
}
