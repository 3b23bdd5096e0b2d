//! One port for gRPC and REST, one for operators.

mod admin;
mod auth;
mod deadline;
mod grpc;
mod limits;
mod listen;
mod observe;
mod readiness;
mod respond;
mod rest;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware::{from_fn, from_fn_with_state},
};
use prometheus_client::metrics::counter::Counter;
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic_health::server::HealthReporter;
use tower::ServiceBuilder;
use tower_http::limit::RequestBodyLimitLayer;

pub(crate) use self::auth::Auth;
pub use self::rest::openapi;
use self::{limits::ConcurrencyLimit, listen::Connections, readiness::Readiness};
use crate::{
    config::ServerArgs,
    error::{Error, Result},
    run::ServiceInfo,
    telemetry::{LogLevel, metrics::Metrics},
    verbs::Verbs,
};

/// The API port. THE order of layers, outermost first.
async fn api_router(service: &Service, args: &ServerArgs) -> Result<(Router, HealthReporter)> {
    let metrics = &service.metrics;
    let (grpc, health) = grpc::routes(Arc::clone(&service.verbs), args.max_body_bytes).await?;
    // Innermost, as it wraps the body that handlers read. gRPC's is tonic's own, which refuses a
    // message by its length prefix.
    let rest = rest::routes(Arc::clone(&service.verbs), service.info)
        .layer(DefaultBodyLimit::disable())
        .layer(RequestBodyLimitLayer::new(args.max_body_bytes));
    let routes = rest.merge(grpc).fallback(async || http::StatusCode::NOT_FOUND);
    let layers = ServiceBuilder::new()
        // Everything after it can name the request.
        .layer(from_fn(observe::request_id))
        // The span and the record under which all else happens; durations cover all of it.
        .layer(from_fn_with_state(Arc::clone(metrics), observe::trace))
        // A panic anywhere within costs one call.
        .layer(from_fn_with_state(Arc::clone(metrics), observe::catch_panic))
        // Failures of whatever is within, in the caller's protocol.
        .layer(from_fn(respond::respond))
        // A slow key set cannot hang a call, so before authentication.
        .layer(from_fn_with_state(args.request_timeout, deadline::bound))
        // A stranger takes no place, so before the limit.
        .layer(from_fn_with_state(service.auth.clone(), auth::authenticate))
        .layer(from_fn_with_state(service.auth.clone(), auth::authorise))
        .layer(from_fn_with_state(
            ConcurrencyLimit::new(args.max_requests, Arc::clone(metrics)),
            limits::admit,
        ));
    Ok((routes.layer(layers), health))
}

/// What is served, and to whom.
pub(crate) struct Service {
    pub(crate) info: ServiceInfo,
    pub(crate) verbs: Arc<Verbs>,
    pub(crate) auth: Auth,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) log_level: LogLevel,
    /// Runs what outlives a call: creates and deletes.
    pub(crate) tasks: TaskTracker,
}

/// A service that listens.
pub(crate) struct Running {
    pub(crate) api: SocketAddr,
    pub(crate) admin: SocketAddr,
    draining: CancellationToken,
    stop: CancellationToken,
    stop_admin: CancellationToken,
    /// Connections, and what outlives calls.
    tasks: TaskTracker,
    admin_tasks: TaskTracker,
    drain_delay: Duration,
    drain_timeout: Duration,
}

impl Service {
    /// Binds both ports and starts serving.
    ///
    /// # Errors
    /// `Unavailable` that names the address that cannot be bound.
    pub(crate) async fn start(self, args: &ServerArgs) -> Result<Running> {
        let (api_listener, api) = bind(args.listen).await?;
        let (admin_listener, admin) = bind(args.admin_listen).await?;
        let running = Running {
            api,
            admin,
            draining: CancellationToken::new(),
            stop: CancellationToken::new(),
            stop_admin: CancellationToken::new(),
            tasks: self.tasks.clone(),
            admin_tasks: TaskTracker::new(),
            drain_delay: args.drain_delay,
            drain_timeout: args.drain_timeout,
        };
        let (router, health) = api_router(&self, args).await?;
        let readiness = Readiness::new(self.auth.clone(), running.draining.clone());
        self.auth.keep_fresh(&running.admin_tasks, &running.stop_admin);
        running.admin_tasks.spawn(readiness.clone().report(health));
        let connections = Connections {
            max: args.max_connections,
            age: Some(args.connection_age),
            grace: args.request_timeout,
            accepted: self.metrics.connections(),
            stop: running.stop.clone(),
            tasks: running.tasks.clone(),
        };
        running.tasks.spawn(listen::serve(api_listener, router, connections));
        let connections = Connections {
            max: 100,
            age: None,
            grace: Duration::from_secs(1),
            accepted: Counter::default(),
            stop: running.stop_admin.clone(),
            tasks: running.admin_tasks.clone(),
        };
        let admin = admin::routes(readiness, self.metrics, self.log_level);
        running.admin_tasks.spawn(listen::serve(admin_listener, admin, connections));
        Ok(running)
    }
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr)> {
    let bound = async {
        let listener = TcpListener::bind(address).await?;
        let local = listener.local_addr()?;
        Ok((listener, local))
    };
    bound.await.map_err(|error: std::io::Error| {
        Error::unavailable(format!("cannot listen on {address}: {error}")).with_source(error)
    })
}

impl Running {
    /// Stops without failing a call: not ready, a while to be noticed, no more connections, GOAWAY,
    /// what runs may finish, the rest is dropped. `at_once` leaves out the while.
    pub(crate) async fn shut_down(self, at_once: bool) {
        self.draining.cancel();
        let delay = if at_once { Duration::ZERO } else { self.drain_delay };
        tracing::info!(?delay, "not ready any more");
        tokio::time::sleep(delay).await;
        self.stop.cancel();
        self.tasks.close();
        tracing::info!(calls_and_connections = self.tasks.len(), "draining");
        if tokio::time::timeout(self.drain_timeout, self.tasks.wait()).await.is_err() {
            tracing::warn!(left = self.tasks.len(), "some calls did not finish in time");
        }
        self.stop_admin.cancel();
        self.admin_tasks.close();
        let _ = tokio::time::timeout(Duration::from_secs(1), self.admin_tasks.wait()).await;
    }
}
