//! Counts what an encoded request contains, before anything is built from it.
//!
//! A list of numbers takes two bytes for each in JSON, and a hundred times that in memory. So the
//! size of a body does not bound what it costs: values are counted in its bytes, without an allocation.

mod json;
mod msgpack;
mod protobuf;

pub(super) use self::msgpack::values_in_msgpack;
pub(crate) use self::{json::values_in_json, protobuf::values_in_message};
