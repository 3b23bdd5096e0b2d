//! Running a service: settings → telemetry → plugins → serve → exit code.

mod arguments;
mod bundle;
mod command;
mod health_check;
mod registration;
mod trial;

use std::{process::ExitCode, sync::Arc};

use clap::{ArgMatches, Command, Subcommand};
use prometheus_client::registry::Registry;
use server_core::{
    Error, Result, ServiceInfo,
    digest::KeyedHash,
    program::{self, exit_code},
    serving::Signals,
    telemetry::{LogLevel, Telemetry},
    variables::{Variables, prefix_of},
};
use tokio_util::task::TaskTracker;

pub(crate) use self::command::{Settings, command_of};
use self::health_check::HealthCheck;
pub(crate) use self::registration::{Configured, Registration};
pub use self::{
    bundle::Bundle,
    command::{command, command_raw, command_sync},
    health_check::{SERVING, health},
    trial::{Trial, TrialArgs, block_on},
};
use crate::{
    context::SecretReader,
    erased::AnyPlugin,
    handle::HandleKeys,
    metrics,
    plugin::{Plugin, RawPlugin, SyncPlugin},
    server::{Auth, Running, Service, args::ServerArgs},
    upstream::{self, HttpBuilder, UpstreamArgs},
    verbs::{self, Heavy, Shared, Verbs},
};

/// Runs the plugin `P` as a service until SIGTERM or SIGINT: a complete `main`.
///
/// Invalid settings end it with a message on standard error: with code 2 if clap rejects the command
/// line, with code 1 otherwise.
#[must_use]
pub fn run<P: Plugin>(info: ServiceInfo) -> ExitCode {
    run_one(info, Registration::of::<P>(info.name))
}

/// [`run()`] for a sync plugin.
#[must_use]
pub fn run_sync<P: SyncPlugin>(info: ServiceInfo) -> ExitCode {
    run_one(info, Registration::of_sync::<P>(info.name))
}

/// [`run()`] for a raw plugin.
#[must_use]
pub fn run_raw<P: RawPlugin>(info: ServiceInfo) -> ExitCode {
    run_one(info, Registration::of_raw::<P>(info.name))
}

/// [`run()`], with the sub-commands `T` besides, which do something else than serve, such as checking a file, and need none
/// of the service's settings. `tool` runs one.
#[must_use]
pub fn run_with_tools<P: Plugin, T: Subcommand>(
    info: ServiceInfo,
    tool: fn(T) -> ExitCode,
) -> ExitCode {
    let plugin = Registration::of::<P>(info.name);
    let command = command_of(info, plugin);
    let about = command.get_about().cloned().unwrap_or_default();
    // Clap describes the program by what the type of its sub-commands says of itself.
    let command = T::augment_subcommands(command).about(about).long_about(None);
    let matches = command.clone().get_matches();
    if !matches.subcommand_name().is_some_and(T::has_subcommand) {
        return run_command(info, plugin, command);
    }
    match T::from_arg_matches(&matches) {
        Ok(called) => tool(called),
        Err(error) => error.exit(),
    }
}

fn run_one(info: ServiceInfo, plugin: Registration) -> ExitCode {
    run_command(info, plugin, command_of(info, plugin))
}

fn run_command(info: ServiceInfo, plugin: Registration, command: Command) -> ExitCode {
    let variables = variables([info.name]).read_by(&command);
    run_program(info, command, variables, |matches| Ok(vec![plugin.configure(matches)?]))
}

/// The variables of a program that serves `plugins`, without those that it reads.
fn variables<'a>(plugins: impl IntoIterator<Item = &'a str>) -> Variables {
    Variables::with_prefixes(["plugin"].into_iter().chain(plugins).map(prefix_of))
}

/// Runs the program with the command line `command`, and the plugins that `configure` returns. It reads
/// `variables`.
pub(crate) fn run_program(
    info: ServiceInfo,
    command: Command,
    variables: Variables,
    configure: impl FnOnce(&ArgMatches) -> Result<Vec<Configured>, clap::Error>,
) -> ExitCode {
    let matches = command.get_matches();
    let check = HealthCheck::requested(&matches).unwrap_or_else(|error| error.exit());
    let result = match check {
        Some(check) => block_on(check.run()),
        None => {
            let settings = Settings::read(&matches).unwrap_or_else(|error| error.exit());
            let plugins = configure(&matches).unwrap_or_else(|error| error.exit());
            let threads = settings.server.worker_threads;
            program::block_on(threads, serve(info, settings, plugins, variables))
        }
    };
    exit_code(info.name, result)
}

