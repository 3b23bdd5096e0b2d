//! Runs a plugin against a scripted upstream, over real sockets and every protocol.
//!
//! [`conformance_tests!`](crate::conformance_tests) gives a new plugin its test-suite on its first
//! day; [`spawn`], [`Upstream`] and [`Client`] are there for tests of its own.

mod client;
mod conformance;
mod context;
mod recorded;
mod scenario;
mod service;
mod upstream;

#[cfg(test)]
pub(crate) use self::context::context_in;
pub use self::{
    client::{Client, Dialect, Refusal, Seen},
    conformance::conformance,
    context::context,
    recorded::Recorded,
    scenario::Scenario,
    service::{TestService, logs, rsa_private_key, spawn},
    upstream::{Answer, Received, Upstream},
};
pub use crate::wire::proto;
