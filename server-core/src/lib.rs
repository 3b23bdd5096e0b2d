//! What every program of Outrigger that listens needs.
//!
//! [`Error`] carries one failure to every protocol; [`listen`] accepts connections, with or without
//! [`tls`]; [`admin`] serves probes, metrics and the log level; [`telemetry`] writes logs and traces;
//! [`serving`] stops a program without failing a call. `plugin-core` builds plugin services on it, and
//! `propeller-proxy` is built on it alone.

pub mod admin;
pub mod digest;
pub mod duration;
pub mod error;
pub mod listen;
pub mod program;
mod service_info;
pub mod serving;
pub mod telemetry;
pub mod tls;
pub mod token_file;

pub use self::{
    error::{Error, Kind, Result},
    service_info::ServiceInfo,
};
