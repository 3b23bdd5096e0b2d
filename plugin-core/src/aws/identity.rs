//! Whose keys sign: the author's or the operator's secrets, the service's own identity, or a role that it assumes.

mod assume_role;
mod command;
mod failures;
mod library;
mod own;
mod secrets;

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures_util::future::BoxFuture;
use server_core::{Error, Kind, Result, digest::Fingerprint};

use self::assume_role::{AssumeRole, Sts};
use super::{keys::Keys, role::RoleArn, settings::Settings};
use crate::{
    context::Context,
    upstream::{HttpBuilder, Lease, LeaseSource, Leases, Metrics},
};

/// How long keys without an expiry are used before they are read again: a file may change.
const UNLIMITED: Duration = Duration::from_secs(900);

/// How long keys are used at least, also those that have ended when they are issued: AWS decides, since a source may answer
/// with old ones for a while, and clocks differ. A call must not ask for them again.
const SHORTEST: Duration = Duration::from_secs(1);

/// Keys, and when they expire.
#[derive(Debug)]
pub(super) struct Issued {
    pub(super) keys: Keys,
    pub(super) expires_at: Option<SystemTime>,
}

/// Obtains keys of one identity.
pub(super) trait KeySource: Send + Sync + 'static {
    /// Its name in metrics and errors.
    fn name(&self) -> &'static str;

    /// Whether it asks a server. Others read files or run a command, which would run twice.
    fn asks_a_server(&self) -> bool {
        true
    }

    /// New keys.
    fn issue<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Issued>>;
}

/// A source whose keys are cached and counted.
struct Counted {
    source: Box<dyn KeySource>,
    metrics: Arc<Metrics>,
}

impl LeaseSource for Counted {
    type Value = Arc<Keys>;

    fn is_repeated(&self) -> bool {
        self.source.asks_a_server()
    }

    async fn lease(&self, cx: &Context) -> Result<Lease<Arc<Keys>>> {
        let name = self.source.name();
        let issued = self.source.issue(cx).await.inspect_err(|error| {
            self.metrics.fetched_keys(name, Err(()));
            let cause = error.chain();
            tracing::warn!(source = name, %error, cause, "AWS keys could not be obtained");
        })?;
        let since = |at: SystemTime| at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let expiry = issued.expires_at.map(|at| i64::try_from(since(at)).unwrap_or(i64::MAX));
        self.metrics.fetched_keys(name, Ok(expiry));
        let left =
            |at: SystemTime| at.duration_since(SystemTime::now()).unwrap_or_default().max(SHORTEST);
        Ok(Lease::new(Arc::new(issued.keys), issued.expires_at.map_or(UNLIMITED, left)))
    }
}

/// The identities that calls can be made as.
pub(super) struct Identity {
    own: Option<Arc<Counted>>,
    sts: Sts,
    metrics: Arc<Metrics>,
    leases: Leases<Arc<Keys>>,
}

impl Identity {
    /// # Errors
    /// `InvalidArgument` when a setting is, with its name.
    pub(super) fn new(settings: &Settings, http: &HttpBuilder) -> Result<Self> {
        let sts = Sts::new(settings, http)?;
        let own = own::source(settings, &sts, http)?;
        Ok(Self::of(own, sts, http.metrics()))
    }

    fn of(own: Option<Box<dyn KeySource>>, sts: Sts, metrics: Arc<Metrics>) -> Self {
        let own = own.map(|source| Arc::new(Counted { source, metrics: Arc::clone(&metrics) }));
        Self { own, sts, metrics, leases: Leases::default() }
    }

    /// The keys of a call: those in secrets, else the service's own; those of `role`, if there is one, which they
    /// assume.
    ///
    /// # Errors
    /// The reason why there are none.
    pub(super) async fn keys(
        self: &Arc<Self>,
        cx: &Context,
        role: Option<&RoleArn>,
    ) -> Result<Arc<Keys>> {
        let secret = secrets::keys(cx).await?;
        if let Some(role) = role {
            let assumed = assumed(role, secret.as_ref());
            let source = AssumeRole { identity: Arc::clone(self), role: role.clone() };
            let metrics = Arc::clone(&self.metrics);
            let source = Arc::new(Counted { source: Box::new(source), metrics });
            return Ok(Arc::clone(&self.leases.get(assumed, &source, cx).await?.value));
        }
        if let Some(keys) = secret {
            return Ok(Arc::new(keys));
        }
        let own = self.own.as_ref().ok_or_else(no_identity)?;
        Ok(Arc::clone(&self.leases.get(own_identity(), own, cx).await?.value))
    }

    /// The keys with the id `id`, which the vendor refused, are not used again.
    pub(super) async fn reject(&self, cx: &Context, role: Option<&RoleArn>, id: &str) {
        let Ok(secret) = secrets::keys(cx).await else { return };
        match (role, secret) {
            (Some(role), secret) => {
                let assumed = assumed(role, secret.as_ref());
                self.leases.reject(assumed, |keys| keys.id == id);
            }
            (None, Some(_)) => secrets::forget(cx),
            (None, None) => self.leases.reject(own_identity(), |keys| keys.id == id),
        }
    }

    /// Tells the identity of a call from others, before a role is assumed.
    ///
    /// # Errors
    /// Those of reading secrets.
    pub(super) async fn fingerprint(&self, cx: &Context) -> Result<Fingerprint> {
        Ok(secrets::keys(cx).await?.map_or_else(own_identity, |keys| keys.fingerprint()))
    }
}

/// Tells the role that `secret`, or the service's own identity, assumes.
fn assumed(role: &RoleArn, secret: Option<&Keys>) -> Fingerprint {
    let from = secret.map_or_else(own_identity, Keys::fingerprint).to_string();
    Fingerprint::of(&["role", role.as_str(), &from])
}

/// The service's own identity.
fn own_identity() -> Fingerprint {
    Fingerprint::of(&["own"])
}

fn no_identity() -> Error {
    const MESSAGE: &str = "the service has no AWS identity: its operator set neither the secrets \
        aws_access_key_id and aws_secret_access_key nor an identity";
    Error::new(Kind::FailedPrecondition, MESSAGE).about_credentials()
}

/// The error of keys that could not be obtained: it is about the identity, never about the job.
fn no_keys(what: &str, cause: Error) -> Error {
    let kind =
        if cause.kind().is_transient() { Kind::Unavailable } else { Kind::FailedPrecondition };
    Error::new(kind, what.to_owned()).with_source(cause).about_credentials()
}

#[cfg(all(test, feature = "testing"))]
mod tests;
