//! Proto-JSON of Flyte's messages, for REST.

use std::sync::LazyLock;

use prost::Message;
use prost_reflect::{
    DescriptorPool, DeserializeOptions, DynamicMessage, MessageDescriptor, SerializeOptions,
};
use serde_json::Value as Json;
use server_core::{Error, Result};

use super::proto::{
    DESCRIPTORS,
    flyteidl::{admin::CreateTaskRequest, core::LiteralMap},
};

#[expect(clippy::expect_used, reason = "build.rs wrote the descriptors, and every test reads them")]
static POOL: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(DESCRIPTORS).expect("the embedded descriptors decode"));

/// A message with its full name.
pub(crate) trait Named: Message + Default {
    const NAME: &'static str;
}

impl Named for CreateTaskRequest {
    const NAME: &'static str = "flyteidl.admin.CreateTaskRequest";
}

impl Named for LiteralMap {
    const NAME: &'static str = "flyteidl.core.LiteralMap";
}

fn descriptor(name: &str) -> Result<MessageDescriptor> {
    POOL.get_message_by_name(name).ok_or_else(|| Error::internal(format!("no message {name}")))
}

/// Reads a create request in Flyte 1's or Flyte 2's proto-JSON.
///
/// # Errors
/// `InvalidArgument` with the path of the invalid field.
pub(crate) fn from_proto_json(json: &Json) -> Result<CreateTaskRequest> {
    let name = if is_flyte2(json) {
        "flyteidl2.connector.CreateTaskRequest"
    } else {
        CreateTaskRequest::NAME
    };
    // Newer SDKs of Flyte send fields that this version does not know.
    let options = DeserializeOptions::new().deny_unknown_fields(false);
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(json, &mut track);
    let read = DynamicMessage::deserialize_with_options(descriptor(name)?, tracked, &options);
    let message = read.map_err(|error| Error::invalid(format!("{}: {error}", track.path())))?;
    // JSON may be nested more deeply than protobuf.
    CreateTaskRequest::decode(message.encode_to_vec().as_slice())
        .map_err(|error| Error::invalid("body: nested too deeply").with_source(error))
}

/// Whether it is Flyte 2's form, which has lists of named values in place of Flyte 1's maps.
fn is_flyte2(json: &Json) -> bool {
    [
        "/inputs/literals",
        "/template/interface/inputs/variables",
        "/template/interface/outputs/variables",
    ]
    .iter()
    .any(|path| json.pointer(path).is_some_and(Json::is_array))
}

/// Serialises `message` with proto field names.
pub(crate) fn to_proto_json<M: Named>(message: &M) -> Result<Json> {
    let mut dynamic = DynamicMessage::new(descriptor(M::NAME)?);
    dynamic.transcode_from(message).map_err(Error::internal)?;
    let options =
        SerializeOptions::new().use_proto_field_name(true).stringify_64_bit_integers(true);
    dynamic.serialize_with_options(serde_json::value::Serializer, &options).map_err(Error::internal)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_timeout_of_flyte_2_is_read() {
        let template =
            json!({"interface": {"inputs": {"variables": []}}, "metadata": {"timeout": "1200s"}});
        assert!(is_flyte2(&json!({ "template": template })));
        let request = from_proto_json(&json!({ "template": template })).unwrap();
        let metadata = request.template.unwrap().metadata.unwrap();
        assert_eq!(metadata.timeout.unwrap().seconds, 1200);
    }

    #[test]
    fn deeply_nested_json_is_an_invalid_argument() {
        let deep = (0..50).fold(json!(1), |inner, _| json!({ "a": inner }));
        let error = from_proto_json(&json!({"template": {"custom": deep}})).unwrap_err();
        assert_eq!(error.kind(), server_core::Kind::InvalidArgument);
        assert_eq!(error.to_string(), "body: nested too deeply");
    }
}
