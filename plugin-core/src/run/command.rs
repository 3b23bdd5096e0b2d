//! The command line. Each flag is also an environment variable, and documented in docs/config.md or, if
//! it is a plugin's own, in the plugin's README.

use clap::{Arg, ArgAction, Args as _, Command, FromArgMatches as _, builder::BoolishValueParser};
use server_core::{ServiceInfo, telemetry::TelemetryArgs};

use super::{health_check, registration::Registration};
use crate::{
    context::SecretArgs,
    plugin::{Plugin, SyncPlugin},
    server::args::ServerArgs,
    upstream::UpstreamArgs,
};

/// The settings of a service, without its plugins' own.
pub(crate) struct Settings {
    pub(crate) server: ServerArgs,
    pub(crate) upstream: UpstreamArgs,
    pub(crate) secrets: SecretArgs,
    pub(crate) telemetry: TelemetryArgs,
}

impl Settings {
    /// Reads the settings from a parsed command line.
    pub(crate) fn read(matches: &clap::ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self {
            server: ServerArgs::from_arg_matches(matches)?,
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

/// The command line of a service that runs one plugin.
pub(crate) fn command_of(info: ServiceInfo, plugin: Registration) -> Command {
    let command = named(info, &format!("Runs Flyte's {} tasks", info.name));
    finished(plugin.with_endpoint(with_shared(plugin.with_settings(command))))
}

/// The command line of a program without its settings.
pub(crate) fn named(info: ServiceInfo, what: &str) -> Command {
    let about = format!("{what}: gRPC and REST on one port.");
    Command::new(info.name).version(info.version).about(about)
}

/// Adds the settings that every service has.
pub(crate) fn with_shared(command: Command) -> Command {
    let command = ServerArgs::augment_args(command);
    let command = UpstreamArgs::augment_args(command);
    let command = SecretArgs::augment_args(command);
    TelemetryArgs::augment_args(command)
}

/// Completes the command line of a service.
pub(crate) fn finished(command: Command) -> Command {
    command
        .mut_args(lenient_environment)
        .subcommand(health_check::command())
        .disable_help_subcommand(true)
        // The health check needs none of the service's settings.
        .subcommand_negates_reqs(true)
}

/// Makes an argument parse its environment variable leniently: an empty one counts as unset, and a
/// flag's may be `1`, `yes` or `on`.
pub(crate) fn lenient_environment(argument: Arg) -> Arg {
    let argument = match argument.get_action() {
        ArgAction::SetTrue => argument.value_parser(BoolishValueParser::new()),
        _ => argument,
    };
    #[expect(clippy::disallowed_methods, reason = "the name is the argument's own")]
    let value = argument.get_env().and_then(std::env::var_os);
    if value.is_some_and(|value| value.is_empty()) { argument.env(None) } else { argument }
}
