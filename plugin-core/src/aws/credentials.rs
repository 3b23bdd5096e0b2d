//! The credentials of a client: an identity, for one service in one region.

use std::sync::Arc;

use http::HeaderMap;
use server_core::Result;

use super::{
    identity::Identity,
    role::RoleArn,
    signature::{KeySigner, access_key_id},
};
use crate::{
    context::Context,
    upstream::{Credentials, Signer},
};

/// Credentials that sign calls of one service in one region.
pub(super) struct Sigv4 {
    pub(super) identity: Arc<Identity>,
    pub(super) role: Option<Arc<RoleArn>>,
    pub(super) region: Arc<str>,
    pub(super) service: &'static str,
}

impl Credentials for Sigv4 {
    async fn headers(&self, _: &Context) -> Result<HeaderMap> {
        Ok(HeaderMap::new())
    }

    async fn signer(&self, cx: &Context) -> Result<Option<Arc<dyn Signer>>> {
        let keys = self.identity.keys(cx, self.role.as_deref()).await?;
        Ok(Some(Arc::new(KeySigner {
            keys,
            region: Arc::clone(&self.region),
            service: self.service,
        })))
    }

    async fn rejected(&self, cx: &Context, headers: &HeaderMap) {
        if let Some(id) = access_key_id(headers) {
            self.identity.reject(cx, self.role.as_deref(), id).await;
        }
    }
}
