//! Runs Flyte backend plugins as services.
//!
//! A plugin implements [`Plugin`]: four functions and three types. [`run()`] serves it to FlytePropeller
//! 1.x and Flyte 2 over gRPC and to users over REST, with authentication, limits, retries, logs, metrics
//! and traces. A plugin that answers within the call implements [`SyncPlugin`] and is served by
//! [`run_sync()`]. A [`Bundle`] serves several plugins in one process.
//!
//! Read in this order: [`Plugin`] (what an author writes), [`task`] and [`context`] (its arguments and
//! results), [`upstream`] (the client for the vendor's API), [`testing`] (its tests). `ARCHITECTURE.md` has
//! the map of the rest.

#[cfg(feature = "aws")]
pub mod aws;
pub mod context;
mod erased;
#[cfg(feature = "google")]
pub mod google;
mod handle;
mod metrics;
mod plugin;
mod record;
mod run;
mod server;
pub mod sql;
pub mod task;
#[cfg(feature = "testing")]
pub mod testing;
pub mod upstream;
mod verbs;
mod wire;

pub use server_core::{
    Error, Kind, Result, ServiceInfo,
    address::Unshown,
    digest::{self, Fingerprint},
    duration::{parse_duration, parse_timeout},
    service_info,
};
/// Libraries whose types appear in a plugin's own code, re-exported so that it need not depend on them.
pub use {clap, http, jiff, prometheus_client, schemars, secrecy, serde_json};

pub use self::{
    context::Context,
    plugin::{
        JointPolls, JointStatus, Options, Plugin, Polled, RawPlugin, RawTaskTypes, RepeatedCreate,
        SyncPlugin, SyncTasks,
    },
    run::{
        Bundle, SERVING, Trial, TrialArgs, block_on, command, command_raw, command_sync, health,
        run, run_raw, run_sync, run_with_tools,
    },
    server::{Access, AuthenticationFile, TrustedIssuer, openapi, shared_secret},
    task::{Phase, Status, Task, TaskType, Type, Value},
    upstream::{Http, HttpBuilder},
    wire::{MAX_FACTS, MAX_LINKS, OutputTypes, RawTask, UNREADABLE_STATUS, read_resource},
};
