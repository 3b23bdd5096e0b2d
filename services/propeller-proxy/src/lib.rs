//! A sidecar for the pod of FlytePropeller, which itself can send no token.
//!
//! It listens on loopback or a Unix socket, one listener for each plugin, and forwards gRPC untouched
//! but for its token. It finds the plugin's replicas by itself and gives each call to one of them.
//! A call that no replica has seen goes to another; one that a replica may have seen is never repeated.

mod answer;
mod args;
mod balance;
mod dial;
mod forward;
mod metrics;
mod replica;
mod resolve;
mod token;

use std::{process::ExitCode, sync::Arc};

use clap::Parser as _;
use server_core::{
    Result, ServiceInfo,
    admin::{self, Observed},
    listen::{Connections, Listener, serve},
    program::{block_on, exit_code},
    serving::{Serving, Signals},
    telemetry::{LogLevel, Telemetry},
    tls::Authorities,
};
use tokio::runtime::Builder;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::args::{Args, Listen, Route, Target};
use self::{balance::Balancer, forward::Forwarder, metrics::Metrics, token::Token};

const INFO: ServiceInfo = server_core::service_info!();
/// Enough for one pod's propeller, however it multiplies.
const MAX_CONNECTIONS: usize = 1000;
/// The work is to move bytes; a node's every core would only cost memory.
const THREADS: usize = 2;

/// Runs the proxy until SIGTERM or SIGINT: a whole `main`.
///
/// Wrong settings end it with a message on standard error: code 2 for the command line's, 1 for all
/// others.
#[must_use]
pub fn run() -> ExitCode {
    let mut runtime = Builder::new_multi_thread();
    runtime.worker_threads(THREADS);
    exit_code(INFO.name, block_on(runtime, until_stopped(Args::parse())))
}

async fn until_stopped(args: Args) -> Result<()> {
    let mut signals = Signals::new()?;
    let telemetry = Telemetry::start(&args.telemetry, INFO)?;
    let serving = start(&args, telemetry.log_level()).await?;
    serving.until_stopped(&mut signals).await;
    telemetry.shut_down().await;
    tracing::info!("stopped");
    Ok(())
}

/// Binds every listener, and only then serves: where an address is taken, no call was begun.
async fn start(args: &Args, log_level: LogLevel) -> Result<Serving> {
    let token = Arc::new(Token::read(args.token_file.clone()).await?);
    let authorities = authorities(args).await?;
    let mut bound = Vec::new();
    for route in &args.routes {
        let (listener, listen) = bind(&route.listen).await?;
        bound.push((listener, listen, &route.target));
    }
    let (admin_listener, admin) = Listener::tcp(args.admin_listen).await?;

    let serving = Serving::new(TaskTracker::new(), args.drain_delay, args.drain_timeout);
    let metrics = Arc::new(Metrics::new(INFO));
    keep_fresh(&serving, &token, authorities.as_ref());
    for (listener, listen, target) in bound {
        tracing::info!(listen, service = %target, "forwarding");
        let authorities = authorities.clone().filter(|_| target.is_tls());
        let balancer = Balancer::start(target, authorities, &serving, &metrics);
        let forwarder = Forwarder::new(balancer, Arc::clone(&token), args.wait);
        let connections = connections(args, &serving);
        serving.tasks.spawn(serve(listener, forwarder, connections));
    }
    tracing::info!(version = INFO.version, %admin, "serving {}", INFO.name);
    let observed = Watched { draining: serving.draining.clone(), metrics };
    serving.serve_admin(admin_listener, admin::routes(Arc::new(observed), log_level));
    Ok(serving)
}

/// What certificates are checked with, if a target has one.
async fn authorities(args: &Args) -> Result<Option<Arc<Authorities>>> {
    if !args.routes.iter().any(|route| route.target.is_tls()) {
        return Ok(None);
    }
    Ok(Some(Arc::new(Authorities::read(args.ca_file.as_deref()).await?)))
}

/// Reads what others renew, until the program ends.
fn keep_fresh(serving: &Serving, token: &Arc<Token>, authorities: Option<&Arc<Authorities>>) {
    let stop = &serving.stop_background;
    serving.background.spawn(Arc::clone(token).keep_fresh(stop.clone()));
    if let Some(authorities) = authorities {
        serving.background.spawn(Arc::clone(authorities).keep_fresh(stop.clone()));
    }
}

/// Listens, and says where: a port that was left open is known only now.
async fn bind(listen: &Listen) -> Result<(Listener, String)> {
    match listen {
        Listen::Tcp(address) => {
            let (listener, address) = Listener::tcp(*address).await?;
            Ok((listener, address.to_string()))
        }
        Listen::Unix(path) => Ok((Listener::unix(path).await?, path.display().to_string())),
    }
}

fn connections(args: &Args, serving: &Serving) -> Connections {
    Connections {
        max: MAX_CONNECTIONS,
        // Calls are balanced here, whatever connection they come on.
        age: None,
        grace: args.drain_timeout,
        tls: None,
        accepted: prometheus_client::metrics::counter::Counter::default(),
        stop: serving.stop.clone(),
        tasks: serving.tasks.clone(),
    }
}

/// What the admin port tells.
struct Watched {
    draining: CancellationToken,
    metrics: Arc<Metrics>,
}

impl Observed for Watched {
    /// Whether plugins can be reached is not asked: in flyte-binary this decides about the whole pod,
    /// and a plugin that is down must not take Flyte's own API along.
    fn ready(&self) -> Result<(), &'static str> {
        if self.draining.is_cancelled() { Err("shutting down") } else { Ok(()) }
    }

    fn metrics(&self) -> Result<String, std::fmt::Error> {
        self.metrics.encode()
    }
}

#[cfg(test)]
mod tests;
