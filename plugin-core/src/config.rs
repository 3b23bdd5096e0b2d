//! The service's settings: every flag is also an environment variable and a line in docs/config.md
//! or, if it is the plugin's own, in the plugin's README.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Arg, ArgAction, Args, Command, FromArgMatches as _, builder::BoolishValueParser};
use jiff::SignedDuration;

use crate::{
    erased::Registration,
    health_check,
    http::UpstreamArgs,
    plugin::{Plugin, SyncPlugin},
    run::ServiceInfo,
    secrets::SecretArgs,
    telemetry::TelemetryArgs,
};

/// What is served, where and to whom.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct ServerArgs {
    /// Where gRPC and REST are served.
    #[arg(long, env = "PLUGIN_LISTEN", default_value = "0.0.0.0:8000", value_name = "ADDRESS")]
    pub(crate) listen: SocketAddr,

    /// Where /livez, /readyz, /metrics and /log-level are served, without tokens.
    #[arg(
        long,
        env = "PLUGIN_ADMIN_LISTEN",
        default_value = "0.0.0.0:9090",
        value_name = "ADDRESS"
    )]
    pub(crate) admin_listen: SocketAddr,

    /// The certificate that the API port shows, in PEM, its chain after it. The port then speaks
    /// TLS alone. Read again when it changes. Together with --tls-key.
    #[arg(long, env = "PLUGIN_TLS_CERTIFICATE", value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_certificate: Option<PathBuf>,

    /// The certificate's private key, in PEM.
    #[arg(long, env = "PLUGIN_TLS_KEY", value_name = "FILE", requires = "tls_certificate")]
    pub(crate) tls_key: Option<PathBuf>,

    /// YAML file of issuers and rules: who may call, and do what. See docs/operating.md.
    #[arg(long, env = "PLUGIN_AUTH", value_name = "FILE")]
    pub(crate) auth: Option<PathBuf>,

    /// Serve everybody, whoever they are. Not together with --auth.
    #[arg(long, env = "PLUGIN_INSECURE_NO_AUTH")]
    pub(crate) insecure_no_auth: bool,

    /// Files of keys that seal the handles of jobs: 32 bytes, or their base64. The first seals, all
    /// open. Every replica needs the same ones. A sync plugin has no jobs, and needs none.
    #[arg(long, env = "PLUGIN_HANDLE_KEYS", value_name = "FILE,…", value_delimiter = ',')]
    pub(crate) handle_keys: Vec<PathBuf>,

    /// The longest a call may take; a caller's own deadline may be shorter. Creates and deletes run
    /// this long even when their caller goes away.
    #[arg(long, env = "PLUGIN_REQUEST_TIMEOUT", default_value = "30s", value_parser = parse_timeout)]
    pub(crate) request_timeout: Duration,

    /// How many calls are served at once; the next is refused as overload.
    #[arg(long, env = "PLUGIN_MAX_REQUESTS", default_value_t = 10_000)]
    pub(crate) max_requests: usize,

    /// The largest request, in bytes.
    #[arg(long, env = "PLUGIN_MAX_BODY_BYTES", default_value_t = 32 << 20)]
    pub(crate) max_body_bytes: usize,

    /// How many connections are open at once; the next waits in the kernel's queue.
    #[arg(long, env = "PLUGIN_MAX_CONNECTIONS", default_value_t = 10_000)]
    pub(crate) max_connections: usize,

    /// How long a connection lives, give or take a tenth. It then ends without failing a call, so
    /// that callers find new replicas.
    #[arg(long, env = "PLUGIN_CONNECTION_AGE", default_value = "120s", value_parser = parse_timeout)]
    pub(crate) connection_age: Duration,

    /// How long polls are answered with the last known phase while the vendor refuses the service's
    /// credentials. Then the task fails. An outage is never counted.
    #[arg(long, env = "PLUGIN_REFUSED_GRACE", default_value = "6h", value_parser = parse_duration)]
    pub(crate) refused_grace: Duration,

    /// How long the service goes on accepting connections after SIGTERM, already not ready, so that
    /// load balancers can notice.
    #[arg(long, env = "PLUGIN_DRAIN_DELAY", default_value = "5s", value_parser = parse_duration)]
    pub(crate) drain_delay: Duration,

    /// How long running calls may take to finish after that.
    #[arg(long, env = "PLUGIN_DRAIN_TIMEOUT", default_value = "30s", value_parser = parse_duration)]
    pub(crate) drain_timeout: Duration,
}

/// Every setting of a service but its plugins' own, read.
pub(crate) struct Settings {
    pub(crate) server: ServerArgs,
    pub(crate) upstream: UpstreamArgs,
    pub(crate) secrets: SecretArgs,
    pub(crate) telemetry: TelemetryArgs,
}

impl Settings {
    /// Reads what a command line was matched to.
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

/// Makes the arguments that are there those of a service.
pub(crate) fn finished(command: Command) -> Command {
    command
        .mut_args(lenient_environment)
        .subcommand(health_check::command())
        .disable_help_subcommand(true)
        // What only asks a service needs none of its settings.
        .subcommand_negates_reqs(true)
}

/// Makes an argument read its environment variable as people write them: an empty one is none, and a
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

/// [`parse_duration`] of what cannot be zero.
pub(crate) fn parse_timeout(text: &str) -> Result<Duration, String> {
    match parse_duration(text)? {
        Duration::ZERO => Err("must be more than zero".to_owned()),
        duration => Ok(duration),
    }
}

/// Reads `90s`, `2m` or `1h 30m`.
///
/// # Errors
/// What is wrong with it, and how durations are written.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = |error: jiff::Error| format!("{error}; write for example 90s, 2m or 1h30m");
    let duration: SignedDuration = text.parse().map_err(wrong)?;
    Duration::try_from(duration).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        assert_eq!(parse_duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("1h 30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert!(parse_duration("90").is_err());
        assert!(parse_duration("-1s").is_err());
    }
}
