//! The code that build.rs generates from `proto/`.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::restriction,
    clippy::pedantic,
    rustdoc::all
)]

pub mod flyteidl {
    pub mod core {
        tonic::include_proto!("flyteidl.core");
    }
    pub mod admin {
        tonic::include_proto!("flyteidl.admin");
    }
    pub mod service {
        tonic::include_proto!("flyteidl.service");
    }
}

pub mod flyteidl2 {
    pub mod connector {
        tonic::include_proto!("flyteidl2.connector");
    }
}

/// The descriptors of all messages and services, for reflection and proto-JSON.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
