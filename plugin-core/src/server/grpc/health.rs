//! gRPC's health service, <https://grpc.io/docs/guides/health-checking/>.
//!
//! tonic-health's own fails a watch of an unknown service with NOT_FOUND, where the protocol says
//! SERVICE_UNKNOWN.

use futures_util::stream::{self, BoxStream, StreamExt as _};
use server_core::{Error, Result};
use tokio::sync::watch;
use tonic::{Request, Response, Status};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus,
    health_server::Health,
};

use crate::server::route::services_with_health;

/// The health of the server and of each of its services, which are ready together.
pub(super) struct Healthy(watch::Sender<bool>);

impl Healthy {
    /// Reports the value that is sent to `serving`.
    pub(super) fn new(serving: watch::Sender<bool>) -> Self {
        Self(serving)
    }
}

fn is_known(service: &str) -> bool {
    service.is_empty() || services_with_health().any(|known| known == service)
}

fn answer(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

fn status(serving: bool) -> HealthCheckResponse {
    answer(if serving { ServingStatus::Serving } else { ServingStatus::NotServing })
}

#[tonic::async_trait]
impl Health for Healthy {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        if is_known(&request.get_ref().service) {
            return Ok(Response::new(status(*self.0.borrow())));
        }
        Err(Error::not_found("service: unknown; an empty name asks about all of them").into())
    }

    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        if !is_known(&request.get_ref().service) {
            let unknown = stream::iter([Ok(answer(ServingStatus::ServiceUnknown))]);
            return Ok(Response::new(unknown.chain(stream::pending()).boxed()));
        }
        let mut serving = self.0.subscribe();
        serving.mark_changed();
        let changes = stream::unfold(serving, async |mut serving| {
            serving.changed().await.ok()?;
            let now = *serving.borrow_and_update();
            Some((Ok(status(now)), serving))
        });
        Ok(Response::new(changes.boxed()))
    }
}
