//! Whose keys sign: the author's or the operator's secrets, the service's own identity, or a role that it assumes.

mod secrets;

use std::{fmt, sync::Arc};

use secrecy::SecretString;
use server_core::{Error, Kind, Result, digest::Fingerprint};

use super::{role::RoleArn, settings::Settings};
use crate::{context::Context, upstream::HttpBuilder};

/// Keys that sign requests.
pub(super) struct Keys {
    /// The id of the access key, which is no secret.
    pub(super) id: String,
    pub(super) secret: SecretString,
    /// The token of temporary keys.
    pub(super) session: Option<SecretString>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The identities that calls can be made as.
pub(super) struct Identity {}

impl Identity {
    pub(super) fn new(_: &Settings, _: &HttpBuilder) -> Result<Self> {
        Ok(Self {})
    }

    /// The keys of a call: those in secrets, else the service's own; those of `role`, if there is one, which they
    /// assume.
    pub(super) async fn keys(&self, cx: &Context, _: Option<&RoleArn>) -> Result<Arc<Keys>> {
        match secrets::keys(cx).await? {
            Some(keys) => Ok(Arc::new(keys)),
            None => Err(Error::new(Kind::FailedPrecondition, "the service has no AWS identity")
                .about_credentials()),
        }
    }

    /// The keys with the id `id`, which the vendor refused, are not used again.
    pub(super) async fn reject(&self, cx: &Context, _: Option<&RoleArn>, _: &str) {
        secrets::forget(cx);
    }

    /// Tells the identity of a call from others, before a role is assumed.
    pub(super) async fn fingerprint(&self, cx: &Context) -> Result<Fingerprint> {
        Ok(secrets::keys(cx).await?.map_or_else(|| Fingerprint::of(&[]), |keys| keys.fingerprint()))
    }
}
