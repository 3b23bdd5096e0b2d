//! The foundation of every Outrigger program that listens.
//!
//! [`Error`] is one error type for every protocol; [`listen`] accepts connections, with or without
//! [`tls`]; [`admin`] serves probes, metrics and the log level; [`telemetry`] writes logs and traces;
//! [`serving`] shuts a program down without failing a call. `plugin-core` and `propeller-proxy` are built
//! on it.

pub mod address;
pub mod admin;
pub mod digest;
pub mod duration;
pub mod error;
pub mod json;
pub mod listen;
pub mod metrics;
pub mod program;
mod service_info;
pub mod serving;
pub mod telemetry;
pub mod text;
pub mod tls;
pub mod token_file;
pub mod variables;

pub use self::{
    error::{Error, Kind, Result},
    service_info::ServiceInfo,
};
