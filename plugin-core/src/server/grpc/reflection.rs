//! gRPC's reflection, v1 and v1alpha.

use std::sync::LazyLock;

use axum::{Router, extract::Request, response::Response, routing::any};
use tonic::service::Routes;
use tonic_reflection::{
    pb::{
        v1::server_reflection_server::SERVICE_NAME as V1,
        v1alpha::server_reflection_server::SERVICE_NAME as V1ALPHA,
    },
    server::Builder,
};
use tower::ServiceExt as _;

use super::MAX_NAME_MESSAGE_BYTES;
use crate::wire::proto::DESCRIPTORS;

/// Both services, with their index of every message and field: built for the first who asks, because most
/// services are never asked, and it took a quarter of the work of a start.
#[expect(
    clippy::expect_used,
    reason = "build.rs wrote the descriptors, and tests ask for reflection"
)]
static SERVICES: LazyLock<Router> =
    LazyLock::new(|| services().expect("the embedded descriptors decode"));

fn services() -> Result<Router, tonic_reflection::server::Error> {
    let builder = || {
        Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let (v1, v1alpha) = (builder().build_v1()?, builder().build_v1alpha()?);
    let routes = Routes::from(Router::new())
        .add_service(v1.max_decoding_message_size(MAX_NAME_MESSAGE_BYTES))
        .add_service(v1alpha.max_decoding_message_size(MAX_NAME_MESSAGE_BYTES));
    Ok(routes.into_axum_router())
}

pub(super) fn routes() -> Router {
    let path = |service: &str| format!("/{service}/{{method}}");
    Router::new().route(&path(V1), any(answer)).route(&path(V1ALPHA), any(answer))
}

async fn answer(request: Request) -> Response {
    match SERVICES.clone().oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}
