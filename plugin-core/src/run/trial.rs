//! What a tool calls a vendor with, outside a service.

use std::{path::PathBuf, sync::Arc, time::Duration};

use jiff::Timestamp;
use prometheus_client::registry::Registry;
use server_core::{Result, ServiceInfo};

use crate::{
    context::{
        Caller, Chosen, Context, Deadline, Execution, IdempotencyKey, Inner, SecretArgs,
        SecretReader, Secrets,
    },
    task::TaskType,
    upstream::{HttpBuilder, Metrics, UpstreamArgs},
};

/// How long all calls of a trial may take together.
const TIME: Duration = Duration::from_secs(60);

/// The settings of a tool that calls a vendor.
#[derive(Debug, Clone, clap::Args)]
pub struct TrialArgs {
    /// `scheme://host[:port]` to send the requests to, in place of the vendor's hosts, with the same paths.
    #[arg(long, value_name = "URL")]
    pub against: Option<String>,

    /// Directory of secret files, each named after its secret; secrets are also read from the environment, as `_FSEC_<NAME>`.
    #[arg(long, value_name = "DIR", default_value = "/etc/secrets", requires = "against")]
    pub secrets_dir: PathBuf,

    /// Allow plain http to hosts other than loopback. Credentials are then sent unencrypted.
    #[arg(long, requires = "against")]
    pub insecure_upstream: bool,
}

/// A client and a call, as a plugin gets them, for a tool that has no service: by nobody, with a key of its own.
pub struct Trial {
    /// Builds the client for the vendor's API.
    pub http: HttpBuilder,
    /// The call.
    pub cx: Context,
}

impl Trial {
    /// Calls of the tool `info` that `args` describe.
    ///
    /// # Errors
    /// `InvalidArgument` when the URL has another form.
    pub fn new(info: ServiceInfo, args: &TrialArgs) -> Result<Self> {
        let upstream = UpstreamArgs {
            insecure_upstream: args.insecure_upstream,
            upstream_timeout: TIME / 6,
            upstream_concurrency: 1,
            poll_freshness: Duration::ZERO,
        };
        let metrics = Arc::new(Metrics::register(&mut Registry::default()));
        let agent = format!("outrigger-{}/{}", info.name, info.version);
        let http = HttpBuilder::new(&upstream, args.against.as_deref(), &agent, metrics)?;
        let sources = SecretArgs {
            secret_prefix: "_FSEC_".to_owned(),
            secrets_dir: args.secrets_dir.clone(),
            forbid_connection_secrets: true,
        };
        let secrets = Secrets {
            reader: Arc::new(SecretReader::new(sources)),
            connection: Arc::default(),
            namespace: "".into(),
            chosen: Chosen::default(),
        };
        let cx = Context(Arc::new(Inner {
            caller: Caller::anonymous(),
            deadline: Deadline::after(TIME),
            key: IdempotencyKey::random(),
            task_type: TaskType::new("trial", 0),
            execution: Arc::new(Execution::default()),
            output_prefix: String::new(),
            created_at: Timestamp::now(),
            secrets,
            configs: Arc::default(),
            waiting: None,
            is_poll: false,
            calls: None,
        }));
        Ok(Self { http, cx })
    }
}

/// Runs the work of a tool.
///
/// # Errors
/// Those of `work`, and `Internal` when there is no runtime.
pub fn block_on(work: impl Future<Output = Result<()>>) -> Result<()> {
    server_core::program::block_on(1, work)
}
