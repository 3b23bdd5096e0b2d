//! Server settings: every flag is also an environment variable and a line in docs/config.md.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::Args;
use server_core::duration::{parse_duration, parse_timeout};

/// Server settings.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct ServerArgs {
    /// Address of the API port, for gRPC and REST.
    #[arg(long, env = "PLUGIN_LISTEN", default_value = "0.0.0.0:8000", value_name = "ADDRESS")]
    pub(crate) listen: SocketAddr,

    /// Address of the admin port: /livez, /readyz, /metrics and /log-level, without authentication.
    #[arg(
        long,
        env = "PLUGIN_ADMIN_LISTEN",
        default_value = "0.0.0.0:9090",
        value_name = "ADDRESS"
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

    /// Maximum number of concurrent calls; further calls are refused as overload.
    #[arg(long, env = "PLUGIN_MAX_REQUESTS", default_value_t = 10_000)]
    pub(crate) max_requests: usize,

    /// Maximum size of a request, in bytes.
    #[arg(long, env = "PLUGIN_MAX_BODY_BYTES", default_value_t = 32 << 20)]
    pub(crate) max_body_bytes: usize,

    /// Maximum number of open connections; further ones wait in the kernel's backlog.
    #[arg(long, env = "PLUGIN_MAX_CONNECTIONS", default_value_t = 10_000)]
    pub(crate) max_connections: usize,

    /// Maximum age of a connection, plus or minus a tenth. It is then closed without failing a call,
    /// so that callers connect to new replicas.
    #[arg(long, env = "PLUGIN_CONNECTION_AGE", default_value = "120s", value_parser = parse_timeout)]
    pub(crate) connection_age: Duration,

    /// How long polls are answered with the last known phase while the vendor refuses the service's
    /// credentials, before the task fails. Outages of the vendor do not count.
    #[arg(long, env = "PLUGIN_REFUSED_GRACE", default_value = "6h", value_parser = parse_duration)]
    pub(crate) refused_grace: Duration,

    /// How long the service keeps accepting connections after SIGTERM while it reports not ready, so
    /// that load balancers notice.
    #[arg(long, env = "PLUGIN_DRAIN_DELAY", default_value = "5s", value_parser = parse_duration)]
    pub(crate) drain_delay: Duration,

    /// How long running calls may take after the drain delay.
    #[arg(long, env = "PLUGIN_DRAIN_TIMEOUT", default_value = "30s", value_parser = parse_duration)]
    pub(crate) drain_timeout: Duration,
}
