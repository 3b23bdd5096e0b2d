//! Flyte's messages from their proto-JSON.

use prost::{DecodeError, Message as _};
use prost_types::Struct;
use serde_json::{Value as Json, json};
use server_core::Result;

use super::{
    proto::flyteidl::{admin::CreateTaskRequest, core::LiteralMap},
    strict,
};
use crate::wire;

/// Reads a CreateTaskRequest from its proto-JSON, in Flyte 1's or Flyte 2's form. A service ignores fields that it does
/// not know; here they are refused, because a file with one has a misspelling.
///
/// # Errors
/// `InvalidArgument` with the path of the invalid or unknown field.
pub fn create_request(json: &Json) -> Result<CreateTaskRequest> {
    strict::check(json, &wire::request_descriptor(json)?)?;
    wire::from_proto_json_object(json)
}

/// Reads a LiteralMap from its proto-JSON, for example the `outputs` of a REST answer.
///
/// # Errors
/// `InvalidArgument` with the path of the invalid field, which begins with `inputs`.
pub fn literal_map(json: &Json) -> Result<LiteralMap> {
    // A service may be newer than this reader.
    Ok(wire::from_proto_json_object(&json!({ "inputs": json }))?.inputs.unwrap_or_default())
}

/// The `custom_info` of a gRPC answer as JSON, as that of a REST answer.
///
/// # Errors
/// When `encoded` is no `Struct`.
pub fn struct_json(encoded: &[u8]) -> Result<Json, DecodeError> {
    Struct::decode(encoded).map(wire::from_struct)
}
