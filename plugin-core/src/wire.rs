//! Conversions between our types and Flyte's messages. Outside of this module only the REST and gRPC
//! handlers use proto types; the verbs pass a `CreateTaskRequest` on to be read here.

mod answer;
mod bounds;
pub(crate) mod codec;
mod declared;
mod exact;
mod facts;
pub(crate) mod json;
mod literal;
mod literal_json;
mod literal_type;
mod outputs;
mod path;
mod plain;
mod plain_task;
pub mod proto;
mod raw;
mod scan;
mod task;

#[cfg(any(test, feature = "testing"))]
pub(crate) use self::json::{from_proto_json_object, request_descriptor, to_proto_json};
#[cfg(feature = "testing")]
pub(crate) use self::literal::from_struct;
pub(crate) use self::{
    answer::{outputs, plain_outputs, resource, unreadable_resource},
    bounds::Bounds,
    json::{from_proto_json, members, without_place},
    literal::{literal, to_struct},
    literal_json::ShownOutputs,
    path::Path,
    plain::from_plain_json,
    raw::{Encoded, Submitted},
    scan::{values_in_json, values_in_message},
    task::{AnyTask, Submission, category, connection},
};
pub use self::{
    plain_task::OutputTypes,
    raw::{MAX_FACTS, MAX_LINKS, RawTask, UNREADABLE_STATUS, read_resource},
};
