//! Counts the values of a protobuf message.

use std::sync::LazyLock;

use prost_reflect::{Kind, MessageDescriptor};
use server_core::{Error, Result};

use super::values_in_msgpack;
use crate::wire::{
    bounds::{Bound, Bounds},
    json::POOL,
};

/// Messages that may be nested in themselves, without a list or map around them.
const RECURSIVE: [&str; 2] = ["flyteidl.core.Literal", "flyteidl.core.LiteralType"];
const BINARY: &str = "flyteidl.core.Binary";

/// What counting knows of a message.
struct Message {
    /// By number.
    fields: Vec<Option<Field>>,
    is_binary: bool,
}

impl Message {
    fn field(&self, number: u32) -> Option<&Field> {
        self.fields.get(usize::try_from(number).ok()?)?.as_ref()
    }
}

struct Field {
    name: String,
    /// Whether each occurrence is a value.
    counts: bool,
    /// The message in it, as its index in [`MESSAGES`].
    message: Option<usize>,
}

/// Every message of a request, the requests first.
static MESSAGES: LazyLock<Vec<Message>> = LazyLock::new(|| {
    let roots = REQUESTS.iter().filter_map(|(_, name)| POOL.get_message_by_name(name));
    let mut found = roots.collect::<Vec<_>>();
    let mut messages = Vec::new();
    while let Some(message) = found.get(messages.len()).cloned() {
        let mut fields = Vec::new();
        for field in message.fields() {
            let inner = match field.kind() {
                Kind::Message(inner) => Some(inner),
                _ => None,
            };
            let recursive = inner.as_ref().is_some_and(|m| RECURSIVE.contains(&m.full_name()));
            let counts = field.is_list() || field.is_map() || recursive;
            let message = inner.map(|inner| index_of(&mut found, inner));
            let number = field.number() as usize;
            fields.resize_with(fields.len().max(number + 1), || None);
            fields[number] = Some(Field { name: field.name().to_owned(), counts, message });
        }
        messages.push(Message { fields, is_binary: message.full_name() == BINARY });
    }
    messages
});

/// gRPC's methods and the messages that they receive. Flyte 2's have the same encoding.
const REQUESTS: [(&str, &str); 4] = [
    ("CreateTask", "flyteidl.admin.CreateTaskRequest"),
    ("ExecuteTaskSync", "flyteidl.admin.ExecuteTaskSyncRequest"),
    ("GetTask", "flyteidl.admin.GetTaskRequest"),
    ("DeleteTask", "flyteidl.admin.DeleteTaskRequest"),
];

fn index_of(found: &mut Vec<MessageDescriptor>, message: MessageDescriptor) -> usize {
    found.iter().position(|known| *known == message).unwrap_or_else(|| {
        found.push(message);
        found.len() - 1
    })
}

/// How many values the request of gRPC's `method` has, at every level, with those in `MessagePack`. Of a
/// malformed message it counts what precedes the fault, as its decoder builds no more.
///
/// # Errors
/// `InvalidArgument` with the top-level field in which there are more values or levels than `bounds` allows.
pub(crate) fn values_in_message(method: &str, bytes: &[u8], bounds: &Bounds) -> Result<usize> {
    let Some(root) = REQUESTS.iter().position(|(name, _)| *name == method) else {
        return Ok(0);
    };
    let mut count = Count { bounds, values: 0, field: "body" };
    match count.message(bytes, root, 1) {
        Ok(()) | Err(Stop::Malformed) => Ok(count.values),
        Err(Stop::Exceeded(bound)) => Err(bounds.exceeded(bound, count.field)),
        Err(Stop::Group) => Err(Error::invalid(format!("{}: has a protobuf group", count.field))),
    }
}

/// Why counting ended early.
enum Stop {
    Exceeded(Bound),
    Malformed,
    /// Proto3 has none, and a decoder would skip it.
    Group,
}

struct Count<'a> {
    bounds: &'a Bounds,
    values: usize,
    /// The top-level field.
    field: &'static str,
}

impl Count<'_> {
    fn message(&mut self, mut bytes: &[u8], index: usize, depth: usize) -> Result<(), Stop> {
        if depth > self.bounds.max_depth as usize {
            return Err(Stop::Exceeded(Bound::Depth));
        }
        let Some(message) = MESSAGES.get(index) else { return Ok(()) };
        let (mut binary, mut tag) = (&[][..], &[][..]);
        while !bytes.is_empty() {
            let (number, content) = field(&mut bytes)?;
            let (Some(known), Some(content)) = (message.field(number), content) else {
                continue;
            };
            if depth == 1 {
                self.field = &known.name;
            }
            self.add(usize::from(known.counts))?;
            match known.message {
                Some(inner) => self.message(content, inner, depth + 1)?,
                None if number == 1 => binary = content,
                None => tag = content,
            }
        }
        if message.is_binary && tag == b"msgpack" {
            let left = self.bounds.max_values as usize - self.values;
            let max_depth = self.bounds.max_depth as usize;
            let values = values_in_msgpack(binary, max_depth, left).map_err(Stop::Exceeded)?;
            self.add(values)?;
        }
        Ok(())
    }

    fn add(&mut self, values: usize) -> Result<(), Stop> {
        self.values += values;
        let too_many = self.values > self.bounds.max_values as usize;
        if too_many { Err(Stop::Exceeded(Bound::Values)) } else { Ok(()) }
    }
}

