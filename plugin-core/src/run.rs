//! Start-up: settings → telemetry → plugin → serve → exit code.

mod bundle;
mod command;
mod health_check;
mod registration;

use std::{process::ExitCode, sync::Arc};

use clap::{ArgMatches, Command};
use server_core::{
    Error, Result, ServiceInfo,
    program::{block_on, exit_code},
    serving::Signals,
    telemetry::{LogLevel, Telemetry},
};
use tokio::runtime::Builder;
use tokio_util::task::TaskTracker;

pub(crate) use self::command::{Settings, command_of};
use self::health_check::HealthCheck;
pub(crate) use self::registration::{Configured, Registration};
pub use self::{
    bundle::Bundle,
    command::{command, command_sync},
};
use crate::{
    context::SecretReader,
    erased::AnyPlugin,
    handle::HandleKeys,
    metrics::Metrics,
    plugin::{Plugin, SyncPlugin},
    server::{Auth, Running, Service, args::ServerArgs},
    upstream::{HttpBuilder, UpstreamArgs},
    verbs::{Shared, Verbs},
};

/// Runs the plugin `P` as a service until SIGTERM or SIGINT: a whole `main`.
///
/// Wrong settings end it with a message on standard error: code 2 for the command line's, 1 for all
/// others.
#[must_use]
pub fn run<P: Plugin>(info: ServiceInfo) -> ExitCode {
    run_one(info, Registration::of::<P>(info.name))
}

/// [`run()`] for a plugin that answers at once.
#[must_use]
pub fn run_sync<P: SyncPlugin>(info: ServiceInfo) -> ExitCode {
    run_one(info, Registration::of_sync::<P>(info.name))
}

fn run_one(info: ServiceInfo, plugin: Registration) -> ExitCode {
    run_program(info, command_of(info, plugin), |matches| Ok(vec![plugin.configure(matches)?]))
}

/// Runs the program whose command line is `command` and tells `configure` which plugins to serve.
pub(crate) fn run_program(
    info: ServiceInfo,
    command: Command,
    configure: impl FnOnce(&ArgMatches) -> Result<Vec<Configured>, clap::Error>,
) -> ExitCode {
    let matches = command.get_matches();
    let check = HealthCheck::asked_for(&matches).unwrap_or_else(|error| error.exit());
    let result = match check {
        Some(check) => block_on(runtime(), check.run()),
        None => {
            let settings = Settings::read(&matches).unwrap_or_else(|error| error.exit());
            let plugins = configure(&matches).unwrap_or_else(|error| error.exit());
            block_on(runtime(), serve(info, settings, plugins))
        }
    };
    exit_code(info.name, result)
}

fn runtime() -> Builder {
    Builder::new_multi_thread()
}

async fn serve(info: ServiceInfo, settings: Settings, plugins: Vec<Configured>) -> Result<()> {
    // Before anything else: a signal that comes while it starts is not lost.
    let mut signals = Signals::new()?;
    let telemetry = Telemetry::start(&settings.telemetry, info)?;
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

/// Starts the service and returns while it serves.
pub(crate) async fn start(
    info: ServiceInfo,
    settings: Settings,
    plugins: Vec<Configured>,
    log_level: LogLevel,
) -> Result<Running> {
    let metrics = Arc::new(Metrics::new(info));
    let plugins = plugins
        .into_iter()
        .map(|plugin| make(info, &settings.upstream, plugin, &metrics))
        .collect::<Result<Vec<_>>>()?;
    let keys = handle_keys(&settings.server, &plugins)?;
    let auth = auth(&settings.server, &metrics)?;
    let tasks = TaskTracker::new();
    let shared = Shared {
        keys,
        secrets: Arc::new(SecretReader::new(settings.secrets)),
        metrics: Arc::clone(&metrics),
        tasks: tasks.clone(),
        request_timeout: settings.server.request_timeout,
        refused_grace: settings.server.refused_grace,
        poll_window: settings.upstream.poll_window,
    };
    let service = Service {
        info,
        verbs: Arc::new(Verbs::new(&plugins, shared)?),
        auth,
        metrics,
        log_level,
        tasks,
    };
    service.start(&settings.server).await
}

/// Makes a plugin, with a client of its own.
fn make(
    info: ServiceInfo,
    upstream: &UpstreamArgs,
    plugin: Configured,
    metrics: &Arc<Metrics>,
) -> Result<(&'static str, AnyPlugin)> {
    let Configured { name, endpoint, make } = plugin;
    let agent = format!("outrigger-{name}/{}", info.version);
    let http = HttpBuilder::new(upstream, endpoint.as_deref(), &agent, Arc::clone(metrics));
    match http.and_then(make) {
        Ok(made) => Ok((name, made)),
        // Where there are others, which of them it was has to be said.
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
            "no --handle-keys: running jobs are lost with this process, and replicas cannot share them"
        );
        return HandleKeys::ephemeral();
    }
    Err(Error::invalid(
        "--handle-keys (PLUGIN_HANDLE_KEYS) is missing: without a key that outlives the process, a \
         restart would lose every running job. Make one with: openssl rand -base64 32 > handle.key",
    ))
}

fn auth(args: &ServerArgs, metrics: &Arc<Metrics>) -> Result<Auth> {
    match (&args.auth, args.insecure_no_auth) {
        (Some(path), false) => Auth::from_file(path, Arc::clone(metrics)),
        (None, true) => {
            tracing::warn!("--insecure-no-auth: whoever reaches this port may submit jobs");
            Ok(Auth::anonymous(Arc::clone(metrics)))
        }
        (None, false) => Err(Error::invalid(
            "--auth (PLUGIN_AUTH) is missing: name the file that says who may call, or serve \
             everybody with --insecure-no-auth",
        )),
        (Some(_), true) => Err(Error::invalid(
            "--auth (PLUGIN_AUTH) and --insecure-no-auth (PLUGIN_INSECURE_NO_AUTH) exclude each other",
        )),
    }
}
