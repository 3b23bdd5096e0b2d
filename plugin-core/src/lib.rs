//! Runs a Flyte backend plugin as a service of its own.
//!
//! A plugin implements [`Plugin`]: three functions and four types. [`run()`] makes it a service that
//! FlytePropeller 1.x and Flyte 2 call over gRPC and users over REST, with authentication, limits,
//! retries, logs, metrics and traces. One that answers at once implements [`SyncPlugin`] and is run by
//! [`run_sync()`]. A [`Bundle`] serves several in one process.
//!
//! Read in this order: [`plugin`] (what an author writes), [`task`] and [`context`] (what it is
//! given), [`status`] and [`error`] (what it returns), [`http`] (how it calls the vendor).
//! `ARCHITECTURE.md` has the map of the rest.
//!
//! A program that is no plugin takes [`listen`], [`serving`], [`admin`], [`telemetry`] and [`tls`].

pub mod admin;
mod bundle;
pub mod caller;
mod config;
pub mod context;
pub mod deadline;
mod erased;
pub mod error;
mod handle;
mod health_check;
pub mod http;
pub mod listen;
pub mod plugin;
mod run;
mod secrets;
mod server;
pub mod serving;
pub mod status;
pub mod task;
pub mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
pub mod tls;
pub mod value;
mod verbs;
mod wire;

pub use self::{
    bundle::Bundle,
    config::{command, command_sync, parse_duration},
    context::Context,
    error::{Error, Kind, Result},
    http::{Http, HttpBuilder},
    plugin::{BatchKey, BatchStatus, Plugin, Polled, SyncPlugin, TaskType},
    run::{ServiceInfo, run, run_sync},
    server::openapi,
    status::{Phase, Status},
    task::Task,
    value::{Type, Value},
};