/// Takes one field: its number, and its content if it has a length.
/// <https://protobuf.dev/programming-guides/encoding/#structure>
fn field<'a>(bytes: &mut &'a [u8]) -> Result<(u32, Option<&'a [u8]>), Stop> {
    let key = varint(bytes)?;
    let number = u32::try_from(key >> 3).map_err(|_| Stop::Malformed)?;
    let length = match key & 7 {
        0 => return varint(bytes).map(|_| (number, None)),
        1 => 8,
        2 => usize::try_from(varint(bytes)?).map_err(|_| Stop::Malformed)?,
        3 | 4 => return Err(Stop::Group),
        5 => 4,
        _ => return Err(Stop::Malformed),
    };
    let (content, rest) = bytes.split_at_checked(length).ok_or(Stop::Malformed)?;
    *bytes = rest;
    Ok((number, (key & 7 == 2).then_some(content)))
}

fn varint(bytes: &mut &[u8]) -> Result<u64, Stop> {
    // Most have one byte.
    if let Some((byte @ ..0x80, rest)) = bytes.split_first() {
        *bytes = rest;
        return Ok(u64::from(*byte));
    }
    let mut number = 0;
    for (position, byte) in bytes.iter().take(10).enumerate() {
        number |= u64::from(byte & 0x7f) << (7 * position);
        if byte & 0x80 == 0 {
            *bytes = &bytes[position + 1..];
            return Ok(number);
        }
    }
    Err(Stop::Malformed)
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::wire::{bounds::tests::bounds, from_proto_json_object};

    fn encoded(request: &Json) -> Vec<u8> {
        from_proto_json_object(request).unwrap().encode_to_vec()
    }

    fn list(items: usize) -> Json {
        let item = json!({"scalar": {"primitive": {"integer": "1"}}});
        json!({"collection": {"literals": vec![item; items]}})
    }

    #[test]
    fn values_of_a_message_are_counted() {
        let count = |request: &Json| {
            values_in_message("CreateTask", &encoded(request), &bounds(&[])).unwrap()
        };
        let small = count(&json!({"inputs": {"literals": {"x": list(10)}}}));
        assert_eq!(count(&json!({"inputs": {"literals": {"x": list(510)}}})), small + 500);
        let custom = json!({"a": [1, 2, 3], "b": {"c": null}});
        assert_eq!(count(&json!({"template": {"custom": custom}})), 6);
        let packed = "kwECAw=="; // [1, 2, 3]
        let binary = |tag| json!({"scalar": {"binary": {"value": packed, "tag": tag}}});
        let input = |tag| count(&json!({"inputs": {"literals": {"x": binary(tag)}}}));
        assert_eq!(input("msgpack"), input("other") + 4);
    }

    #[test]
    fn too_many_values_and_levels_are_refused_by_field() {
        let bounds = bounds(&["--max-values=20", "--max-depth=9"]);
        let message = |request: &Json| {
            let counted = values_in_message("CreateTask", &encoded(request), &bounds);
            counted.unwrap_err().to_string()
        };
        assert_eq!(
            message(&json!({"inputs": {"literals": {"x": list(30)}}})),
            "inputs: more than 20 values in the request, which is the limit (--max-values)"
        );
        let deep = (0..9).fold(json!(1), |inner, _| json!([inner]));
        assert_eq!(
            message(&json!({"template": {"custom": {"x": deep}}})),
            "template: more than 9 levels of nesting, which is the limit (--max-depth)"
        );
    }

    #[test]
    fn malformed_messages_are_left_to_the_decoder() {
        let request = encoded(&json!({"inputs": {"literals": {"x": list(3)}}}));
        let whole = values_in_message("CreateTask", &request, &bounds(&[])).unwrap();
        for end in 0..request.len() {
            let values = values_in_message("CreateTask", &request[..end], &bounds(&[])).unwrap();
            assert!(values <= whole);
        }
        let group = values_in_message("CreateTask", &[0x0b, 0x0c], &bounds(&[]));
        assert!(group.unwrap_err().to_string().contains("group"));
    }
}
