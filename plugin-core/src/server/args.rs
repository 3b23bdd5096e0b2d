//! The settings of the server. Each flag is also an environment variable and a line in docs/config.md.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::Args;
use server_core::duration::{parse_duration, parse_timeout};

/// The settings of the server.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct ServerArgs {
    /// The address to serve gRPC and REST on.
    #[arg(long, env = "PLUGIN_LISTEN", default_value = "0.0.0.0:8000", value_name = "ADDRESS")]
    pub(crate) listen: SocketAddr,

    /// The address to serve /livez, /readyz, /metrics and /log-level on, without authentication.
    #[arg(
        long,
        env = "PLUGIN_ADMIN_LISTEN",
        default_value = "0.0.0.0:9090",
        value_name = "ADDRESS"
    )]
    pub(crate) admin_listen: SocketAddr,

    /// The certificate of the API port in PEM, followed by its chain. The port then serves TLS only.
    /// Reloaded when it changes. Requires --tls-key.
    #[arg(long, env = "PLUGIN_TLS_CERTIFICATE", value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_certificate: Option<PathBuf>,

    /// The certificate's private key in PEM.
    #[arg(long, env = "PLUGIN_TLS_KEY", value_name = "FILE", requires = "tls_certificate")]
    pub(crate) tls_key: Option<PathBuf>,

    /// The YAML file of trusted issuers and access rules. See docs/operating.md.
    #[arg(long, env = "PLUGIN_AUTH", value_name = "FILE")]
    pub(crate) auth: Option<PathBuf>,

    /// Accept unauthenticated requests. Conflicts with --auth.
    #[arg(long, env = "PLUGIN_INSECURE_NO_AUTH")]
    pub(crate) insecure_no_auth: bool,

    /// Files with keys that seal job handles: 32 bytes each, raw or in base64. The first key seals, all
    /// keys open. Every replica needs the same keys. A sync plugin has no jobs and needs no key.
    #[arg(long, env = "PLUGIN_HANDLE_KEYS", value_name = "FILE,…", value_delimiter = ',')]
    pub(crate) handle_keys: Vec<PathBuf>,

    /// The maximum duration of a call; a caller's own deadline may be shorter. Creates and deletes may
    /// run for this long even if their caller disconnects.
    #[arg(long, env = "PLUGIN_REQUEST_TIMEOUT", default_value = "30s", value_parser = parse_timeout)]
    pub(crate) request_timeout: Duration,

    /// The maximum number of concurrent calls. Beyond it polls and deletes wait, and other calls are
    /// refused.
    #[arg(long, env = "PLUGIN_MAX_REQUESTS", default_value_t = 10_000)]
    pub(crate) max_requests: usize,

    /// The maximum size of a request, in bytes.
    #[arg(long, env = "PLUGIN_MAX_BODY_BYTES", default_value_t = 32 << 20)]
    pub(crate) max_body_bytes: usize,

    /// The maximum number of open connections; further ones wait in the kernel's queue.
    #[arg(long, env = "PLUGIN_MAX_CONNECTIONS", default_value_t = 10_000)]
    pub(crate) max_connections: usize,

    /// The lifetime of a connection, plus or minus a tenth. It is then closed without failing a call, so
    /// that callers find new replicas.
    #[arg(long, env = "PLUGIN_CONNECTION_AGE", default_value = "120s", value_parser = parse_timeout)]
    pub(crate) connection_age: Duration,

    /// How long polls return the last known phase while the vendor refuses the service's credentials.
    /// After that the task fails. Outages do not count.
    #[arg(long, env = "PLUGIN_REFUSED_GRACE", default_value = "6h", value_parser = parse_duration)]
    pub(crate) refused_grace: Duration,

    /// How long the service keeps accepting connections after SIGTERM while it reports not ready, so
    /// that load balancers can notice.
    #[arg(long, env = "PLUGIN_DRAIN_DELAY", default_value = "5s", value_parser = parse_duration)]
    pub(crate) drain_delay: Duration,

    /// How long running calls may take to finish after that.
    #[arg(long, env = "PLUGIN_DRAIN_TIMEOUT", default_value = "30s", value_parser = parse_duration)]
    pub(crate) drain_timeout: Duration,
}
