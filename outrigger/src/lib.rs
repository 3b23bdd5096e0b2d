//! The program `outrigger`: Flyte's values, new plugins, checks, tokens and health, without Rust or Python.
//!
//! A command is a module with its arguments and what it does; [`command()`] puts them together. Whatever a library of
//! this workspace does is done there: the generator and Flyte's values in `xtask`, the contract in
//! `plugin-conformance`, plugins' files in `declarative`, health and authentication in `plugin-core`.
#![allow(
    clippy::disallowed_methods,
    reason = "a program for terminals: it has no calls to keep from waiting"
)]

mod bounded;
mod command;
mod completion;
mod examples;
mod health;
mod output;
mod plugin;
mod plugins;
mod progress;
mod python;
mod table;
mod token;
mod values;

use std::process::ExitCode;

pub use self::command::command;

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    xtask::name_program(command::NAME);
    let matches = command().try_get_matches();
    command::run(&matches.unwrap_or_else(|error| xtask::without_secrets(error).exit()))
}
