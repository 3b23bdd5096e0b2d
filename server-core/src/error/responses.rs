//! An [`Error`] on its way out of a handler.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use tonic::Status;

use super::Error;

/// Carries the error, as an extension, to the layer that knows the caller's protocol. The response has
/// no body.
impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut response = self.kind().http().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// As gRPC handlers return it; the error is the status' source.
impl From<Error> for Status {
    fn from(error: Error) -> Self {
        // Propeller shows users the message and nothing else.
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
