//! Calls to the connectors.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use plugin_core::Context;
use prost::Message;
use tokio::sync::Semaphore;
use tonic::{
    Request, Status, client::Grpc, codegen::http::uri::PathAndQuery, metadata::MetadataValue,
    transport::Channel,
};

use crate::{
    codec::Encoded,
    dialect::{Dialect, Method},
    messages::{Execute, ExecutePart, Executed},
};

/// The largest message of a connector, in bytes: what propeller would take of ours.
const MAX_MESSAGE: usize = 4 << 20;

/// The process that serves the connectors.
pub(crate) struct Connector {
    pub(crate) channel: Channel,
    /// One for each call that may be under way.
    pub(crate) permits: Arc<Semaphore>,
}

impl Connector {
    /// Calls `method`.
    pub(crate) async fn call<A: Message + Default>(
        &self,
        cx: &Context,
        (dialect, method): (Dialect, Method),
        message: Bytes,
    ) -> Result<A, Status> {
        let _permit = self.permits.acquire().await.map_err(|_| Status::unavailable("closed"))?;
        let answer = self.unary(dialect.path(method), with_metadata(cx, message)).await?;
        decoded(answer)
    }

    /// Asks which connectors there are.
    pub(crate) async fn list<A: Message + Default>(&self, dialect: Dialect) -> Result<A, Status> {
        decoded(self.unary(dialect.path(Method::List), Request::new(Bytes::new())).await?)
    }

    /// Runs a task within the call: a header, the inputs, and the end of the stream.
    pub(crate) async fn execute(
        &self,
        cx: &Context,
        dialect: Dialect,
        header: Bytes,
        inputs: Bytes,
    ) -> Result<Option<Bytes>, Status> {
        let _permit = self.permits.acquire().await.map_err(|_| Status::unavailable("closed"))?;
        let parts = [ExecutePart::Header(header), ExecutePart::Inputs(inputs)];
        let messages = parts.map(|part| Execute { part: Some(part) }.encode_to_vec().into());
        let request = with_metadata(cx, stream::iter(messages));
        let mut grpc = self.ready().await?;
        let path = dialect.path(Method::Execute);
        let mut answers = grpc.streaming(request, path, Encoded).await?.into_inner();
        // The first header is the outcome.
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
        let grpc = Grpc::new(self.channel.clone());
        let mut grpc = grpc.max_decoding_message_size(MAX_MESSAGE);
        grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
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
