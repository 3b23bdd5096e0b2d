//! Runs Flyte's Athena query tasks.

mod api;
mod custom;
mod dialect;
mod errors;
mod literal;
mod location;
mod parameters;
mod request;
mod results;
mod sql;
