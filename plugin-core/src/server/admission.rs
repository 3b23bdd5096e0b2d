//! Admits requests by the memory that they need, before they are read and again before they are decoded.

mod stream;

use std::{sync::Arc, time::Duration};

use axum::body::{Body, BodyDataStream, HttpBody as _};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use http::{Version, header, request::Parts};
use server_core::{Error, Kind, Result};
use tokio::{
    sync::{Mutex, OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::{
    args::ServerArgs,
    limits::{RESERVED, overloaded},
    metrics::Metrics,
    respond::too_large,
    route::{Protocol, Route},
};
use crate::{
    context::{Caller, Role, Verb},
    verbs::Kept,
    wire::{Bounds, values_in_json, values_in_message},
};

/// What a value counts for at least, in bytes: an integer takes two bytes of JSON, and some hundred in
/// memory, as an item of a list does in each form that it passes through.
const VALUE_BYTES: usize = 128;

/// Polls and deletes up to this size need no permit. Flyte's are smaller, and must not wait for creates.
const SMALL_BYTES: usize = 4 << 10;

/// How much room a body is given by what its caller says it has; more is taken as it arrives.
const FIRST_BYTES: usize = 16 << 10;

/// How long the next bytes of a body may take.
const STANDSTILL: Duration = Duration::from_secs(10);

/// How long the rest of a refused body is read.
const LINGER: Duration = Duration::from_secs(1);

/// gRPC's prefix of a message: a flag, and its length in four bytes.
const PREFIX_BYTES: usize = 5;

/// The limit on the bytes of requests in progress.
pub(super) struct Admission {
    all: Pool,
    /// Users' calls need these as well: fewer, so that they leave some of `all` to Flyte.
    users: Pool,
    max_body_bytes: usize,
    bounds: Bounds,
    metrics: Arc<Metrics>,
}

impl Admission {
    pub(super) fn new(args: &ServerArgs, metrics: Arc<Metrics>) -> Self {
        let total = args.max_bytes_in_flight.min(u32::MAX as usize);
        Self {
            all: Pool::of(total),
            users: Pool::of(total - total / RESERVED),
            max_body_bytes: args.max_body_bytes,
            bounds: args.bounds.clone(),
            metrics,
        }
    }

    /// Reads and weighs a request's body.
    ///
    /// # Errors
    /// `Unavailable` when other requests hold the permits, `InvalidArgument` for a body that is too large.
    pub(super) async fn admit(
        self: &Arc<Self>,
        route: &Route,
        caller: Option<&Caller>,
        parts: &Parts,
        body: Body,
    ) -> Result<Admitted> {
        match Call::of(route, caller, parts, &body) {
            None => Ok(Admitted { body, message: None, held: None }),
            Some(call) if call.is_stream() => Ok(self.stream(call, body)),
            Some(call) => self.whole(&call, body).await,
        }
    }

    /// Reads what the caller of a refused request is still writing.
    pub(super) async fn refuse(&self, version: Version, body: Body) {
        if version < Version::HTTP_2 {
            discard(body.into_data_stream(), self.max_body_bytes).await;
        }
    }

    /// A body that was read and weighed.
    async fn whole(self: &Arc<Self>, call: &Call, body: Body) -> Result<Admitted> {
        let length = body.size_hint().exact().and_then(|length| usize::try_from(length).ok());
        let mut data = body.into_data_stream();
        let (body, mut held) = match self.read(call, length, &mut data).await {
            Ok(read) => read,
            Err(refusal) => {
                if call.must_be_read {
                    discard(data, self.max_body_bytes).await;
                }
                return Err(refusal);
            }
        };
        held.grow_to(self.weight(call, &body)?).await?;
        let held = (!held.is_empty()).then(|| Arc::new(held) as Kept);
        let prefix = if call.protocol == Protocol::Grpc { PREFIX_BYTES } else { 0 };
        let is_create = call.verb == Verb::Create;
        let message = (is_create && body.len() > prefix).then(|| body.slice(prefix..));
        Ok(Admitted { body: body.into(), message, held })
    }

    /// A body that is weighed while it is read: it may end after the answer.
    fn stream(self: &Arc<Self>, call: Call, body: Body) -> Admitted {
        let held = Arc::new(Mutex::new(self.held(&call)));
        let body = stream::admitted(Arc::clone(self), call, body, Arc::clone(&held));
        Admitted { body, message: None, held: Some(held) }
    }

    fn held(self: &Arc<Self>, call: &Call) -> Held {
        Held {
            admission: Arc::clone(self),
            of_user: call.of_user,
            wait: call.waits(),
            users: None,
            all: None,
        }
    }

    /// Reads the body of a request that has one message. `length` is what the caller says it has.
    async fn read(
        self: &Arc<Self>,
        call: &Call,
        length: Option<usize>,
        data: &mut BodyDataStream,
    ) -> Result<(Bytes, Held)> {
        let mut held = self.held(call);
        if length.is_some_and(|length| self.is_too_large(call, length)) {
            return Err(too_large(self.max_body_bytes));
        }
        // Permits are taken for what has arrived: a slow sender holds no others.
        if !call.waits() && length.is_some_and(|length| length > self.left(call)) {
            return Err(self.shed());
        }
        let mut read = BytesMut::with_capacity(length.unwrap_or(0).min(FIRST_BYTES));
        while let Some(chunk) = next(data).await? {
            if self.is_too_large(call, read.len() + chunk.len()) {
                return Err(too_large(self.max_body_bytes));
            }
            held.grow_to(read.len() + chunk.len()).await?;
            read.extend_from_slice(&chunk);
            if call.protocol == Protocol::Rest {
                continue;
            }
            // The decoder answers it, without the rest.
            if is_longer(&read, self.max_body_bytes) {
                break;
            }
            if is_more(&read) {
                return Err(Error::invalid("body: more than one message"));
            }
        }
        Ok((read.freeze(), held))
    }

    /// How many bytes a request may have now.
    fn left(&self, call: &Call) -> usize {
        let pool = if call.of_user { &self.users } else { &self.all };
        let left = pool.permits.available_permits();
        if left == pool.total { usize::MAX } else { left }
    }

    fn shed(&self) -> Error {
        self.metrics.shed.inc();
        overloaded()
    }

    fn is_too_large(&self, call: &Call, length: usize) -> bool {
        // Of gRPC's messages the decoder says so, in its own words.
        call.protocol == Protocol::Rest && length > self.max_body_bytes
    }

    /// What `body` counts for, by its size and the values in it.
    fn weight(&self, call: &Call, body: &Bytes) -> Result<usize> {
        let values = match call.protocol {
            Protocol::Rest => values_in_json(body, &self.bounds)?,
            Protocol::Grpc => {
                let message = body.get(PREFIX_BYTES..).unwrap_or_default();
                values_in_message(call.method, message, &self.bounds)?
            }
        };
        Ok(body.len() + values * VALUE_BYTES)
    }
}

/// A body that may be decoded, and what it holds until the call and the work it started have ended: nothing if it
/// is small.
pub(super) struct Admitted {
    pub(super) body: Body,
    /// The message of a create, without gRPC's prefix.
    pub(super) message: Option<Bytes>,
    pub(super) held: Option<Kept>,
}

/// The length of a gRPC message, from its prefix.
fn length(read: &[u8]) -> Option<usize> {
    let length = read.get(1..PREFIX_BYTES)?.try_into().ok()?;
    usize::try_from(u32::from_be_bytes(length)).ok()
}

/// Whether gRPC's prefix says that the message is longer than `limit`.
fn is_longer(read: &[u8], limit: usize) -> bool {
    length(read).is_some_and(|length| length > limit)
}

/// Whether something follows the first message.
fn is_more(read: &[u8]) -> bool {
    length(read).is_some_and(|length| read.len() - PREFIX_BYTES > length)
}

/// The next bytes of a body.
async fn next(data: &mut BodyDataStream) -> Result<Option<Bytes>> {
    let Ok(next) = timeout(STANDSTILL, data.next()).await else {
        let message = format!("body: nothing arrived for {} seconds", STANDSTILL.as_secs());
        return Err(Error::new(Kind::DeadlineExceeded, message));
    };
    read(next)
}

fn read(next: Option<Result<Bytes, axum::Error>>) -> Result<Option<Bytes>> {
    next.transpose().map_err(|_| Error::invalid("body: could not be read"))
}

/// What admission depends on.
struct Call {
    verb: Verb,
    /// Whether the caller is a user or an admin, not Flyte.
    of_user: bool,
    protocol: Protocol,
    /// gRPC's name of the method.
    method: &'static str,
    /// Whether the caller sends its body without waiting for an answer to its head, and its connection ends
    /// if nobody reads it.
    must_be_read: bool,
}

impl Call {
    /// `None` for requests that are not admitted by size: those without a body, and endless streams.
    fn of(route: &Route, caller: Option<&Caller>, parts: &Parts, body: &Body) -> Option<Self> {
        let protocol = route.protocol;
        let of_user =
            caller.is_some_and(|caller| matches!(caller.role(), Role::User | Role::Admin));
        let (_, method) = route.rpc_method.rsplit_once('/').unwrap_or_default();
        let verb = route.verb.filter(|verb| *verb != Verb::List)?;
        let expects = parts.headers.contains_key(header::EXPECT);
        let must_be_read = parts.version < Version::HTTP_2 && !expects;
        (!body.is_end_stream()).then_some(Self { verb, of_user, protocol, method, must_be_read })
    }

    fn is_stream(&self) -> bool {
        self.protocol == Protocol::Grpc && self.verb == Verb::Execute
    }

    /// Whether it waits for permits: propeller counts failures of polls and deletes against the task.
    fn waits(&self) -> bool {
        matches!(self.verb, Verb::Get | Verb::Delete)
    }
}

/// Reads the rest of a refused body for a moment, at most `bytes` of it, because a caller that is still
/// writing when its connection ends does not see the response (RFC 9112 §9.6).
async fn discard(mut rest: BodyDataStream, bytes: usize) {
    let mut left = bytes;
    let reading = async {
        while let Some(Ok(chunk)) = rest.next().await
            && chunk.len() <= left
        {
            left -= chunk.len();
        }
    };
    let _ = timeout(LINGER, reading).await;
}

/// Permits for bytes.
#[derive(Clone)]
struct Pool {
    permits: Arc<Semaphore>,
    /// All of them: a request that needs more takes all, and is served while no other has any.
    total: usize,
}

impl Pool {
    fn of(total: usize) -> Self {
        Self { permits: Arc::new(Semaphore::new(total)), total }
    }

    /// Adds to `held` until it has `bytes`. `None` when other requests hold them.
    async fn grow(
        &self,
        held: &mut Option<OwnedSemaphorePermit>,
        bytes: usize,
        wait: bool,
    ) -> Option<()> {
        let has = held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let missing = bytes.min(self.total).saturating_sub(has);
        let Ok(missing @ 1..) = u32::try_from(missing) else { return Some(()) };
        let permits = Arc::clone(&self.permits);
        // Who holds permits while waiting for more could wait for somebody who does the same.
        let more = if wait && has == 0 {
            permits.acquire_many_owned(missing).await.ok()?
        } else {
            permits.try_acquire_many_owned(missing).ok()?
        };
        match held {
            Some(held) => held.merge(more),
            none => *none = Some(more),
        }
        Some(())
    }
}

/// The permits of a request.
struct Held {
    admission: Arc<Admission>,
    of_user: bool,
    wait: bool,
    users: Option<OwnedSemaphorePermit>,
    all: Option<OwnedSemaphorePermit>,
}

impl Held {
    fn is_empty(&self) -> bool {
        self.users.is_none() && self.all.is_none()
    }

    /// Takes permits until there are `bytes` of them.
    ///
    /// # Errors
    /// `Unavailable` when other requests hold them.
    async fn grow_to(&mut self, bytes: usize) -> Result<()> {
        if self.wait && bytes <= SMALL_BYTES {
            return Ok(());
        }
        let Self { admission, of_user, wait, users, all } = self;
        let mut most = bytes;
        if *of_user {
            most = most.min(admission.users.total);
            admission.users.grow(users, most, *wait).await.ok_or_else(|| admission.shed())?;
        }
        admission.all.grow(all, most, *wait).await.ok_or_else(|| admission.shed())
    }
}
