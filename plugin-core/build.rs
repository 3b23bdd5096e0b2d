//! Compiles `proto/` without protoc and without a network.
#![expect(clippy::disallowed_methods, reason = "cargo talks to build scripts by the environment")]

use std::path::PathBuf;

use prost::Message as _;
use prost_types::{
    FileDescriptorSet,
    field_descriptor_proto::{Label, Type},
};

const PROTOS: [&str; 6] = [
    "flyteidl/core.proto",
    "flyteidl/admin.proto",
    "flyteidl/service.proto",
    "flyteidl2/core.proto",
    "flyteidl2/task.proto",
    "flyteidl2/connector.proto",
];

/// Flyte 2 messages and the Rust types that stand for them.
///
/// The two families encode alike (`map<string, T>` and `repeated {key = 1, value = 2}` are the same
/// bytes), so one type and one handler serve both.
const TWINS: [(&str, &str); 10] = [
    (".flyteidl2.core", "core"),
    (".flyteidl2.task", "core"),
    (".flyteidl2.task.Inputs", "core::LiteralMap"),
    (".flyteidl2.task.Outputs", "core::LiteralMap"),
    (".flyteidl2.connector", "admin"),
    (".flyteidl2.connector.Connector", "admin::Agent"),
    (".flyteidl2.connector.GetConnectorRequest", "admin::GetAgentRequest"),
    (".flyteidl2.connector.GetConnectorResponse", "admin::GetAgentResponse"),
    (".flyteidl2.connector.ListConnectorsRequest", "admin::ListAgentsRequest"),
    (".flyteidl2.connector.ListConnectorsResponse", "admin::ListAgentsResponse"),
];

/// Fields that are passed on as they came, with everything in them that `proto/` leaves out. Reflection and
/// proto-JSON show their types; in Rust they are bytes.
const AS_BYTES: [(&str, &str); 5] = [
    ("Resource", "custom_info"),
    ("Resource", "outputs"),
    ("Resource", "log_links"),
    ("ExecuteTaskSyncRequest", "header"),
    ("ExecuteTaskSyncRequest", "inputs"),
];

fn with_bytes(mut descriptors: FileDescriptorSet) -> FileDescriptorSet {
    let files = descriptors.file.iter_mut().filter(|file| file.package() == "flyteidl.admin");
    for message in files.flat_map(|file| &mut file.message_type) {
        let name = message.name().to_owned();
        let is_kept = |field: &str| AS_BYTES.contains(&(name.as_str(), field));
        for field in message.field.iter_mut().filter(|field| is_kept(field.name())) {
            field.set_type(Type::Bytes);
            field.type_name = None;
            // Like a message, it may be absent.
            let is_single = field.label() == Label::Optional && field.oneof_index.is_none();
            field.proto3_optional = is_single.then_some(true);
        }
    }
    descriptors
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(PROTOS, ["proto"])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;

    let mut builder = tonic_prost_build::configure()
        .build_client(std::env::var_os("CARGO_FEATURE_TESTING").is_some())
        .codec_path("crate::wire::codec::Codec")
        .btree_map(".")
        .bytes(".");
    for (flyte2, rust) in TWINS {
        builder = builder.extern_path(flyte2, format!("crate::wire::proto::flyteidl::{rust}"));
    }
    builder.compile_fds(with_bytes(descriptors))?;
    Ok(())
}
