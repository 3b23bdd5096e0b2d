//! Limits responses that last as long as their caller likes: health watches and reflection.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::Request,
    response::Response,
};
use http::HeaderMap;
use http_body::Frame;
use server_core::{Error, Kind, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::Status;

use super::{handler::Handler, route::Route};

/// The most that are open at once: one for each client that watches, many times over.
const MAX_STREAMS: usize = 1000;

/// The limit on endless streams, which anyone may open.
pub(super) struct StreamLimit {
    permits: Arc<Semaphore>,
    stop: CancellationToken,
}

impl StreamLimit {
    /// Ends every stream at `stop`, because nobody else would.
    pub(super) fn new(stop: CancellationToken) -> Self {
        Self { permits: Arc::new(Semaphore::new(MAX_STREAMS)), stop }
    }

    /// Serves a request. An endless stream holds a permit until it ends.
    ///
    /// # Errors
    /// `ResourceExhausted` when too many streams are open.
    pub(super) async fn serve(
        &self,
        route: &Route,
        request: Request,
        handler: Handler,
    ) -> Result<Response> {
        if !route.is_endless() {
            return Ok(handler.serve(request).await);
        }
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
            let message = "too many health watches and reflection streams are open; retry later";
            return Err(Error::new(Kind::ResourceExhausted, message));
        };
        let stop = Box::pin(self.stop.clone().cancelled_owned());
        let response = handler.serve(request).await;
        Ok(response.map(|body| Body::new(Ending { body, stop, permit: Some(permit) })))
    }
}

/// A body that ends with a status when the service stops.
struct Ending {
    body: Body,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
    /// `None` once the stream has ended.
    permit: Option<OwnedSemaphorePermit>,
}

impl HttpBody for Ending {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.permit.is_none() {
            return Poll::Ready(None);
        }
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        ready!(self.stop.as_mut().poll(cx));
        self.permit = None;
        let mut trailers = HeaderMap::new();
        // Can fail only for a status with metadata, and this one has none.
        let _ = Status::unavailable("the service is shutting down").add_header(&mut trailers);
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.permit.is_none() || self.body.is_end_stream()
    }
}
