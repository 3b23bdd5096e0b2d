//! Connectors that speak Flyte's gRPC.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::stream;
use plugin_core::{
    Context, Error, Kind, RawTask, RepeatedCreate, Result, Status as JobStatus,
    http::StatusCode,
    read_resource,
    secrecy::ExposeSecret as _,
    upstream::{Call, Calls, Operation, UnkeyedCreate},
};
use prost::Message;
use tonic::{
    Request, Status, Streaming, client::Grpc, metadata::MetadataValue, transport::Channel,
};

use crate::{
    codec::Encoded,
    dialect::{CONNECTOR_ERROR, Dialect},
    error::{error_of, is_answer, is_exception, is_unsent, kind, says_outcome},
    messages::{
        AboutTask, Category, Connection, Created, Execute, ExecutePart, Executed, Got, Job,
    },
};

/// The largest message of a connector, in bytes: what propeller would take of ours.
const MAX_MESSAGE: usize = 4 << 20;

/// A process of connectors.
pub(crate) struct Connectors {
    pub(crate) channel: Channel,
    pub(crate) calls: Calls,
}

impl Connectors {
    /// Asks which connectors there are.
    pub(crate) async fn list<A: Message + Default>(&self, dialect: Dialect) -> Result<A, Status> {
        let request = Request::new(Bytes::new());
        decoded(self.unary(Operation::Discover, dialect, request).await?)
    }

    pub(crate) async fn create(
        &self,
        cx: &Context,
        dialect: Dialect,
        task: &RawTask,
        repeated: RepeatedCreate,
    ) -> Result<Job> {
        let request = with_metadata(cx, task.to_create_request());
        let is_unkeyed = repeated == RepeatedCreate::Remembered;
        let unkeyed = is_unkeyed.then(|| self.calls.create_without_key(cx.task_type()));
        let created = self.unary(Operation::Create, dialect, request).await.and_then(decoded);
        if let Some(unkeyed) = unkeyed {
            note_outcome(unkeyed, &created);
        }
        let Created { resource_meta } =
            created.map_err(|status| error_of(Operation::Create, &status))?;
        let output_prefix = cx.output_prefix().to_owned();
        Ok(Job { resource_meta, output_prefix, ..Job::default() })
    }

    pub(crate) async fn get(&self, cx: &Context, dialect: Dialect, job: &Job) -> Result<JobStatus> {
        let request = with_metadata(cx, about(cx, job));
        let got = self.unary(Operation::Get, dialect, request).await.and_then(decoded);
        let Got { resource } = got.map_err(|status| error_of(Operation::Get, &status))?;
        status(resource)
    }

    pub(crate) async fn delete(&self, cx: &Context, dialect: Dialect, job: &Job) -> Result<()> {
        let request = with_metadata(cx, about(cx, job));
        let deleted = self.unary(Operation::Delete, dialect, request).await;
        deleted.map(drop).map_err(|status| error_of(Operation::Delete, &status))
    }

    /// Runs a task within the call.
    pub(crate) async fn execute(&self, cx: &Context, task: &RawTask) -> Result<JobStatus> {
        let header = self.first_header(cx, task).await;
        status(header.map_err(|status| error_of(Operation::Execute, &status))?)
    }

    /// Sends a header, the inputs and the end of the stream. The first header of the answer is the outcome.
    async fn first_header(&self, cx: &Context, task: &RawTask) -> Result<Option<Bytes>, Status> {
        let parts = [ExecutePart::Header(task.to_header()), ExecutePart::Inputs(task.inputs())];
        let messages = parts.map(|part| Execute { part: Some(part) }.encode_to_vec().into());
        let mut request = with_metadata(cx, stream::iter(messages));
        let mut call = self.begin(Operation::Execute, Dialect::Flyte1, &mut request);
        let answers = async {
            let path = Dialect::Flyte1.path(Operation::Execute);
            let answers = self.ready().await?.streaming(request, path, Encoded).await?;
            header_in(answers.into_inner()).await
        };
        let header = answers.await;
        note(&mut call, Operation::Execute, &header);
        header
    }

