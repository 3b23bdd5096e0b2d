//! The messages of connectors, as far as they are read: the rest passes through as bytes.
//!
//! Field numbers: flyteidl 1.16 `flyteidl/admin/agent.proto`; flyteidl2 has the same.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::{Message, Oneof};

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Created {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) resource_meta: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Category {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(int32, tag = "2")]
    pub(crate) version: i32,
}

/// The secrets and settings of a request, from its caller.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub(crate) struct Connection {
    #[prost(btree_map = "string, string", tag = "2")]
    pub(crate) secrets: BTreeMap<String, String>,
    #[prost(btree_map = "string, string", tag = "3")]
    pub(crate) configs: BTreeMap<String, String>,
}

/// `GetTaskRequest` and, without a prefix, `DeleteTaskRequest`.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub(crate) struct AboutTask {
    /// For connectors before 1.11.
    #[prost(string, tag = "1")]
    pub(crate) task_type: String,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) resource_meta: Bytes,
    #[prost(message, optional, tag = "3")]
    pub(crate) task_category: Option<Category>,
    #[prost(string, tag = "4")]
    pub(crate) output_prefix: String,
    #[prost(message, optional, tag = "5")]
    pub(crate) connection: Option<Connection>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Got {
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub(crate) resource: Option<Bytes>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Listed {
    #[prost(message, repeated, tag = "1")]
    pub(crate) agents: Vec<Agent>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Agent {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, repeated, tag = "2")]
    pub(crate) supported_task_types: Vec<String>,
    #[prost(bool, tag = "3")]
    pub(crate) is_sync: bool,
    #[prost(message, repeated, tag = "4")]
    pub(crate) supported_task_categories: Vec<Category>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Execute {
    #[prost(oneof = "ExecutePart", tags = "1, 2")]
    pub(crate) part: Option<ExecutePart>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum ExecutePart {
    #[prost(bytes = "bytes", tag = "1")]
    Header(Bytes),
    #[prost(bytes = "bytes", tag = "2")]
    Inputs(Bytes),
}

/// A header, `{resource}`, or outputs.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Executed {
    #[prost(message, optional, tag = "1")]
    pub(crate) header: Option<Got>,
}

/// What a handle contains.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Job {
    /// What the connector answered with: a connector's bytes, which may be secret or a pickle, or a plugin's JSON.
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) resource_meta: Bytes,
    #[prost(string, tag = "2")]
    pub(crate) output_prefix: String,
    /// The types of the task's outputs, for a plugin whose outputs are plain JSON.
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) output_types: Vec<u8>,
    /// Whether a plugin's JSON finds the job, which its owner may read. What a connector keeps may be secret.
    #[prost(bool, tag = "4")]
    pub(crate) is_readable: bool,
}
