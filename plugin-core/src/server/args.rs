//! The settings of the ports: every flag is also an environment variable and a line in docs/config.md.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::Args;
use server_core::duration::{parse_duration, parse_timeout};

/// What is served, where and to whom.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct ServerArgs {
    /// Where gRPC and REST are served.
    #[arg(long, env = "PLUGIN_LISTEN", default_value = "0.0.0.0:8000", value_name = "ADDRESS")]
    pub(crate) listen: SocketAddr,

    /// Where /livez, /readyz, /metrics and /log-level are served, without tokens.
    #[arg(
        long,
        env = "PLUGIN_ADMIN_LISTEN",
        default_value = "0.0.0.0:9090",
        value_name = "ADDRESS"
    )]
    pub(crate) admin_listen: SocketAddr,

    /// The certificate that the API port shows, in PEM, its chain after it. The port then speaks
    /// TLS alone. Read again when it changes. Together with --tls-key.
    #[arg(long, env = "PLUGIN_TLS_CERTIFICATE", value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_certificate: Option<PathBuf>,

    /// The certificate's private key, in PEM.
    #[arg(long, env = "PLUGIN_TLS_KEY", value_name = "FILE", requires = "tls_certificate")]
    pub(crate) tls_key: Option<PathBuf>,

    /// YAML file of issuers and rules: who may call, and do what. See docs/operating.md.
    #[arg(long, env = "PLUGIN_AUTH", value_name = "FILE")]
    pub(crate) auth: Option<PathBuf>,

    /// Serve everybody, whoever they are. Not together with --auth.
    #[arg(long, env = "PLUGIN_INSECURE_NO_AUTH")]
    pub(crate) insecure_no_auth: bool,

    /// Files of keys that seal the handles of jobs: 32 bytes, or their base64. The first seals, all
    /// open. Every replica needs the same ones. A sync plugin has no jobs, and needs none.
    #[arg(long, env = "PLUGIN_HANDLE_KEYS", value_name = "FILE,…", value_delimiter = ',')]
    pub(crate) handle_keys: Vec<PathBuf>,

    /// The longest a call may take; a caller's own deadline may be shorter. Creates and deletes run
    /// this long even when their caller goes away.
    #[arg(long, env = "PLUGIN_REQUEST_TIMEOUT", default_value = "30s", value_parser = parse_timeout)]
    pub(crate) request_timeout: Duration,

    /// How many calls are served at once; the next is refused as overload.
    #[arg(long, env = "PLUGIN_MAX_REQUESTS", default_value_t = 10_000)]
    pub(crate) max_requests: usize,

    /// The largest request, in bytes.
    #[arg(long, env = "PLUGIN_MAX_BODY_BYTES", default_value_t = 32 << 20)]
    pub(crate) max_body_bytes: usize,

    /// How many connections are open at once; the next waits in the kernel's queue.
    #[arg(long, env = "PLUGIN_MAX_CONNECTIONS", default_value_t = 10_000)]
    pub(crate) max_connections: usize,

    /// How long a connection lives, give or take a tenth. It then ends without failing a call, so
    /// that callers find new replicas.
    #[arg(long, env = "PLUGIN_CONNECTION_AGE", default_value = "120s", value_parser = parse_timeout)]
    pub(crate) connection_age: Duration,

    /// How long polls are answered with the last known phase while the vendor refuses the service's
    /// credentials. Then the task fails. An outage is never counted.
    #[arg(long, env = "PLUGIN_REFUSED_GRACE", default_value = "6h", value_parser = parse_duration)]
    pub(crate) refused_grace: Duration,

    /// How long the service goes on accepting connections after SIGTERM, already not ready, so that
    /// load balancers can notice.
    #[arg(long, env = "PLUGIN_DRAIN_DELAY", default_value = "5s", value_parser = parse_duration)]
    pub(crate) drain_delay: Duration,

    /// How long running calls may take to finish after that.
    #[arg(long, env = "PLUGIN_DRAIN_TIMEOUT", default_value = "30s", value_parser = parse_duration)]
    pub(crate) drain_timeout: Duration,
}
