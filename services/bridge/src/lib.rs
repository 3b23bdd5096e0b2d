//! Runs the tasks of Flyte connectors that another process serves, on a socket or on loopback.
//!
//! Connectors of Flyte 1 (`pyflyte serve connector`) and of Flyte 2 (`c0`) work as they are, and either Flyte calls
//! either. Between Flyte and them stand authentication, sealed handles, deadlines, limits, last known statuses and
//! metrics. What a connector cannot promise, the bridge cannot either; the README says what that is.

mod address;
mod codec;
mod connector;
mod dialect;
mod discovery;
mod error;
mod memory;
mod messages;
mod settings;

use std::sync::Arc;

use bytes::Bytes;
use plugin_core::{
    Context, Error, Phase, RawPlugin, RawTask, RawTaskTypes, Result, Status, read_resource,
    secrecy::ExposeSecret as _,
};
use prost::Message as _;
use tokio::sync::Semaphore;

pub use self::settings::Settings;
use self::{
    connector::Connector,
    dialect::{Dialect, Method},
    discovery::{Discovery, Wanted},
    error::{CONNECTOR_ERROR, of_create, of_job},
    memory::Memory,
    messages::{AboutTask, Category, Connection, Created, Got, Job},
};

/// The connectors of another process.
pub struct Bridge {
    connector: Connector,
    discovery: Discovery,
    memory: Memory,
    delete_succeeded: bool,
}

impl RawPlugin for Bridge {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self> {
        let jobs = settings.task_types.leak();
        let sync = settings.sync_task_types.leak();
        if jobs.is_empty() && sync.is_empty() {
            return Err(Error::invalid(
                "--task-types (BRIDGE_TASK_TYPES) and --sync-task-types (BRIDGE_SYNC_TASK_TYPES) are empty: \
                 name what to serve",
            ));
        }
        let upstream = settings
            .upstream
            .ok_or_else(|| Error::invalid("--upstream (BRIDGE_UPSTREAM) is missing"))?;
        let channel = upstream.channel().map_err(Error::internal)?;
        let permits = Arc::new(Semaphore::new(settings.connector_concurrency.get()));
        Ok(Self {
            connector: Connector { channel, permits },
            discovery: Discovery::new(Wanted { jobs, sync }),
            memory: Memory::default(),
            delete_succeeded: settings.delete_succeeded,
        })
    }

    fn task_types(&self) -> RawTaskTypes {
        let Wanted { jobs, sync } = *self.discovery.wanted();
        RawTaskTypes { jobs, sync }
    }

    fn ready(&self) -> Result<(), &'static str> {
        self.discovery.ready()
    }

    async fn background(&self) {
        self.discovery.keep_asking(&self.connector).await;
    }

    async fn create(&self, cx: &Context, task: RawTask) -> Result<Vec<u8>> {
        let dialect = self.dialect()?;
        // A connector would start another job.
        if let Some(job) = self.memory.created(cx) {
            return Ok(job);
        }
        let method = (dialect, Method::Create);
        let created = self.connector.call(cx, method, task.to_create_request()).await;
        let Created { resource_meta } = created.map_err(|status| of_create(&status))?;
        let output_prefix = cx.output_prefix().to_owned();
        let job = Job { resource_meta, output_prefix }.encode_to_vec();
        self.memory.remember(cx, &job);
        Ok(job)
    }

    async fn get(&self, cx: &Context, meta: Vec<u8>) -> Result<Status> {
        let got = self.connector.call(cx, (self.dialect()?, Method::Get), about(cx, &meta)?).await;
        let Got { resource } = got.map_err(|status| of_job(&status))?;
        let status = status(resource)?;
        if status.phase() == Phase::Succeeded {
            self.memory.succeeded(&meta);
        }
        Ok(status)
    }

    async fn delete(&self, cx: &Context, meta: Vec<u8>) -> Result<()> {
        if !self.delete_succeeded && self.has_succeeded(cx, &meta).await {
            return Ok(());
        }
        let method = (self.dialect()?, Method::Delete);
        match self.connector.call::<()>(cx, method, about(cx, &meta)?).await {
            Ok(()) => Ok(()),
            Err(status) => {
                let error = of_job(&status);
                if self.memory.delete_failed_for_too_long(&meta, &error) {
                    tracing::warn!(%error, "a job could not be deleted; it is given up");
                    return Ok(());
                }
                Err(error)
            }
        }
    }

    async fn execute(&self, cx: &Context, task: RawTask) -> Result<Status> {
        let executed =
            self.connector.execute(cx, self.dialect()?, task.to_header(), task.inputs()).await;
        match executed {
            Ok(resource) => status(resource),
            Err(failed) => {
                let error = of_create(&failed);
                // Propeller would repeat an error at once and without end.
                if error.code() == Some(CONNECTOR_ERROR) {
                    let status = Status::new(Phase::RetryableFailed).code(CONNECTOR_ERROR);
                    return Ok(status.message(error.message().to_owned()));
                }
                Err(error)
            }
        }
    }
}

impl Bridge {
    fn dialect(&self) -> Result<Dialect> {
        let dialect = self.discovery.dialect();
        dialect.ok_or_else(|| Error::unavailable("the connectors have not answered yet"))
    }

    /// Whether the job is known to have succeeded, or the connector says so.
    async fn has_succeeded(&self, cx: &Context, meta: &[u8]) -> bool {
        if self.memory.has_succeeded(meta) {
            return true;
        }
        let status = RawPlugin::get(self, cx, meta.to_vec()).await;
        status.is_ok_and(|status| status.phase() == Phase::Succeeded)
    }
}

/// A request about the job of `meta`.
fn about(cx: &Context, meta: &[u8]) -> Result<Bytes> {
    let Job { resource_meta, output_prefix } = Job::decode(meta).map_err(Error::internal)?;
    let secrets = cx.connection_secrets()?.into_iter();
    let secrets =
        secrets.map(|(name, secret)| (name.to_owned(), secret.expose_secret().to_owned()));
    let secrets = secrets.collect::<std::collections::BTreeMap<_, _>>();
    let task_type = cx.task_type();
    let about = AboutTask {
        task_type: task_type.name.to_owned(),
        resource_meta,
        task_category: Some(Category {
            name: task_type.name.to_owned(),
            version: task_type.version,
        }),
        output_prefix,
        connection: (!secrets.is_empty()).then_some(Connection { secrets }),
    };
    Ok(about.encode_to_vec().into())
}

fn status(resource: Option<Bytes>) -> Result<Status> {
    let missing = || {
        Error::new(plugin_core::Kind::FailedPrecondition, "the connector answered without a status")
            .with_code(CONNECTOR_ERROR)
            .upstream()
    };
    read_resource(resource.ok_or_else(missing)?)
}
