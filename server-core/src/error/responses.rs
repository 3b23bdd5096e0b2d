//! Conversions of an [`Error`] to the responses of HTTP and gRPC handlers.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use tonic::Status;

use super::Error;

/// A response without a body that carries the error as an extension, for the layer that knows the
/// caller's protocol.
impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut response = self.kind().http().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// The status that gRPC handlers return; its source is the error.
impl From<Error> for Status {
    fn from(error: Error) -> Self {
        // Propeller shows users only the message.
        let message = match error.code().filter(|_| error.is_upstream()) {
            Some(code) => format!("{code}: {}", error.message()),
            None => error.message().to_owned(),
        };
        let mut status = Self::new(error.kind().grpc(), message);
        if let Some(wait) = error.retry_after()
            && let Ok(millis) = wait.as_millis().to_string().parse()
        {
            status.metadata_mut().insert("grpc-retry-pushback-ms", millis);
        }
        status.set_source(Arc::new(error));
        status
    }
}
