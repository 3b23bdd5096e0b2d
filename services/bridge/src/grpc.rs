//! Connectors that speak Flyte's gRPC.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::stream;
use plugin_core::{
    Context, Error, Kind, Phase, RawTask, Result, Status as JobStatus, read_resource,
    secrecy::ExposeSecret as _,
};
use prost::Message;
use tonic::{
    Request, Status, client::Grpc, codegen::http::uri::PathAndQuery, metadata::MetadataValue,
    transport::Channel,
};

use crate::{
    codec::Encoded,
    dialect::{Dialect, Method},
    error::{CONNECTOR_ERROR, of_create, of_job},
    messages::{
        AboutTask, Category, Connection, Created, Execute, ExecutePart, Executed, Got, Job,
    },
};

/// The largest message of a connector, in bytes: what propeller would take of ours.
const MAX_MESSAGE: usize = 4 << 20;

/// A process of connectors.
pub(crate) struct Connectors(pub(crate) Channel);

impl Connectors {
    /// Asks which connectors there are.
    pub(crate) async fn list<A: Message + Default>(&self, dialect: Dialect) -> Result<A, Status> {
        decoded(self.unary(dialect.path(Method::List), Request::new(Bytes::new())).await?)
    }

    pub(crate) async fn create(
        &self,
        cx: &Context,
        dialect: Dialect,
        task: &RawTask,
    ) -> Result<Job> {
        let request = with_metadata(cx, task.to_create_request());
        let created = self.unary(dialect.path(Method::Create), request).await.and_then(decoded);
        let Created { resource_meta } = created.map_err(|status| of_create(&status))?;
        let output_prefix = cx.output_prefix().to_owned();
        Ok(Job { resource_meta, output_prefix, output_types: Vec::new() })
    }

    pub(crate) async fn get(&self, cx: &Context, dialect: Dialect, job: &Job) -> Result<JobStatus> {
        let request = with_metadata(cx, about(cx, job));
        let got = self.unary(dialect.path(Method::Get), request).await.and_then(decoded);
        let Got { resource } = got.map_err(|status| of_job(&status))?;
        status(resource)
    }

    pub(crate) async fn delete(&self, cx: &Context, dialect: Dialect, job: &Job) -> Result<()> {
        let request = with_metadata(cx, about(cx, job));
        let deleted = self.unary(dialect.path(Method::Delete), request).await;
        deleted.map(drop).map_err(|status| of_job(&status))
    }

    /// Runs a task within the call.
    pub(crate) async fn execute(&self, cx: &Context, task: &RawTask) -> Result<JobStatus> {
        match self.first_header(cx, task).await {
            Ok(resource) => status(resource),
            Err(failed) => {
                let error = of_create(&failed);
                // Propeller would repeat an error at once and without end.
                if error.code() == Some(CONNECTOR_ERROR) {
                    let status = JobStatus::new(Phase::RetryableFailed).code(CONNECTOR_ERROR);
                    return Ok(status.message(error.message().to_owned()));
                }
                Err(error)
            }
        }
    }

    /// Sends a header, the inputs and the end of the stream. The first header of the answer is the outcome.
    async fn first_header(&self, cx: &Context, task: &RawTask) -> Result<Option<Bytes>, Status> {
        let parts = [ExecutePart::Header(task.to_header()), ExecutePart::Inputs(task.inputs())];
        let messages = parts.map(|part| Execute { part: Some(part) }.encode_to_vec().into());
        let request = with_metadata(cx, stream::iter(messages));
        let mut grpc = self.ready().await?;
        let path = Dialect::Flyte1.path(Method::Execute);
        let mut answers = grpc.streaming(request, path, Encoded).await?.into_inner();
        while let Some(answer) = answers.message().await? {
            if let Some(header) = decoded::<Executed>(answer)?.header {
                return Ok(header.resource);
            }
        }
        Ok(None)
    }

    async fn unary(&self, path: PathAndQuery, request: Request<Bytes>) -> Result<Bytes, Status> {
        Ok(self.ready().await?.unary(request, path, Encoded).await?.into_inner())
    }

    async fn ready(&self) -> Result<Grpc<Channel>, Status> {
        let grpc = Grpc::new(self.0.clone());
        let mut grpc = grpc.max_decoding_message_size(MAX_MESSAGE);
        grpc.ready().await.map_err(|error| Status::from_error(Box::new(error)))?;
        Ok(grpc)
    }
}

fn decoded<A: Message + Default>(answer: Bytes) -> Result<A, Status> {
    A::decode(answer).map_err(|_| Status::internal("the answer could not be decoded"))
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
