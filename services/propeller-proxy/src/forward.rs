//! Forwards calls to replicas.

use std::{
    error::Error as _,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderName, Request, Response, Version, header, uri};
use hyper::body::Incoming;
use tower::Service;

use crate::{
    answer::{self, Answer, Call},
    balance::{Balancer, Chosen},
    dial::Sender,
    token::Token,
};

/// The header that services accept instead of `authorization`; they reject a call that has both.
const FLYTE_AUTHORIZATION: HeaderName = HeaderName::from_static("flyte-authorization");
/// The maximum number of connections that a call is attempted on.
const MAX_ATTEMPTS: u32 = 10;

/// Forwards the calls of one listener.
#[derive(Clone)]
pub(crate) struct Forwarder {
    balancer: Arc<Balancer>,
    token: Arc<Token>,
    wait: Duration,
}

/// Why a call got no response.
enum Unanswered {
    /// It was not sent.
    Unsent(Box<Request<Incoming>>),
    /// The replica reports that it has not processed it, but its body has been sent.
    Unprocessed,
    /// The replica may have processed it.
    Lost(hyper::Error),
}

impl Forwarder {
    pub(crate) fn new(balancer: Arc<Balancer>, token: Arc<Token>, wait: Duration) -> Self {
        Self { balancer, token, wait }
    }

    /// # Errors
    /// `REFUSED_STREAM`, which means in HTTP/2 that the call was not processed: gRPC clients then retry it
    /// themselves. The proxy cannot, because it no longer has the body.
    async fn forward(self, request: Request<Incoming>) -> Result<Response<Answer>, h2::Error> {
        if !is_grpc(&request) {
            return Ok(answer::not_grpc());
        }
        let mut call = Call::new(self.balancer.metrics.clone());
        let mut request = self.addressed(request);
        for earlier_attempts in 0..MAX_ATTEMPTS {
            let Chosen { sender, pending } = match self.balancer.choose(self.wait).await {
                Ok(chosen) => chosen,
                Err(why) => return Ok(answer::unavailable(self.unreachable(&why), call)),
            };
            if earlier_attempts > 0 {
                self.balancer.metrics.retries.inc();
            }
            call.pending = Some(pending);
            request = match send(sender, request).await {
                Ok(response) => return Ok(answer::forwarded(response, call)),
                Err(Unanswered::Unsent(request)) => *request,
                Err(Unanswered::Unprocessed) => {
                    call.set_unavailable();
                    return Err(h2::Reason::REFUSED_STREAM.into());
                }
                Err(Unanswered::Lost(error)) => {
                    tracing::warn!(service = %self.balancer.target, %error, "a call was lost");
                    return Ok(answer::unavailable(self.lost(), call));
                }
            };
        }
        Ok(answer::unavailable(self.unreachable("connections end immediately"), call))
    }

    /// The call with the token and the target's authority. Everything else is unchanged.
    fn addressed(&self, mut request: Request<Incoming>) -> Request<Incoming> {
        let target = &self.balancer.target;
        let mut parts = std::mem::take(request.uri_mut()).into_parts();
        parts.scheme = Some(target.scheme.clone());
        parts.authority = Some(target.authority.clone());
        // gRPC requests always have a path.
        parts.path_and_query.get_or_insert(uri::PathAndQuery::from_static("/"));
        *request.uri_mut() = uri::Uri::from_parts(parts).unwrap_or_default();
        let headers = request.headers_mut();
        headers.remove(header::HOST);
        headers.remove(FLYTE_AUTHORIZATION);
        headers.insert(header::AUTHORIZATION, self.token.authorization());
        *request.version_mut() = Version::HTTP_2;
        request
    }

    fn unreachable(&self, why: &str) -> String {
        format!("propeller-proxy: no replica of {} is reachable: {why}", self.balancer.target)
    }

    fn lost(&self) -> String {
        let target = &self.balancer.target;
        format!(
            "propeller-proxy: the connection to a replica of {target} broke before it responded"
        )
    }
}

/// Whether this is gRPC, in any encoding. gRPC-Web's content types have the same prefix.
fn is_grpc(request: &Request<Incoming>) -> bool {
    let kind = request.headers().get(header::CONTENT_TYPE).map(|kind| kind.as_bytes());
    let encoding = kind.and_then(|kind| kind.strip_prefix(b"application/grpc"));
    let is_own = encoding.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')));
    is_own && request.version() == Version::HTTP_2
}

async fn send(
    mut sender: Sender,
    request: Request<Incoming>,
) -> Result<Response<Incoming>, Unanswered> {
    sender.try_send_request(request).await.map_err(|mut error| match error.take_message() {
        Some(request) => Unanswered::Unsent(Box::new(request)),
        None if is_unprocessed(error.error()) => Unanswered::Unprocessed,
        None => Unanswered::Lost(error.into_error()),
    })
}

/// Whether the replica did not process the call, by RFC 9113 §8.7: it was refused, or is above the last
/// stream in a GOAWAY. h2 ends other streams with the remote's GOAWAY only if it arrives while they open,
/// and resets them before their bodies are sent.
fn is_unprocessed(error: &hyper::Error) -> bool {
    let mut next = error.source();
    while let Some(cause) = next {
        if let Some(cause) = cause.downcast_ref::<h2::Error>() {
            let refused = cause.reason() == Some(h2::Reason::REFUSED_STREAM);
            return cause.is_remote() && (refused || cause.is_go_away());
        }
        next = cause.source();
    }
    false
}

impl Service<Request<Incoming>> for Forwarder {
    type Response = Response<Answer>;
    type Error = h2::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        Box::pin(self.clone().forward(request))
    }
}
