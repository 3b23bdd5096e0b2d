//! Forwards calls to replicas.

use std::{
    error::Error as _,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderName, Request, Response, StatusCode, Version, header, uri};
use http_body_util::Either;
use hyper::body::Incoming;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tower::Service;

use crate::{
    answer::{self, Answer, Call},
    balance::{Balancer, Chosen},
    calls::{self, Unforwarded},
    dial::{Payload, Sender},
    token::Token,
    unread::Unread,
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
    unread: Unread,
    wait: Duration,
    /// Ends responses that would go on for ever.
    stop: CancellationToken,
}

/// Why a call got no response.
enum Unanswered {
    /// It was not sent.
    Unsent(Box<Request<Payload>>),
    /// The replica reports that it has not processed it, but its body has been sent.
    Unprocessed,
    /// The response is not valid, or has more metadata than is accepted.
    Unacceptable,
    /// The replica may have processed it.
    Lost(hyper::Error),
}

impl Forwarder {
    pub(crate) fn new(
        balancer: Arc<Balancer>,
        token: Arc<Token>,
        unread: Unread,
        wait: Duration,
        stop: CancellationToken,
    ) -> Self {
        Self { balancer, token, unread, wait, stop }
    }

    /// # Errors
    /// `REFUSED_STREAM`, which means in HTTP/2 that the call was not processed: gRPC clients then retry it
    /// themselves. The proxy cannot, because it no longer has the body.
    async fn answer(self, request: Request<Incoming>) -> Result<Response<Answer>, h2::Error> {
        match calls::check(&request) {
            Ok(()) => self.forward(request).await,
            Err(Unforwarded::NotGrpc) => Ok(answer::not_grpc()),
            Err(Unforwarded::NotPost) => Ok(answer::not_post()),
            Err(Unforwarded::OtherService) => {
                let call = Call::new(self.balancer.metrics.clone());
                let message =
                    "propeller-proxy forwards only Flyte's connector services and gRPC health";
                Ok(answer::failed(&Status::unimplemented(message), call))
            }
        }
    }

    async fn forward(self, request: Request<Incoming>) -> Result<Response<Answer>, h2::Error> {
        let mut call = Call::new(self.balancer.metrics.clone());
        let stop = calls::is_endless(&request).then(|| self.stop.clone());
        let mut request = self.addressed(request).map(Either::Left);
        for earlier_attempts in 0..MAX_ATTEMPTS {
            let Chosen { sender, pending } = match self.balancer.choose(self.wait).await {
                Ok(chosen) => chosen,
                Err(why) => return Ok(answer::failed(&self.unreachable(&why), call)),
            };
            if earlier_attempts > 0 {
                self.balancer.metrics.retries.inc();
            }
            call.pending = Some(pending);
            request = match send(sender, request).await {
                Err(Unanswered::Unsent(request)) => *request,
                Ok(response) => return Ok(self.answered(response, stop, call)),
                Err(unanswered) => return self.unanswered(unanswered, call),
            };
        }
        Ok(answer::failed(&self.unreachable("connections end immediately"), call))
    }

    /// Passes a response on. An HTTP error about the size of metadata would have no gRPC status of its own.
    fn answered(
        &self,
        response: Response<Incoming>,
        stop: Option<CancellationToken>,
        call: Call,
    ) -> Response<Answer> {
        if response.status() == StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE {
            let target = &self.balancer.target;
            let message = format!("propeller-proxy: {target} does not accept this much metadata");
            return answer::failed(&Status::resource_exhausted(message), call);
        }
        answer::forwarded(response, &self.unread, stop, call)
    }

    fn unanswered(&self, why: Unanswered, mut call: Call) -> Result<Response<Answer>, h2::Error> {
        let target = &self.balancer.target;
        let status = match why {
            Unanswered::Unsent(_) | Unanswered::Unprocessed => {
                call.set_unavailable();
                return Err(h2::Reason::REFUSED_STREAM.into());
            }
            Unanswered::Unacceptable => Status::internal(format!(
                "propeller-proxy: the response of {target} is not valid, or has more than 1 MiB of metadata"
            )),
            Unanswered::Lost(error) => {
                tracing::warn!(service = %target, %error, "a call was lost");
                self.lost()
            }
        };
        Ok(answer::failed(&status, call))
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

    fn unreachable(&self, why: &str) -> Status {
        let target = &self.balancer.target;
        Status::unavailable(format!("propeller-proxy: no replica of {target} is reachable: {why}"))
    }

    fn lost(&self) -> Status {
        let target = &self.balancer.target;
        Status::unavailable(format!(
            "propeller-proxy: the connection to a replica of {target} broke before it responded"
        ))
    }
}

async fn send(
    mut sender: Sender,
    request: Request<Payload>,
) -> Result<Response<Incoming>, Unanswered> {
    sender.try_send_request(request).await.map_err(|mut error| match error.take_message() {
        Some(request) => Unanswered::Unsent(Box::new(request)),
        None if is_unprocessed(error.error()) => Unanswered::Unprocessed,
        None if is_unacceptable(error.error()) => Unanswered::Unacceptable,
        None => Unanswered::Lost(error.into_error()),
    })
}

/// Whether the replica did not process the call, by RFC 9113 §8.7: it was refused, or is above the last
/// stream in a GOAWAY. h2 ends other streams with the remote's GOAWAY only if it arrives while they open,
/// and resets them before their bodies are sent.
fn is_unprocessed(error: &hyper::Error) -> bool {
    h2_error(error).is_some_and(|error| {
        let refused = error.reason() == Some(h2::Reason::REFUSED_STREAM);
        error.is_remote() && (refused || error.is_go_away())
    })
}

/// Whether h2 itself reset the stream, and that alone, because of the response.
fn is_unacceptable(error: &hyper::Error) -> bool {
    h2_error(error).is_some_and(|error| error.is_library() && error.is_reset())
}

fn h2_error(error: &hyper::Error) -> Option<&h2::Error> {
    let mut next = error.source();
    while let Some(cause) = next {
        if let Some(cause) = cause.downcast_ref::<h2::Error>() {
            return Some(cause);
        }
        next = cause.source();
    }
    None
}

impl Service<Request<Incoming>> for Forwarder {
    type Response = Response<Answer>;
    type Error = h2::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        Box::pin(self.clone().answer(request))
    }
}
