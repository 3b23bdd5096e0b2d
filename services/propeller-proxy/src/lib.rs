//! A sidecar for the pod of FlytePropeller, which cannot send a token itself.
//!
//! It has one listener per plugin, on loopback or a Unix socket, and forwards gRPC unchanged except for
//! the token. It discovers the plugin's replicas and balances calls over them. A call that was not sent is
//! retried on another replica; one that a replica may have processed is never repeated.

mod answer;
mod args;
mod balance;
mod calls;
mod changes;
mod dial;
mod forward;
mod metrics;
mod replica;
mod resolve;
mod token;
mod unread;

use std::{process::ExitCode, sync::Arc};

use clap::{CommandFactory as _, Parser as _};
use prometheus_client::metrics::counter::Counter;
use server_core::{
    Result, ServiceInfo,
    admin::{self, Observed},
    listen::{Connections, HTTP1_IDLE, Listener, WhenFull, serve},
    program::{block_on, exit_code},
    serving::{Serving, Signals},
    telemetry::{LogLevel, Telemetry},
    tls::Authorities,
    variables::{Variables, prefix_of},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::args::{Args, Listen, Route, Target};
use self::{
    balance::Balancer,
    forward::Forwarder,
    metrics::Metrics,
    resolve::keep_resolved,
    token::Token,
    unread::{Limits, Unread},
};

const INFO: ServiceInfo = server_core::service_info!();
/// More than propeller in one pod ever opens.
const MAX_CONNECTIONS: usize = 1000;
/// The proxy only copies bytes: a thread for each of the node's cores would only cost memory.
const THREADS: usize = 2;

/// Runs the proxy until SIGTERM or SIGINT: a complete `main`.
///
/// Prints errors to standard error and exits with code 2 for an invalid command line, 1 for all other
/// errors.
#[must_use]
pub fn run() -> ExitCode {
    exit_code(INFO.name, block_on(THREADS, until_stopped(Args::parse())))
}

async fn until_stopped(args: Args) -> Result<()> {
    let mut signals = Signals::new()?;
    let telemetry = Telemetry::start(&args.telemetry, INFO)?;
    let prefixes = [INFO.name, "plugin"].map(prefix_of);
    Variables::with_prefixes(prefixes).read_by(&Args::command()).warn_of_unread(|_| false);
    let serving = start(&args, telemetry.log_level()).await?;
    serving.until_stopped(&mut signals).await;
    telemetry.shut_down().await;
    tracing::info!("stopped");
    Ok(())
}

/// Binds every listener before serving, so that no call has started if an address is in use.
async fn start(args: &Args, log_level: LogLevel) -> Result<Serving> {
    let token = Arc::new(Token::read(args.token_file.clone()).await?);
    let authorities = authorities(args).await?;
    let mut bound = Vec::new();
    for route in &args.routes {
        let (listener, listen) = bind(&route.listen).await?;
        if route.listen.is_remote() {
            tracing::warn!(listen, "whoever reaches this address calls with the token");
        }
        bound.push((listener, listen, &route.target));
    }
    let (admin_listener, admin) = Listener::tcp(args.admin_listen).await?;

    let serving = Serving::new(TaskTracker::new(), args.drain_delay, args.drain_timeout);
    let metrics = Arc::new(Metrics::new(INFO));
    keep_fresh(&serving, &token, authorities.as_ref());
    let unread = Unread::new(Limits::default(), metrics.unread_responses.clone());
    serving.background.spawn(unread.clone().keep_ending(serving.stop_background.clone()));
    for (listener, listen, target) in bound {
        tracing::info!(listen, service = %target, "forwarding");
        let authorities = authorities.clone().filter(|_| target.is_tls());
        let balancer = Arc::new(Balancer::new(target, authorities, &serving, &metrics));
        let resolving = keep_resolved(Arc::clone(&balancer), serving.stop_background.clone());
        serving.background.spawn(resolving);
        let (token, unread, stop) = (Arc::clone(&token), unread.clone(), serving.stop.clone());
        let forwarder = Forwarder::new(balancer, token, unread, args.wait, stop);
        let connections = connections(args, &serving, &metrics);
        serving.tasks.spawn(serve(listener, forwarder, connections));
    }
    tracing::info!(version = INFO.version, %admin, "serving {}", INFO.name);
    let observed = Admin { draining: serving.draining.clone(), metrics };
    serving.serve_admin(admin_listener, admin::routes(Arc::new(observed), log_level));
    Ok(serving)
}

/// The CA certificates to verify targets with, if a target uses TLS.
async fn authorities(args: &Args) -> Result<Option<Arc<Authorities>>> {
    if !args.routes.iter().any(|route| route.target.is_tls()) {
        return Ok(None);
    }
    Ok(Some(Arc::new(Authorities::read(args.ca_file.as_deref()).await?)))
}

/// Reloads the token and the CA certificates until the program ends.
fn keep_fresh(serving: &Serving, token: &Arc<Token>, authorities: Option<&Arc<Authorities>>) {
    let stop = &serving.stop_background;
    serving.background.spawn(Arc::clone(token).keep_fresh(stop.clone()));
    if let Some(authorities) = authorities {
        serving.background.spawn(Arc::clone(authorities).keep_fresh(stop.clone()));
    }
}

/// Binds a listener and returns its address, which may differ from the configured one if the port is 0.
async fn bind(listen: &Listen) -> Result<(Listener, String)> {
    match listen {
        Listen::Tcp(address) => {
            let (listener, address) = Listener::tcp(*address).await?;
            Ok((listener, address.to_string()))
        }
        Listen::Unix(path) => Ok((Listener::unix(path).await?, path.display().to_string())),
    }
}

fn connections(args: &Args, serving: &Serving, metrics: &Metrics) -> Connections {
    Connections {
        max: MAX_CONNECTIONS,
        when_full: WhenFull::Wait,
        // Connections need not be rebalanced: each call is balanced individually.
        age: None,
        grace: args.drain_timeout,
        http1_idle: HTTP1_IDLE,
        tls: None,
        accepted: Counter::default(),
        open: metrics.open_connections.clone(),
        stop: serving.stop.clone(),
        tasks: serving.tasks.clone(),
    }
}

/// The state that the admin port reports.
struct Admin {
    draining: CancellationToken,
    metrics: Arc<Metrics>,
}

impl Observed for Admin {
    /// Does not depend on the plugins: in flyte-binary this determines the readiness of the whole pod, and
    /// an unavailable plugin must not make Flyte's own API unavailable.
    fn ready(&self) -> Result<(), &'static str> {
        if self.draining.is_cancelled() { Err("shutting down") } else { Ok(()) }
    }

    fn metrics(&self) -> Result<String, std::fmt::Error> {
        self.metrics.encode()
    }
}

#[cfg(test)]
mod tests;
