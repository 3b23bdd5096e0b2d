//! Proto-JSON of Flyte's messages, for REST.

use std::{collections::BTreeMap, sync::LazyLock};

use prost::Message;
use prost_reflect::{
    DescriptorPool, DeserializeOptions, DynamicMessage, MessageDescriptor, SerializeOptions,
};
use serde::{Serializer, de::value::MapDeserializer};
use serde_json::{Value as Json, value::RawValue};
use server_core::{Error, Result};

use super::proto::{
    DESCRIPTORS,
    flyteidl::{
        admin::{CreateTaskRequest, TaskExecutionMetadata},
        core::{Literal, LiteralMap, TaskTemplate},
    },
};

#[expect(clippy::expect_used, reason = "build.rs wrote the descriptors, and every test reads them")]
pub(super) static POOL: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(DESCRIPTORS).expect("the embedded descriptors decode"));

/// A message with its full name.
pub(crate) trait Named: Message + Default {
    const NAME: &'static str;
}

impl Named for CreateTaskRequest {
    const NAME: &'static str = "flyteidl.admin.CreateTaskRequest";
}

impl Named for TaskTemplate {
    const NAME: &'static str = "flyteidl.core.TaskTemplate";
}

impl Named for TaskExecutionMetadata {
    const NAME: &'static str = "flyteidl.admin.TaskExecutionMetadata";
}

impl Named for Literal {
    const NAME: &'static str = "flyteidl.core.Literal";
}

impl Named for LiteralMap {
    const NAME: &'static str = "flyteidl.core.LiteralMap";
}

fn descriptor(name: &str) -> Result<MessageDescriptor> {
    POOL.get_message_by_name(name).ok_or_else(|| Error::internal(format!("no message {name}")))
}

/// Reads a create request from the fields of its proto-JSON, in Flyte 1's or Flyte 2's form.
///
/// # Errors
/// `InvalidArgument` with the path of the invalid field.
pub(crate) fn from_proto_json(fields: &[(&str, &RawValue)]) -> Result<CreateTaskRequest> {
    // Newer SDKs of Flyte send fields that this version does not know.
    let options = DeserializeOptions::new().deny_unknown_fields(false);
    let mut track = serde_path_to_error::Track::new();
    let json = MapDeserializer::new(fields.iter().copied());
    let tracked = serde_path_to_error::Deserializer::new(json, &mut track);
    let read =
        DynamicMessage::deserialize_with_options(request_message(fields)?, tracked, &options);
    let message = read
        .map_err(|error| Error::invalid(format!("{}: {}", track.path(), without_place(&error))))?;
    // JSON may be nested more deeply than protobuf.
    CreateTaskRequest::decode(message.encode_to_vec().as_slice())
        .map_err(|error| Error::invalid("body: nested too deeply").with_source(error))
}

/// [`from_proto_json`] for a request that is one JSON object.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn from_proto_json_object(json: &Json) -> Result<CreateTaskRequest> {
    with_fields(json, from_proto_json)
}

/// The message whose proto-JSON `json`, a create request, is: Flyte 1's or Flyte 2's.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn request_descriptor(json: &Json) -> Result<MessageDescriptor> {
    with_fields(json, request_message)
}

#[cfg(any(test, feature = "testing"))]
fn with_fields<T>(json: &Json, read: fn(&[(&str, &RawValue)]) -> Result<T>) -> Result<T> {
    let text = json.to_string();
    let fields = members(&text).ok_or_else(|| Error::invalid("body: must be an object"))?;
    let fields = fields.iter().map(|(name, value)| (name.as_str(), *value));
    read(&fields.collect::<Vec<_>>())
}

fn request_message(fields: &[(&str, &RawValue)]) -> Result<MessageDescriptor> {
    descriptor(if is_flyte2(fields) {
        "flyteidl2.connector.CreateTaskRequest"
    } else {
        CreateTaskRequest::NAME
    })
}

/// The members of the JSON object `json`, unread; `None` if it is no object.
pub(crate) fn members(json: &str) -> Option<BTreeMap<String, &RawValue>> {
    serde_json::from_str(json).ok()
}

/// The error without its line and column, which are those of a part of the body.
pub(crate) fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).unwrap_or(&text).to_owned()
}

/// Whether it is Flyte 2's form, which has lists of named values in place of Flyte 1's maps.
fn is_flyte2(fields: &[(&str, &RawValue)]) -> bool {
    const LISTS: [(&str, &[&str]); 3] = [
        ("inputs", &["literals"]),
        ("template", &["interface", "inputs", "variables"]),
        ("template", &["interface", "outputs", "variables"]),
    ];
    let is_list = |(field, path): (&str, &[&str])| {
        let found = fields.iter().find(|(name, _)| *name == field);
        found.is_some_and(|(_, value)| is_list_at(value, path))
    };
    LISTS.into_iter().any(is_list)
}

fn is_list_at(json: &RawValue, path: &[&str]) -> bool {
    match path.split_first() {
        None => json.get().trim_start().starts_with('['),
        Some((member, rest)) => members(json.get())
            .is_some_and(|all| all.get(*member).is_some_and(|inner| is_list_at(inner, rest))),
    }
}

/// Serialises `message` with proto field names.
pub(crate) fn to_proto_json<M: Named>(message: &M) -> Result<Json> {
    serialize(&dynamic(message)?, serde_json::value::Serializer).map_err(Error::internal)
}

/// `message` with its descriptor.
///
/// # Errors
/// `Internal` when it is nested too deeply to be decoded.
pub(super) fn dynamic<M: Named>(message: &M) -> Result<DynamicMessage> {
    let mut dynamic = DynamicMessage::new(descriptor(M::NAME)?);
    dynamic.transcode_from(message).map_err(Error::internal)?;
    Ok(dynamic)
}

/// Serialises `message` with proto field names.
pub(super) fn serialize<S: Serializer>(
    message: &DynamicMessage,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    let options =
        SerializeOptions::new().use_proto_field_name(true).stringify_64_bit_integers(true);
    message.serialize_with_options(serializer, &options)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_timeout_of_flyte_2_is_read() {
        let template =
            json!({"interface": {"inputs": {"variables": []}}, "metadata": {"timeout": "1200s"}});
        let text = template.to_string();
        assert!(is_flyte2(&[("template", serde_json::from_str(&text).unwrap())]));
        let request = from_proto_json_object(&json!({ "template": template })).unwrap();
        let metadata = request.template.unwrap().metadata.unwrap();
        assert_eq!(metadata.timeout.unwrap().seconds, 1200);
    }

    #[test]
    fn deeply_nested_json_is_an_invalid_argument() {
        let deep = (0..50).fold(json!(1), |inner, _| json!({ "a": inner }));
        let error = from_proto_json_object(&json!({"template": {"custom": deep}})).unwrap_err();
        assert_eq!(error.kind(), server_core::Kind::InvalidArgument);
        assert_eq!(error.to_string(), "body: nested too deeply");
    }

    #[test]
    fn an_invalid_field_is_refused_by_path() {
        let invalid = json!({"template": {"sql": {"statement": 5}}});
        let error = from_proto_json_object(&invalid).unwrap_err().to_string();
        assert!(error.starts_with("template.sql.statement: "), "{error}");
        assert!(!error.contains("line"), "{error}");
    }
}
