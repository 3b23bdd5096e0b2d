//! Start-up: settings → telemetry → plugin → serve → exit code.

use std::{process::ExitCode, sync::Arc};

use clap::{ArgMatches, Command};
use tokio_util::task::TaskTracker;

use crate::{
    config::{ServerArgs, Settings, command_of},
    erased::{AnyPlugin, Configured, Registration},
    error::{Error, Result},
    handle::HandleKeys,
    health_check::HealthCheck,
    http::{HttpBuilder, UpstreamArgs},
    plugin::{Plugin, SyncPlugin},
    secrets::SecretReader,
    server::{Auth, Running, Service},
    serving::Signals,
    telemetry::{LogLevel, Telemetry, metrics::Metrics},
    verbs::{Shared, Verbs},
};

/// Which service this is. [`service_info!`](crate::service_info) fills it in.
#[derive(Debug, Clone, Copy)]
pub struct ServiceInfo {
    /// The crate's name, which is the plugin's: `bigquery`.
    pub name: &'static str,
    /// The crate's version.
    pub version: &'static str,
}

/// The [`ServiceInfo`] of the crate that calls it.
#[macro_export]
macro_rules! service_info {
    () => {
        $crate::ServiceInfo {
            name: ::core::env!("CARGO_PKG_NAME"),
            version: ::core::env!("CARGO_PKG_VERSION"),
        }
    };
}

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
        Some(check) => block_on(check.run()),
        None => {
            let settings = Settings::read(&matches).unwrap_or_else(|error| error.exit());
            let plugins = configure(&matches).unwrap_or_else(|error| error.exit());
            block_on(serve(info, settings, plugins))
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", info.name);
            if let Some(cause) = error.chain() {
                eprintln!("  because: {cause}");
            }
            ExitCode::FAILURE
        }
    }
}

fn block_on(work: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(Error::internal)?;
    let result = runtime.block_on(work);
    // What is left was given its time; a blocked thread must not keep the process.
    runtime.shutdown_background();
    result
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
