//! The service of the API port.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{Router, body::Body, response::Response, routing::future::RouteFuture};
use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Either},
};
use http::Request;
use hyper::body::Incoming;
use tower::Service;

use super::{
    gate::{self, Gate},
    grpc,
    handler::Handler,
    rest,
    route::{self, Known, Route},
};

/// Passes calls about jobs to what serves them, and everything else to the router.
///
/// Those calls are nearly all there are, and what axum's router does for each of them costs as much as reading its token,
/// handle and message.
#[derive(Clone)]
pub(super) struct Api {
    gate: Arc<Gate>,
    agents: grpc::Jobs,
    connectors: grpc::Jobs,
    rest: rest::Jobs,
    router: Router,
}

impl Api {
    /// `router` is behind `gate`, too.
    pub(super) fn new(
        gate: Arc<Gate>,
        jobs: impl Fn(route::Jobs) -> grpc::Jobs,
        rest: rest::Jobs,
        router: Router,
    ) -> Self {
        let [agents, connectors] = [route::Jobs::Agents, route::Jobs::Connectors].map(jobs);
        Self { gate, agents, connectors, rest, router }
    }
}

type Served = Result<Response, Infallible>;

impl Service<Request<Incoming>> for Api {
    type Response = Response;
    type Error = Infallible;
    type Future = Either<BoxFuture<'static, Served>, RouteFuture<Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let Some((route, known)) = Route::of_known(&request) else {
            return Either::Right(self.router.call(request));
        };
        let handler = match known {
            Known::Grpc(route::Jobs::Agents) => Handler::Jobs(self.agents.clone()),
            Known::Grpc(route::Jobs::Connectors) => Handler::Jobs(self.connectors.clone()),
            Known::Rest => Handler::RestJobs(self.rest.clone()),
        };
        let (gate, request) = (Arc::clone(&self.gate), request.map(Body::new));
        Either::Left(gate::pass(gate, route, request, handler).map(Ok).boxed())
    }
}
