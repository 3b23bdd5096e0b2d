//! The process behind the bridge, whatever it speaks.

use plugin_core::{
    Context, Error, Kind, OutputTypes, Phase, RawTask, RepeatedCreate, Result, Status,
    UNREADABLE_STATUS,
    serde_json::value::RawValue,
    upstream::{Calls, Operation},
};
use tonic::Code;

use crate::{
    address::Address,
    dialect::{CONNECTOR_ERROR, PLUGIN_ERROR, Protocol},
    error::error_of,
    grpc::Connectors,
    messages::{Agent, Job, Listed},
    permits::Permits,
    rest::{MAX_JOB_ID, Rest},
    rest_status::status,
};

/// The most bytes of the types of a task's outputs, which have to fit into a handle.
const MAX_OUTPUT_TYPES: usize = 2 << 10;

/// The process behind the bridge.
pub(crate) struct Upstream {
    connectors: Connectors,
    rest: Rest,
    permits: Permits,
}

impl Upstream {
    /// `most` calls may be under way at once.
    ///
    /// # Errors
    /// When a client cannot be made.
    pub(crate) fn new(address: &Address, most: usize, calls: Calls) -> Result<Self> {
        let calls = calls.to_host(&address.host());
        let channel = address.channel().map_err(Error::internal)?;
        Ok(Self {
            connectors: Connectors { channel, calls: calls.clone() },
            rest: Rest::new(address, calls.clone())?,
            permits: Permits::new(most, calls),
        })
    }

    /// Asks what there is; `None` when the process does not speak `protocol`.
    pub(crate) async fn list(&self, protocol: Protocol) -> Result<Option<Vec<Agent>>> {
        match protocol {
            Protocol::Rest => self.rest.list().await.map(Some),
            Protocol::Grpc(dialect) => match self.connectors.list::<Listed>(dialect).await {
                Ok(listed) => Ok(Some(listed.agents)),
                Err(status) if status.code() == Code::Unimplemented => Ok(None),
                Err(status) => Err(error_of(Operation::Discover, &status)),
            },
        }
    }

    pub(crate) async fn create(
        &self,
        cx: &Context,
        to: Protocol,
        task: &RawTask,
        repeated: RepeatedCreate,
    ) -> Result<Job> {
        let _permit = self.permits.of_task(cx, Operation::Create).await?;
        match to {
            Protocol::Grpc(dialect) => self.connectors.create(cx, dialect, task, repeated).await,
            Protocol::Rest => self.create_by_rest(cx, task).await,
        }
    }

    pub(crate) async fn get(&self, cx: &Context, to: Protocol, job: &Job) -> Result<Status> {
        let _permit = self.permits.of_job(Operation::Get).await?;
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
        let _permit = self.permits.of_job(Operation::Delete).await?;
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
        let _permit = self.permits.of_task(cx, Operation::Execute).await?;
        let ended = match to {
            // Only Flyte 1 has sync tasks.
            Protocol::Grpc(_) => self.connectors.execute(cx, task).await,
            Protocol::Rest => match self.rest.execute(cx, &task.to_json()?).await {
                Ok(answer) => Ok(status(answer, &task.output_types()?)),
                Err(error) => Err(error),
            },
        };
        ended.or_else(retryable)
    }

    async fn create_by_rest(&self, cx: &Context, task: &RawTask) -> Result<Job> {
        let output_types = task.output_types()?.encode_within(MAX_OUTPUT_TYPES);
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
        Ok(Job { resource_meta: id.into(), output_prefix, output_types, is_readable: true })
    }
}

/// An exception in a sync task, or an answer that cannot be read, as the task's failure: propeller would repeat an error at
/// once and without end.
fn retryable(error: Error) -> Result<Status> {
    match error.code() {
        Some(code @ (CONNECTOR_ERROR | PLUGIN_ERROR | UNREADABLE_STATUS)) => {
            let status = Status::new(Phase::RetryableFailed).code(code.to_owned());
            Ok(status.message(error.message().to_owned()))
        }
        _ => Err(error),
    }
}

/// The id that a plugin gave `job`, as it came, for its owner to read.
pub(crate) fn readable_id(job: &Job) -> Option<Box<RawValue>> {
    let id = job.is_readable.then(|| id_of(job).ok()).flatten()?;
    RawValue::from_string(format!("{{\"job_id\":{id}}}")).ok()
}

fn id_of(job: &Job) -> Result<&str> {
    std::str::from_utf8(&job.resource_meta).map_err(Error::internal)
}
