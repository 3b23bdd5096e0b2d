//! Conversions between our types and Flyte's messages. Outside of this module only the REST and gRPC
//! handlers use proto types; the verbs pass a `CreateTaskRequest` on to be read here.

mod answer;
mod declared;
mod exact;
pub(crate) mod json;
mod literal;
mod plain;
pub mod proto;
mod task;

#[cfg(feature = "testing")]
pub(crate) use self::literal::from_struct;
pub(crate) use self::{
    answer::{resource, unreadable_resource},
    json::{from_proto_json, to_proto_json},
    literal::{literal_map, to_struct},
    plain::from_plain_json,
    task::{Submission, category, connection},
};
