//! Runs a plugin against a scripted upstream, over real sockets and every protocol.
//!
//! [`conformance_tests!`](crate::conformance_tests) and
//! [`sync_conformance_tests!`](crate::sync_conformance_tests) make the conformance suite of a plugin from
//! its `recorded.json`. [`spawn`], [`Upstream`] and [`Client`] serve the plugin's own tests.

mod client;
mod conformance;
mod context;
mod playback;
mod proto_json;
mod readme;
mod recorded;
mod scenario;
mod service;
mod stage;
mod strict;
mod sync_conformance;
mod upstream;

#[cfg(test)]
pub(crate) use self::context::context_in;
pub use self::{
    client::{CallError, Client, Dialect, Observation, links_of, outputs_of, sync_parts},
    conformance::conformance,
    context::context,
    playback::{play, play_sync},
    proto_json::{create_request, literal_map, struct_json},
    readme::readme_names_every_setting,
    recorded::{Recorded, SyncRecorded},
    scenario::{Scenario, SyncScenario},
    service::{TestService, logs, rsa_private_key, spawn, spawn_bundle, spawn_raw, spawn_sync},
    sync_conformance::{sync_conformance, sync_tasks_conformance},
    upstream::{Answer, ReceivedRequest, Upstream},
};
pub use crate::wire::proto;
