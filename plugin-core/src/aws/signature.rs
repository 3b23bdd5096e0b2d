//! SigV4: the signature of a request, made by AWS's own library.

use std::{sync::Arc, time::SystemTime};

use aws_credential_types::Credentials as Signed;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use secrecy::{ExposeSecret as _, SecretString};
use server_core::{Error, Result};

use super::{
    identity::{Identity, Keys},
    role::RoleArn,
};
use crate::{
    context::Context,
    upstream::{Credentials, Outgoing, Signer},
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

/// The id of the keys that made the signature in `headers`: `… Credential=<id>/<date>/…`.
fn access_key_id(headers: &HeaderMap) -> Option<&str> {
    let authorization = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    authorization.split_once("Credential=")?.1.split('/').next()
}

/// Signs with keys that were fetched before.
pub(super) struct KeySigner {
    pub(super) keys: Arc<Keys>,
    pub(super) region: Arc<str>,
    pub(super) service: &'static str,
}

impl Signer for KeySigner {
    fn sign(&self, request: &Outgoing<'_>) -> Result<HeaderMap> {
        let at = Scope { region: &self.region, service: self.service, time: SystemTime::now() };
        sigv4(request, &self.keys, at, SigningSettings::default())
    }

    fn key_id(&self) -> &str {
        &self.keys.id
    }

    fn secrets(&self) -> Vec<SecretString> {
        [&self.keys.secret].into_iter().chain(&self.keys.session).cloned().collect()
    }
}

/// What a signature is good for.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) region: &'a str,
    pub(super) service: &'a str,
    pub(super) time: SystemTime,
}

/// The headers that sign `request`.
pub(super) fn sigv4(
    request: &Outgoing<'_>,
    keys: &Keys,
    scope: Scope<'_>,
    settings: SigningSettings,
) -> Result<HeaderMap> {
    let session = keys.session.as_ref().map(|token| token.expose_secret().to_owned());
    let secret = keys.secret.expose_secret();
    let identity = Signed::new(keys.id.as_str(), secret, session, None, "outrigger").into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(scope.region)
        .name(scope.service)
        .time(scope.time)
        .settings(settings)
        .build()
        .map_err(Error::internal)?;
    let mut headers = Vec::with_capacity(request.headers.len());
    for (name, value) in request.headers {
        headers.push((name.as_str(), value.to_str().map_err(Error::internal)?));
    }
    let (method, url, body) = (request.method.as_str(), request.url.as_str(), request.body);
    let body = SignableBody::Bytes(body);
    let signable = SignableRequest::new(method, url, headers.into_iter(), body);
    let signable = signable.map_err(Error::internal)?;
    let (instructions, _) = sign(signable, &params.into()).map_err(Error::internal)?.into_parts();
    let (signed, _) = instructions.into_parts();
    let mut headers = HeaderMap::with_capacity(signed.len());
    for signed in signed {
        let mut value = HeaderValue::from_str(signed.value()).map_err(Error::internal)?;
        let name = HeaderName::from_static(signed.name());
        value.set_sensitive(signed.sensitive() || name == header::AUTHORIZATION);
        headers.insert(name, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests;
