//! Roles that the service's identity, or the keys in secrets, assume: STS's AssumeRole.

use std::{sync::Arc, time::SystemTime};

use futures_util::{FutureExt as _, future::BoxFuture};
use http::HeaderMap;
use jiff::Timestamp;
use serde::Deserialize;
use server_core::{Error, Kind, Result};

use super::{Identity, Issued, KeySource, secrets};
use crate::{
    aws::{
        keys::Keys,
        refusal,
        role::RoleArn,
        settings::Settings,
        signature::{KeySigner, access_key_id},
    },
    context::Context,
    upstream::{Credentials as Signing, Http, HttpBuilder, Signer},
};

/// STS in the default region, and what is sent with each role.
pub(super) struct Sts {
    pub(super) http: Http,
    region: Arc<str>,
    session_name: String,
    external_id: Option<String>,
}

impl Sts {
    /// # Errors
    /// `InvalidArgument` when its endpoint is.
    pub(super) fn new(settings: &Settings, http: &HttpBuilder) -> Result<Self> {
        let http = http.clone().for_credentials(false);
        let http = http.failures_with(|status, headers, body| {
            refusal::read_failure(status, headers, body, |_| None, |_| false)
        });
        Ok(Self {
            http: http.build(&settings.endpoints()?.sts(&settings.region))?,
            region: settings.region.name().into(),
            session_name: settings.roles.role_session_name.clone(),
            external_id: settings.roles.external_id.clone(),
        })
    }
}

/// Assumes `role`.
pub(super) struct AssumeRole {
    pub(super) identity: Arc<Identity>,
    pub(super) role: RoleArn,
}

impl KeySource for AssumeRole {
    fn name(&self) -> &'static str {
        "assume_role"
    }

    fn issue<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Issued>> {
        self.assume(cx).boxed()
    }
}

impl AssumeRole {
    async fn assume(&self, cx: &Context) -> Result<Issued> {
        let sts = &self.identity.sts;
        let mut form = vec![
            ("Action", "AssumeRole"),
            ("Version", "2011-06-15"),
            ("RoleArn", self.role.as_str()),
            ("RoleSessionName", &sts.session_name),
        ];
        form.extend(sts.external_id.as_deref().map(|id| ("ExternalId", id)));
        let http = sts.http.signed_by(Own(Arc::clone(&self.identity)));
        let request = http.post::<&str>(&[]).form(&form).idempotent().for_token();
        let response = request.send(cx).await.map_err(|error| self.refused(cx, error))?;
        let text = String::from_utf8_lossy(&response.body);
        let answer = quick_xml::de::from_str::<Answer>(&text);
        // Not the parser's error: it may quote the keys.
        let answer =
            answer.map_err(|_| Error::unavailable("STS's answer is not the expected XML"))?;
        answer.result.credentials.issued()
    }

    /// It is about the identity, never about the job.
    fn refused(&self, cx: &Context, error: Error) -> Error {
        // Those that assume the role were not obtained, or are refused. A task that names a role did not choose
        // them, unless it brings its own.
        let is_about_keys = !error.is_upstream() || error.kind() == Kind::Unauthenticated;
        let kind = match error.kind() {
            kind if kind.is_transient() => kind,
            _ if is_about_keys && !secrets::are_authors(cx) => Kind::Unavailable,
            _ => Kind::FailedPrecondition,
        };
        let message = format!("the role {} cannot be assumed: {error}", self.role);
        let code = error.code().map(str::to_owned);
        let refused = Error::new(kind, message).with_source(error).upstream().about_credentials();
        code.into_iter().fold(refused, Error::with_code)
    }
}

/// Signs calls of STS with the keys that assume a role.
struct Own(Arc<Identity>);

impl Signing for Own {
    async fn headers(&self, _: &Context) -> Result<HeaderMap> {
        Ok(HeaderMap::new())
    }

    async fn signer(&self, cx: &Context) -> Result<Option<Arc<dyn Signer>>> {
        let keys = self.0.keys(cx, None).await?;
        let region = Arc::clone(&self.0.sts.region);
        Ok(Some(Arc::new(KeySigner { keys, region, service: "sts" })))
    }

    async fn rejected(&self, cx: &Context, headers: &HeaderMap) {
        if let Some(id) = access_key_id(headers) {
            self.0.reject(cx, None, id).await;
        }
    }
}

/// The answer of AssumeRole (STS API reference).
#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "AssumeRoleResult")]
    result: Assumed,
}

#[derive(Deserialize)]
struct Assumed {
    #[serde(rename = "Credentials")]
    credentials: Credentials,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Credentials {
    access_key_id: String,
    secret_access_key: String,
    session_token: String,
    expiration: String,
}

impl Credentials {
    fn issued(self) -> Result<Issued> {
        let expires_at = self.expiration.parse::<Timestamp>().map(SystemTime::from);
        let expires_at =
            expires_at.map_err(|_| Error::unavailable("STS's answer has no expiration"))?;
        let keys = Keys {
            id: self.access_key_id,
            secret: self.secret_access_key.into(),
            session: Some(self.session_token.into()),
        };
        match keys.unusable() {
            None => Ok(Issued { keys, expires_at: Some(expires_at) }),
            Some(part) => Err(Error::unavailable(format!("{part} in STS's answer cannot be used"))),
        }
    }
}
