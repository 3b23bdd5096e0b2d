//! A job's facts as a protobuf `Struct`, encoded without building one: every answer to a poll has them.

use prost::encoding::{
    WireType, bool, double, encode_key, encode_varint, encoded_len_varint, int32, key_len, string,
};
use serde_json::{Map, Value as Json};

/// The numbers of the fields in google/protobuf/struct.proto.
const FIELDS: u32 = 1;
const VALUES: u32 = 1;
const KEY: u32 = 1;
const VALUE: u32 = 2;
const NULL: u32 = 1;
const NUMBER: u32 = 2;
const STRING: u32 = 3;
const BOOL: u32 = 4;
const STRUCT: u32 = 5;
const LIST: u32 = 6;

/// `object` as an encoded `Struct`.
pub(super) fn encoded_struct(object: &Map<String, Json>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(struct_len(object));
    put_struct(object, &mut bytes);
    bytes
}

fn struct_len(object: &Map<String, Json>) -> usize {
    object.iter().map(|(key, value)| message_len(FIELDS, entry_len(key, value))).sum()
}

fn put_struct(object: &Map<String, Json>, bytes: &mut Vec<u8>) {
    for (key, value) in object {
        put_message(FIELDS, entry_len(key, value), bytes);
        string::encode(KEY, key, bytes);
        put_message(VALUE, value_len(value), bytes);
        put_value(value, bytes);
    }
}

fn entry_len(key: &String, value: &Json) -> usize {
    string::encoded_len(KEY, key) + message_len(VALUE, value_len(value))
}

fn value_len(value: &Json) -> usize {
    match value {
        Json::Null => int32::encoded_len(NULL, &0),
        Json::Bool(truth) => bool::encoded_len(BOOL, truth),
        Json::Number(_) => double::encoded_len(NUMBER, &0.0),
        Json::String(text) => string::encoded_len(STRING, text),
        Json::Array(items) => message_len(LIST, list_len(items)),
        Json::Object(object) => message_len(STRUCT, struct_len(object)),
    }
}

fn put_value(value: &Json, bytes: &mut Vec<u8>) {
    match value {
        Json::Null => int32::encode(NULL, &0, bytes),
        Json::Bool(truth) => bool::encode(BOOL, truth, bytes),
        Json::Number(number) => {
            double::encode(NUMBER, &number.as_f64().unwrap_or(f64::NAN), bytes);
        }
        Json::String(text) => string::encode(STRING, text, bytes),
        Json::Array(items) => {
            put_message(LIST, list_len(items), bytes);
            for item in items {
                put_message(VALUES, value_len(item), bytes);
                put_value(item, bytes);
            }
        }
        Json::Object(object) => {
            put_message(STRUCT, struct_len(object), bytes);
            put_struct(object, bytes);
        }
    }
}

fn list_len(items: &[Json]) -> usize {
    items.iter().map(|item| message_len(VALUES, value_len(item))).sum()
}

/// The length of the field `tag` with a message of `len` bytes.
fn message_len(tag: u32, len: usize) -> usize {
    key_len(tag) + encoded_len_varint(len as u64) + len
}

/// Begins the field `tag` with a message of `len` bytes.
fn put_message(tag: u32, len: usize, bytes: &mut Vec<u8>) {
    encode_key(tag, WireType::LengthDelimited, bytes);
    encode_varint(len as u64, bytes);
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use prost_types::Struct;
    use serde_json::json;

    use super::*;
    use crate::wire::literal::to_struct;

    #[test]
    fn facts_are_encoded_as_the_message_would_be() {
        let long = "x".repeat(300);
        let facts = json!({
            "": "", "null": null, "yes": true, "no": false, "zero": 0, "half": -0.5, "big": u64::MAX,
            "text": "ä", "long": long, "list": [null, 1, "a", [], [[{}]], {"a": [long]}],
            "object": {"": {"b": [false, 0]}, "empty": {}},
        });
        let facts = facts.as_object().unwrap();
        let encoded = encoded_struct(facts);
        assert_eq!(encoded.len(), struct_len(facts));
        assert_eq!(Struct::decode(&*encoded).unwrap(), to_struct(facts));
        assert!(encoded_struct(&Map::new()).is_empty());
    }
}
