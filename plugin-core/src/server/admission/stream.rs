//! Admits the messages of a stream, one by one.

use std::sync::Arc;

use axum::body::{Body, BodyDataStream};
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, stream::try_unfold};
use server_core::Error;
use tokio::sync::Mutex;
use tonic::Status;

use super::{Admission, Call, Held, PREFIX_BYTES, is_longer, length, next, read};

/// A stream whose messages are passed on one by one.
struct Messages {
    admission: Arc<Admission>,
    call: Call,
    data: BodyDataStream,
    /// What has arrived of the next message.
    pending: BytesMut,
    /// What the messages before it weigh.
    passed: usize,
    held: Arc<Mutex<Held>>,
}

/// `body`, which ends with an error when a message is not admitted. `held` grows with it.
pub(super) fn admitted(
    admission: Arc<Admission>,
    call: Call,
    body: Body,
    held: Arc<Mutex<Held>>,
) -> Body {
    let data = body.into_data_stream();
    let messages = Messages { admission, call, data, pending: BytesMut::new(), passed: 0, held };
    Body::from_stream(try_unfold(messages, |mut messages| async move {
        let next = messages.next().await.map_err(Status::from)?;
        Ok::<_, Status>(next.map(|message| (message, messages)))
    }))
}

impl Messages {
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let end = length(&self.pending).map(|length| length + PREFIX_BYTES);
            if end.is_some_and(|end| end <= self.pending.len()) {
                return self.pass(end.unwrap_or_default()).await.map(Some);
            }
            // The decoder answers it, without the rest.
            if is_longer(&self.pending, self.admission.max_body_bytes) {
                return Ok(Some(self.pending.split().freeze()));
            }
            match self.chunk().await? {
                Some(chunk) => {
                    let arrived = self.passed + self.pending.len() + chunk.len();
                    self.held.lock().await.grow_to(arrived).await?;
                    self.pending.extend_from_slice(&chunk);
                }
                None if self.pending.is_empty() => return Ok(None),
                None => return Ok(Some(self.pending.split().freeze())),
            }
        }
    }

    /// A stream may stay open between two messages, but not stand still in one.
    async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        if self.pending.is_empty() {
            read(self.data.next().await)
        } else {
            next(&mut self.data).await
        }
    }

    /// Weighs the message that ends at byte `end`, and passes it on.
    async fn pass(&mut self, end: usize) -> Result<Bytes, Error> {
        let message = self.pending.split_to(end).freeze();
        let weight = self.admission.weight(&self.call, &message)?;
        self.passed += weight;
        self.held.lock().await.grow_to(self.passed).await?;
        Ok(message)
    }
}