    async fn unary(
        &self,
        operation: Operation,
        dialect: Dialect,
        mut request: Request<Bytes>,
    ) -> Result<Bytes, Status> {
        let mut call = self.begin(operation, dialect, &mut request);
        let path = dialect.path(operation);
        let answer = async { self.ready().await?.unary(request, path, Encoded).await };
        let answer = answer.await;
        note(&mut call, operation, &answer);
        Ok(answer?.into_inner())
    }

    /// Begins a call with `request`, which then continues its trace.
    fn begin<T>(&self, operation: Operation, dialect: Dialect, request: &mut Request<T>) -> Call {
        let call = self.calls.grpc(operation, dialect.path(operation).path());
        request.metadata_mut().as_mut().extend(call.headers());
        call
    }

    async fn ready(&self) -> Result<Grpc<Channel>, Status> {
        let grpc = Grpc::new(self.channel.clone());
        let mut grpc = grpc.max_decoding_message_size(MAX_MESSAGE);
        grpc.ready().await.map_err(|error| Status::from_error(Box::new(error)))?;
        Ok(grpc)
    }
}

async fn header_in(mut answers: Streaming<Bytes>) -> Result<Option<Bytes>, Status> {
    while let Some(answer) = answers.message().await? {
        if let Some(header) = decoded::<Executed>(answer)?.header {
            return Ok(header.resource);
        }
    }
    Ok(None)
}

/// Records how a call ended. gRPC's errors are in responses with the HTTP status 200.
fn note<T>(call: &mut Call, operation: Operation, answer: &Result<T, Status>) {
    if answer.as_ref().err().is_none_or(is_answer) {
        call.answered(StatusCode::OK);
    }
    match answer {
        Ok(_) => call.succeeded(),
        Err(status) if is_exception(status) => call.raised(kind(operation, status)),
        Err(status) => call.failed(kind(operation, status)),
    }
}

/// Records whether it is known that there is a job, or that there is none.
fn note_outcome<T>(create: UnkeyedCreate, created: &Result<T, Status>) {
    match created {
        Ok(_) => create.answered(),
        Err(status) if is_unsent(status) => create.unsent(),
        Err(status) if says_outcome(status) => create.answered(),
        Err(_) => drop(create),
    }
}

fn decoded<A: Message + Default>(answer: Bytes) -> Result<A, Status> {
    A::decode(answer).map_err(|_| Status::data_loss("the answer could not be decoded"))
}

/// The key by which a connector can tell a repeat, and how long its answer is waited for.
fn with_metadata<T>(cx: &Context, message: T) -> Request<T> {
    let mut request = Request::new(message);
    if let Ok(key) = MetadataValue::try_from(cx.idempotency_key().hex()) {
        request.metadata_mut().insert("x-idempotency-key", key);
    }
    request.set_timeout(cx.deadline().remaining());
    request
}

/// A request about `job`.
fn about(cx: &Context, job: &Job) -> Bytes {
    // Where the operator forbids them, they are left out, so that the job can still be stopped.
    let secrets = cx.connection_secrets().unwrap_or_default().into_iter();
    let secrets =
        secrets.map(|(name, secret)| (name.to_owned(), secret.expose_secret().to_owned()));
    let secrets = secrets.collect::<BTreeMap<_, _>>();
    let connection = Connection { secrets, configs: cx.connection_configs().clone() };
    let task_type = cx.task_type();
    let about = AboutTask {
        task_type: task_type.name.to_owned(),
        resource_meta: job.resource_meta.clone(),
        task_category: Some(Category {
            name: task_type.name.to_owned(),
            version: task_type.version,
        }),
        output_prefix: job.output_prefix.clone(),
        connection: Some(connection).filter(|it| *it != Connection::default()),
    };
    about.encode_to_vec().into()
}

fn status(resource: Option<Bytes>) -> Result<JobStatus> {
    let missing = || {
        Error::new(Kind::FailedPrecondition, "the connector answered without a status")
            .with_code(CONNECTOR_ERROR)
            .upstream()
    };
    read_resource(resource.ok_or_else(missing)?)
}
