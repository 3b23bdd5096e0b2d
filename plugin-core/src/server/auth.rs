//! Authentication and authorisation: the same for REST and gRPC.

mod bearer;
mod config;
mod failure;
mod file;
mod jwk;
mod key_set;
mod keys;
mod metrics;
mod own_token;
mod policy;
mod published;
#[cfg(test)]
mod signer;
mod token;

use std::{path::Path, sync::Arc};

use futures_util::future::BoxFuture;
use http::request::Parts;
use prometheus_client::registry::Registry;
use server_core::{Error, Result};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{bearer::BearerTokens, config::AuthFile, metrics::Metrics};
pub use self::{
    file::{Access, AuthenticationFile, TrustedIssuer},
    key_set::shared_secret,
};
use super::route::Route;
use crate::{context::Caller, record::Record};

/// A way to find out who is calling.
trait Authenticator: Send + Sync {
    /// The caller of a request, by its head. The extensions have the [`Peer`](server_core::listen::Peer)
    /// of the connection.
    fn caller<'a>(&'a self, request: &'a Parts) -> BoxFuture<'a, Result<Caller, Refusal>>;

    /// Whether callers can be authenticated.
    ///
    /// # Errors
    /// Why they cannot.
    fn ready(&self) -> Result<(), &'static str>;

    /// Spawns what keeps keys fresh until `stop`.
    fn keep_fresh(self: Arc<Self>, tasks: &TaskTracker, stop: &CancellationToken);
}

/// Why a caller was not authenticated.
struct Refusal {
    /// The label of the metric: from a closed set.
    reason: &'static str,
    error: Error,
}

/// Accepts unauthenticated requests: `--insecure-no-auth`.
struct Anonymous;

impl Authenticator for Anonymous {
    fn caller<'a>(&'a self, _: &'a Parts) -> BoxFuture<'a, Result<Caller, Refusal>> {
        Box::pin(std::future::ready(Ok(Caller::anonymous())))
    }

    fn ready(&self) -> Result<(), &'static str> {
        Ok(())
    }

    fn keep_fresh(self: Arc<Self>, _: &TaskTracker, _: &CancellationToken) {}
}

/// Authenticates callers, and counts those it refuses.
#[derive(Clone)]
pub(crate) struct Auth {
    authenticator: Arc<dyn Authenticator>,
    metrics: Arc<Metrics>,
}

impl Auth {
    pub(crate) fn anonymous(registry: &mut Registry) -> Self {
        let metrics = Arc::new(Metrics::register(registry));
        Self { authenticator: Arc::new(Anonymous), metrics }
    }

    /// Reads the authentication file.
    ///
    /// # Errors
    /// `InvalidArgument` that names the file and the wrong entry.
    pub(crate) fn from_file(path: &Path, registry: &mut Registry) -> Result<Self> {
        let metrics = Arc::new(Metrics::register(registry));
        let tokens = BearerTokens::new(AuthFile::read(path, own_token::read)?, &metrics)?;
        Ok(Self { authenticator: Arc::new(tokens), metrics })
    }

    /// Whether callers can be authenticated.
    ///
    /// # Errors
    /// Why they cannot.
    pub(crate) fn ready(&self) -> Result<(), &'static str> {
        self.authenticator.ready()
    }

    /// Keeps keys fresh until `stop`.
    pub(crate) fn keep_fresh(&self, tasks: &TaskTracker, stop: &CancellationToken) {
        Arc::clone(&self.authenticator).keep_fresh(tasks, stop);
    }

    /// The caller of a request, who may use its verb at all; nothing of the body was read. Probes carry no token
    /// and are accepted without one.
    ///
    /// # Errors
    /// `Unauthenticated` or `PermissionDenied`.
    pub(super) async fn authenticate(
        &self,
        route: &Route,
        request: &Parts,
        record: &Record,
    ) -> Result<Option<Caller>> {
        let Some(verb) = route.verb else {
            return Ok(None);
        };
        let caller = self.caller(request).await?;
        record.fields().caller = Some(caller.clone());
        caller.check_verb(verb).inspect_err(|_| self.metrics.failure("verb"))?;
        Ok(Some(caller))
    }

    async fn caller(&self, request: &Parts) -> Result<Caller> {
        self.authenticator.caller(request).await.map_err(|Refusal { reason, error }| {
            self.metrics.failure(reason);
            error
        })
    }
}

#[cfg(test)]
mod tests;
