//! Server settings: every flag is also an environment variable and a line in docs/config.md.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, builder::RangedU64ValueParser};
use server_core::{
    address::parse_address,
    duration::{parse_duration, parse_timeout},
};

use crate::wire::Bounds;

/// With a limit of zero the service would start and serve nobody.
fn at_least_one() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..)
}

/// The most worker threads. Each has a stack, and more than a machine has cores only wait for one.
const MOST_THREADS: u64 = 512;

/// Server settings.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct ServerArgs {
    /// Address of the API port, for gRPC and REST.
    #[arg(
        long,
        env = "PLUGIN_LISTEN",
        default_value = "0.0.0.0:8000",
        value_name = "ADDRESS",
        value_parser = parse_address
    )]
    pub(crate) listen: SocketAddr,

    /// Address of the admin port: /livez, /readyz, /metrics and /log-level, without authentication.
    #[arg(
        long,
        env = "PLUGIN_ADMIN_LISTEN",
        default_value = "0.0.0.0:9090",
        value_name = "ADDRESS",
        value_parser = parse_address
    )]
    pub(crate) admin_listen: SocketAddr,

    /// Certificate chain of the API port, in PEM, the server's certificate first. The port then
    /// accepts TLS only. Reloaded when it changes. Requires --tls-key.
    #[arg(long, env = "PLUGIN_TLS_CERTIFICATE", value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_certificate: Option<PathBuf>,

    /// Private key of the certificate, in PEM.
    #[arg(long, env = "PLUGIN_TLS_KEY", value_name = "FILE", requires = "tls_certificate")]
    pub(crate) tls_key: Option<PathBuf>,

    /// YAML file of token issuers and authorisation rules. See docs/operating.md.
    #[arg(long, env = "PLUGIN_AUTH", value_name = "FILE")]
    pub(crate) auth: Option<PathBuf>,

    /// Accept unauthenticated requests. Conflicts with --auth.
    #[arg(long, env = "PLUGIN_INSECURE_NO_AUTH")]
    pub(crate) insecure_no_auth: bool,

    /// Files with the keys for job handles, each 32 bytes or their base64. The first key seals new
    /// handles, all of them open handles. Every replica needs the same keys; sync plugins need none.
    #[arg(long, env = "PLUGIN_HANDLE_KEYS", value_name = "FILE,…", value_delimiter = ',')]
    pub(crate) handle_keys: Vec<PathBuf>,

    /// Timeout of a call; the caller's deadline may be shorter. Creates and deletes keep running
    /// until this timeout when their caller disconnects.
    #[arg(long, env = "PLUGIN_REQUEST_TIMEOUT", default_value = "30s", value_parser = parse_timeout)]
    pub(crate) request_timeout: Duration,

    /// Maximum number of concurrent calls. Half as many polls and deletes wait; further polls are answered
    /// with the last known phase, and other calls refused as overload. Each takes about 30 KiB of memory.
    #[arg(long, env = "PLUGIN_MAX_REQUESTS", default_value_t = 2000, value_parser = at_least_one())]
    pub(crate) max_requests: usize,

    /// Maximum size of a request, in bytes.
    #[arg(long, env = "PLUGIN_MAX_BODY_BYTES", default_value_t = 8 << 20, value_parser = at_least_one())]
    pub(crate) max_body_bytes: usize,

    /// Maximum size of all requests in progress together, in bytes, where each value counts for at least
    /// 128. A request may take eight times as much memory. Beyond it creates and executions are refused
    /// as overload; large polls and deletes wait.
    #[arg(long, env = "PLUGIN_MAX_BYTES_IN_FLIGHT", default_value_t = 16 << 20, value_parser = at_least_one())]
    pub(crate) max_bytes_in_flight: usize,

    /// Maximum number of open connections; further ones wait in the kernel's backlog.
    #[arg(long, env = "PLUGIN_MAX_CONNECTIONS", default_value_t = 10_000, value_parser = at_least_one())]
    pub(crate) max_connections: usize,

    /// How long an HTTP/1.1 connection may wait for its next request, until it is closed. Longer than the
    /// interval of its client's polls. HTTP/2 connections stay open while they answer pings.
    #[arg(long, env = "PLUGIN_HTTP1_IDLE_TIMEOUT", default_value = "75s", value_parser = parse_timeout)]
    pub(crate) http1_idle_timeout: Duration,

    /// Maximum age of a connection, plus or minus a tenth. It is then closed without failing a call,
    /// so that callers connect to new replicas.
    #[arg(long, env = "PLUGIN_CONNECTION_AGE", default_value = "120s", value_parser = parse_timeout)]
    pub(crate) connection_age: Duration,

    /// How long the service keeps accepting connections after SIGTERM while it reports not ready, so
    /// that load balancers notice.
    #[arg(long, env = "PLUGIN_DRAIN_DELAY", default_value = "5s", value_parser = parse_duration)]
    pub(crate) drain_delay: Duration,

    /// How long running calls may take after the drain delay.
    #[arg(long, env = "PLUGIN_DRAIN_TIMEOUT", default_value = "30s", value_parser = parse_duration)]
    pub(crate) drain_timeout: Duration,

    /// Number of threads that calls run on. One is enough for Flyte, and a poll takes half the CPU time that it takes with
    /// several; replicas do the rest. A plugin that computes much may use more.
    #[arg(long, env = "PLUGIN_WORKER_THREADS", default_value_t = 1, value_parser = RangedU64ValueParser::<usize>::new().range(1..=MOST_THREADS))]
    pub(crate) worker_threads: usize,

    #[command(flatten)]
    pub(crate) bounds: Bounds,
}
