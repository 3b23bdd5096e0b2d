//! The process behind the bridge, whatever it speaks.

use plugin_core::{Context, Error, Kind, OutputTypes, Phase, RawTask, Result, Status};
use tokio::sync::{Semaphore, SemaphorePermit};
use tonic::Code;

use crate::{
    address::Address,
    dialect::Protocol,
    error::{CONNECTOR_ERROR, of_job},
    grpc::Connectors,
    messages::{Agent, Job, Listed},
    rest::{MAX_JOB_ID, Rest},
    rest_status::status,
};

/// The most bytes of the types of a task's outputs, which have to fit into a handle.
const MAX_OUTPUT_TYPES: usize = 2 << 10;

/// Of how many calls one is reserved for polls and deletes.
const RESERVED: usize = 4;

/// The process behind the bridge.
pub(crate) struct Upstream {
    connectors: Connectors,
    rest: Rest,
    /// One for each call that may be under way.
    permits: Semaphore,
    /// Creates and sync tasks need one of these as well: fewer, so that they leave some to polls and deletes.
    of_tasks: Semaphore,
}

impl Upstream {
    /// `calls` may be under way at once.
    ///
    /// # Errors
    /// When a client cannot be made.
    pub(crate) fn new(address: &Address, calls: usize) -> Result<Self> {
        Ok(Self {
            connectors: Connectors(address.channel().map_err(Error::internal)?),
            rest: Rest::new(address)?,
            permits: Semaphore::new(calls),
            of_tasks: Semaphore::new((calls - calls.div_ceil(RESERVED)).max(1)),
        })
    }

    /// Asks what there is; `None` when the process does not speak `protocol`.
    pub(crate) async fn list(&self, protocol: Protocol) -> Result<Option<Vec<Agent>>> {
        match protocol {
            Protocol::Rest => self.rest.list().await.map(Some),
            Protocol::Grpc(dialect) => match self.connectors.list::<Listed>(dialect).await {
                Ok(listed) => Ok(Some(listed.agents)),
                Err(status) if status.code() == Code::Unimplemented => Ok(None),
                Err(status) => Err(of_job(&status)),
            },
        }
    }

    pub(crate) async fn create(&self, cx: &Context, to: Protocol, task: &RawTask) -> Result<Job> {
        let _of_tasks = self.of_tasks.acquire().await.map_err(Error::internal)?;
        let _permit = self.permit().await?;
        match to {
            Protocol::Grpc(dialect) => self.connectors.create(cx, dialect, task).await,
            Protocol::Rest => self.create_by_rest(cx, task).await,
        }
    }

    pub(crate) async fn get(&self, cx: &Context, to: Protocol, job: &Job) -> Result<Status> {
        let _permit = self.permit().await?;
        match to {
            Protocol::Grpc(dialect) => self.connectors.get(cx, dialect, job).await,
            Protocol::Rest => match self.rest.get(cx, id_of(job)?).await {
                Ok(answer) => Ok(status(answer, &OutputTypes::decode(&job.output_types)?)),
                Err(refused) if refused.kind() == Kind::InvalidArgument => {
                    let status = Status::new(Phase::Failed)
                        .code(refused.code().unwrap_or_default().to_owned());
                    Ok(status.message(refused.message().to_owned()))
                }
                Err(error) => Err(error),
            },
        }
    }

    pub(crate) async fn delete(&self, cx: &Context, to: Protocol, job: &Job) -> Result<()> {
        let _permit = self.permit().await?;
        match to {
            Protocol::Grpc(dialect) => self.connectors.delete(cx, dialect, job).await,
            Protocol::Rest => self.rest.delete(cx, id_of(job)?).await,
        }
    }

    pub(crate) async fn execute(
        &self,
        cx: &Context,
        to: Protocol,
        task: &RawTask,
    ) -> Result<Status> {
        let _of_tasks = self.of_tasks.acquire().await.map_err(Error::internal)?;
        let _permit = self.permit().await?;
        match to {
            // Only Flyte 1 has sync tasks.
            Protocol::Grpc(_) => self.connectors.execute(cx, task).await,
            Protocol::Rest => match self.rest.execute(cx, &task.to_json()?).await {
                Ok(answer) => Ok(status(answer, &task.output_types()?)),
                // Propeller would repeat an error at once and without end.
                Err(error) if error.code() == Some(CONNECTOR_ERROR) => {
                    let status = Status::new(Phase::RetryableFailed).code(CONNECTOR_ERROR);
                    Ok(status.message(error.message().to_owned()))
                }
                Err(error) => Err(error),
            },
        }
    }

    async fn create_by_rest(&self, cx: &Context, task: &RawTask) -> Result<Job> {
        let output_types = task.output_types()?.encode();
        if output_types.len() > MAX_OUTPUT_TYPES {
            return Err(Error::invalid(format!(
                "template.interface.outputs: has {} bytes, and {MAX_OUTPUT_TYPES} fit into a handle",
                output_types.len()
            )));
        }
        let id = self.rest.create(cx, &task.to_json()?).await?;
        if id.len() > MAX_JOB_ID {
            let stopped = self.rest.delete(cx, &id).await.is_ok();
            let outcome = if stopped { "was stopped" } else { "may still run" };
            let message = format!(
                "the job {outcome}: its job_id has {} bytes, and {MAX_JOB_ID} fit into a handle",
                id.len()
            );
            return Err(Error::new(Kind::FailedPrecondition, message).with_code("JOB_ID_TOO_LARGE"));
        }
        let output_prefix = cx.output_prefix().to_owned();
        Ok(Job { resource_meta: id.into(), output_prefix, output_types })
    }

    async fn permit(&self) -> Result<SemaphorePermit<'_>> {
        self.permits.acquire().await.map_err(Error::internal)
    }
}

fn id_of(job: &Job) -> Result<&str> {
    std::str::from_utf8(&job.resource_meta).map_err(Error::internal)
}
