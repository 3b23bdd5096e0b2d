//! One port for gRPC and REST, one for operators.

mod admission;
mod api;
pub(crate) mod args;
mod auth;
mod deadline;
mod gate;
mod grpc;
mod handler;
mod limits;
mod metrics;
mod observe;
mod readiness;
mod respond;
mod rest;
mod route;
mod streams;

use std::{net::SocketAddr, sync::Arc};

use axum::{extract::DefaultBodyLimit, middleware::from_fn_with_state};
use futures_util::future::BoxFuture;
use prometheus_client::{metrics::counter::Counter, registry::Registry};
use server_core::{
    Result, ServiceInfo,
    admin::{self, Observed},
    listen::{self, Connections, Listener, WhenFull},
    metrics::encode,
    serving::Serving,
    telemetry::LogLevel,
    tls::ServerCertificate,
};
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(crate) use self::auth::Auth;
pub use self::auth::{Access, AuthenticationFile, TrustedIssuer, shared_secret};
pub use self::rest::openapi;
use self::{
    admission::Admission, api::Api, args::ServerArgs, gate::Gate, limits::ConcurrencyLimit,
    metrics::Metrics, readiness::Readiness, streams::StreamLimit,
};
use crate::verbs::Verbs;

/// The service of the API port.
fn api(
    service: &Service,
    args: &ServerArgs,
    metrics: &Arc<Metrics>,
    serving: watch::Sender<bool>,
    stop: CancellationToken,
) -> Result<Api> {
    let grpc = grpc::routes(Arc::clone(&service.verbs), args.max_body_bytes, serving);
    // Admission limits the bodies. For gRPC, tonic limits messages by their length prefix.
    let rest =
        rest::routes(Arc::clone(&service.verbs), service.info).layer(DefaultBodyLimit::disable());
    let routes = rest.merge(grpc).fallback(async || http::StatusCode::NOT_FOUND);
    let gate = Arc::new(Gate {
        metrics: Arc::clone(metrics),
        timeout: args.request_timeout,
        auth: service.auth.clone(),
        limit: ConcurrencyLimit::new(args.max_requests, Arc::clone(metrics)),
        admission: Arc::new(Admission::new(args, Arc::clone(metrics))),
        streams: StreamLimit::new(stop),
    });
    let routes = routes.layer(from_fn_with_state(Arc::clone(&gate), gate::pass_to_route));
    let jobs = |jobs| grpc::Jobs::new(jobs, Arc::clone(&service.verbs), args.max_body_bytes);
    let rest = rest::Jobs::new(Arc::clone(&service.verbs), service.info);
    Ok(Api::new(gate, jobs, rest, routes))
}

/// A service before it listens.
pub(crate) struct Service {
    pub(crate) info: ServiceInfo,
    pub(crate) verbs: Arc<Verbs>,
    pub(crate) auth: Auth,
    /// Every metric of the service; those of the API port are added when it starts.
    pub(crate) registry: Registry,
    /// Counts panics, in handlers too.
    pub(crate) panics: Counter,
    pub(crate) log_level: LogLevel,
    /// Runs work that outlives its call: creates, executions and deletes.
    pub(crate) tasks: TaskTracker,
    /// What the plugins do beside their calls.
    pub(crate) background: Vec<BoxFuture<'static, ()>>,
}

/// A service that is listening.
pub(crate) struct Running {
    pub(crate) api: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) serving: Serving,
}

impl Service {
    /// Binds both ports and starts serving.
    ///
    /// # Errors
    /// `Unavailable` that names the address that cannot be bound; `InvalidArgument` that names the
    /// certificate file.
    pub(crate) async fn start(mut self, args: &ServerArgs) -> Result<Running> {
        let tls = certificate(args).await?;
        let (api_listener, api_address) = Listener::tcp(args.listen).await?;
        let (admin_listener, admin) = Listener::tcp(args.admin_listen).await?;
        let serving = Serving::new(self.tasks.clone(), args.drain_delay, args.drain_timeout);
        let metrics = Metrics::register(&mut self.registry, tls.is_some(), self.panics.clone());
        let metrics = Arc::new(metrics);
        let health = watch::Sender::new(false);
        let api = api(&self, args, &metrics, health.clone(), serving.stop.clone())?;
        let readiness = Readiness {
            auth: self.auth.clone(),
            verbs: Arc::clone(&self.verbs),
            draining: serving.draining.clone(),
            connections: metrics.open_connections.clone(),
            max_connections: args.max_connections,
        };
        self.auth.keep_fresh(&serving.background, &serving.stop_background);
        serving.background.spawn(readiness.clone().report(health));
        for work in self.background {
            let stop = serving.stop_background.clone();
            serving.background.spawn(async move { stop.run_until_cancelled(work).await });
        }
        if let Some(tls) = &tls {
            let stop = serving.stop_background.clone();
            serving.background.spawn(Arc::clone(tls).keep_fresh(stop));
        }
        let connections = Connections {
            max: args.max_connections,
            when_full: WhenFull::Wait,
            age: Some(args.connection_age),
            grace: args.request_timeout,
            http1_idle: args.http1_idle_timeout,
            tls,
            accepted: metrics.connections.clone(),
            open: metrics.open_connections.clone(),
            stop: serving.stop.clone(),
            tasks: serving.tasks.clone(),
        };
        serving.tasks.spawn(listen::serve(api_listener, api, connections));
        let observed = Arc::new(Status { readiness, registry: self.registry });
        let routes = admin::routes(observed, self.log_level);
        serving.serve_admin(admin_listener, routes);
        Ok(Running { api: api_address, admin, serving })
    }
}

/// The certificate of the API port, if it has one.
async fn certificate(args: &ServerArgs) -> Result<Option<Arc<ServerCertificate>>> {
    let (Some(certificate), Some(key)) = (&args.tls_certificate, &args.tls_key) else {
        return Ok(None);
    };
    let read = ServerCertificate::read(certificate.clone(), key.clone()).await?;
    Ok(Some(Arc::new(read)))
}

/// What the admin port reports.
struct Status {
    readiness: Readiness,
    registry: Registry,
}

impl Observed for Status {
    fn ready(&self) -> Result<(), &'static str> {
        self.readiness.check()
    }

    fn metrics(&self) -> Result<String, std::fmt::Error> {
        encode(&self.registry)
    }
}
