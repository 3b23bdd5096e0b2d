//! Runs a Flyte backend plugin as a service of its own.
//!
//! A plugin implements [`Plugin`]: three functions and three types. [`run()`] makes it a service that
//! FlytePropeller 1.x and Flyte 2 call over gRPC and users over REST, with authentication, limits,
//! retries, logs, metrics and traces. A plugin that answers within the call implements [`SyncPlugin`] and
//! is run by [`run_sync()`]. A [`Bundle`] serves several plugins in one process.
//!
//! Read in this order: [`Plugin`] (what an author writes), [`task`] and [`context`] (what it is given and
//! returns), [`upstream`] (how it calls the vendor), [`testing`] (how it is tested).
//! `ARCHITECTURE.md` has the map of the rest.

pub mod context;
mod erased;
mod handle;
mod metrics;
mod plugin;
mod record;
mod run;
mod server;
pub mod task;
#[cfg(feature = "testing")]
pub mod testing;
pub mod upstream;
mod verbs;
mod wire;

pub use server_core::{
    Error, Kind, Result, ServiceInfo,
    digest::{self, Fingerprint},
    duration::{parse_duration, parse_timeout},
    service_info,
};
/// Libraries whose types appear in a plugin's own code, so that it need not list them.
pub use {clap, http, jiff, schemars, secrecy, serde_json};

pub use self::{
    context::Context,
    plugin::{JointPolls, JointStatus, Options, Plugin, Polled, SyncPlugin},
    run::{Bundle, command, command_sync, run, run_sync},
    server::openapi,
    task::{Phase, Status, Task, TaskType, Type, Value},
    upstream::{Http, HttpBuilder},
};
