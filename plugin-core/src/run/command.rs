//! The command line of a service: every flag is also an environment variable and a line in
//! docs/config.md or, for a plugin's own setting, in the plugin's README.

use clap::{Command, FromArgMatches as _};
use server_core::{ServiceInfo, telemetry::TelemetryArgs};

use super::{
    arguments::{lenient_environment, with_args},
    health_check,
    registration::Registration,
};
use crate::{
    context::SecretArgs,
    plugin::{Plugin, RawPlugin, SyncPlugin},
    server::args::ServerArgs,
    upstream::UpstreamArgs,
    verbs::MemoryArgs,
};

/// The settings that all plugins of a service share.
pub(crate) struct Settings {
    pub(crate) server: ServerArgs,
    pub(crate) memory: MemoryArgs,
    pub(crate) upstream: UpstreamArgs,
    pub(crate) secrets: SecretArgs,
    pub(crate) telemetry: TelemetryArgs,
}

impl Settings {
    /// Reads the settings from a matched command line.
    pub(crate) fn read(matches: &clap::ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self {
            server: ServerArgs::from_arg_matches(matches)?,
            memory: MemoryArgs::from_arg_matches(matches)?,
            upstream: UpstreamArgs::from_arg_matches(matches)?,
            secrets: SecretArgs::from_arg_matches(matches)?,
            telemetry: TelemetryArgs::from_arg_matches(matches)?,
        })
    }
}

/// The command line of the service `info` that runs `P`.
#[must_use]
pub fn command<P: Plugin>(info: ServiceInfo) -> Command {
    command_of(info, Registration::of::<P>(info.name))
}

/// The command line of the service `info` that runs the sync plugin `P`.
#[must_use]
pub fn command_sync<P: SyncPlugin>(info: ServiceInfo) -> Command {
    command_of(info, Registration::of_sync::<P>(info.name))
}

/// The command line of the service `info` that runs the raw plugin `P`.
#[must_use]
pub fn command_raw<P: RawPlugin>(info: ServiceInfo) -> Command {
    command_of(info, Registration::of_raw::<P>(info.name))
}

/// The command line of a service that runs one plugin.
pub(crate) fn command_of(info: ServiceInfo, plugin: Registration) -> Command {
    let command = named(info, &format!("the Flyte backend plugin {}", info.name));
    finished(plugin.with_endpoint(with_shared(plugin.with_settings(command))))
}

/// The command of a program that serves `what`, without any settings.
pub(super) fn named(info: ServiceInfo, what: &str) -> Command {
    let about = format!("Serves {what} over gRPC and REST");
    Command::new(info.name).version(info.version).about(about)
}

/// Adds the settings that every service has.
pub(super) fn with_shared(command: Command) -> Command {
    let command = with_args::<ServerArgs>(command);
    let command = with_args::<MemoryArgs>(command);
    let command = with_args::<UpstreamArgs>(command);
    let command = with_args::<SecretArgs>(command);
    with_args::<TelemetryArgs>(command)
}

/// Adds what every service's command line has besides settings.
pub(super) fn finished(command: Command) -> Command {
    command
        .mut_args(lenient_environment)
        .subcommand(health_check::command())
        .disable_help_subcommand(true)
        // A health check needs none of the service's required settings.
        .subcommand_negates_reqs(true)
}
