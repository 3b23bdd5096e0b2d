//! What serves a request that has passed the gate.

use axum::{extract::Request, middleware::Next, response::Response};

use super::{grpc, rest};

/// What serves a request that has passed.
pub(super) enum Handler {
    /// A route of axum's.
    Route(Next),
    /// A service of jobs, over gRPC.
    Jobs(grpc::Jobs),
    /// The operations on jobs, over REST.
    RestJobs(rest::Jobs),
}

impl Handler {
    pub(super) async fn serve(self, request: Request) -> Response {
        match self {
            Self::Route(next) => next.run(request).await,
            Self::Jobs(jobs) => jobs.serve(request).await,
            // Boxed, because the other futures are smaller by far.
            Self::RestJobs(jobs) => Box::pin(jobs.serve(request)).await,
        }
    }
}