async fn serve(
    info: ServiceInfo,
    settings: Settings,
    plugins: Vec<Configured>,
    variables: Variables,
) -> Result<()> {
    // First, so that signals during start-up are not lost.
    let mut signals = Signals::new()?;
    let telemetry = Telemetry::start(&settings.telemetry, info)?;
    variables.warn_of_unread(|name| name.starts_with(&settings.secrets.secret_prefix));
    let names = plugins.iter().map(|plugin| plugin.name).collect::<Vec<_>>().join(", ");
    let running = tokio::select! {
        running = start(info, settings, plugins, telemetry.log_level()) => running?,
        _ = signals.next() => return Ok(()),
    };
    tracing::info!(
        version = info.version,
        plugins = names,
        api = %running.api,
        admin = %running.admin,
        "serving {}",
        info.name
    );
    running.serving.until_stopped(&mut signals).await;
    telemetry.shut_down().await;
    tracing::info!("stopped");
    Ok(())
}

/// Starts the service, and returns once it is listening.
pub(crate) async fn start(
    info: ServiceInfo,
    settings: Settings,
    plugins: Vec<Configured>,
    log_level: LogLevel,
) -> Result<Running> {
    let mut registry = metrics::registry(info);
    let panics = metrics::panics(&mut registry);
    let calls = Arc::new(upstream::Metrics::register(&mut registry));
    let plugins = plugins
        .into_iter()
        .map(|plugin| create(info, &settings.upstream, plugin, &calls, &mut registry))
        .collect::<Result<Vec<_>>>()?;
    let plugins = plugins.into_iter().flatten().collect::<Vec<_>>();
    let keys = handle_keys(&settings.server, &plugins)?;
    let auth = auth(&settings.server, &mut registry)?;
    let tasks = TaskTracker::new();
    let shared = Shared {
        keys,
        secrets: Arc::new(SecretReader::new(settings.secrets)),
        metrics: Arc::new(verbs::Metrics::register(&mut registry, panics.clone())),
        tasks: tasks.clone(),
        request_timeout: settings.server.request_timeout,
        memory: settings.memory,
        bounds: settings.server.bounds.clone(),
        heavy: Heavy::default(),
        hash: KeyedHash::default(),
        poll_freshness: settings.upstream.poll_freshness,
    };
    let background = plugins.iter().map(|(_, plugin)| plugin.background()).collect();
    let service = Service {
        info,
        verbs: Arc::new(Verbs::new(&plugins, shared)?),
        auth,
        registry,
        panics,
        log_level,
        tasks,
        background,
    };
    service.start(&settings.server).await
}

/// Creates a plugin, with a client of its own.
fn create(
    info: ServiceInfo,
    upstream: &UpstreamArgs,
    plugin: Configured,
    metrics: &Arc<upstream::Metrics>,
    registry: &mut Registry,
) -> Result<Vec<(&'static str, AnyPlugin)>> {
    let Configured { name, endpoint, make } = plugin;
    let agent = format!("outrigger-{name}/{}", info.version);
    let http = HttpBuilder::new(upstream, endpoint.as_deref(), &agent, Arc::clone(metrics));
    match http.and_then(|http| make(http, registry)) {
        Ok(plugins) => Ok(plugins.into_iter().map(|plugin| (name, plugin)).collect()),
        // In a bundle, the message names the plugin.
        Err(error) if name != info.name => Err(error.about(name)),
        Err(error) => Err(error),
    }
}

fn handle_keys(args: &ServerArgs, plugins: &[(&str, AnyPlugin)]) -> Result<HandleKeys> {
    if !args.handle_keys.is_empty() {
        return HandleKeys::read(&args.handle_keys);
    }
    if plugins.iter().all(|(_, plugin)| plugin.is_sync()) {
        return HandleKeys::ephemeral();
    }
    if args.insecure_no_auth {
        tracing::warn!(
            "no --handle-keys: a restart loses running jobs, and replicas cannot share them"
        );
        return HandleKeys::ephemeral();
    }
    Err(Error::invalid(
        "--handle-keys (PLUGIN_HANDLE_KEYS) is missing: without a persistent key, a restart loses every \
         running job. Create one with: outrigger token new-key handle.key, or (umask 077; openssl rand -base64 32 > handle.key)",
    ))
}

fn auth(args: &ServerArgs, registry: &mut Registry) -> Result<Auth> {
    match (&args.auth, args.insecure_no_auth) {
        (Some(path), false) => Auth::from_file(path, registry),
        (None, true) => {
            tracing::warn!("--insecure-no-auth: anyone who can reach this port may submit jobs");
            Ok(Auth::anonymous(registry))
        }
        (None, false) => Err(Error::invalid(
            "--auth (PLUGIN_AUTH) is missing: give the file with issuers and access rules, or accept \
             unauthenticated requests with --insecure-no-auth",
        )),
        (Some(_), true) => Err(Error::invalid(
            "--auth (PLUGIN_AUTH) and --insecure-no-auth (PLUGIN_INSECURE_NO_AUTH) are mutually exclusive",
        )),
    }
}
