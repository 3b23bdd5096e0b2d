//! Who the service is to Google, by Google's own library.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use google_cloud_auth::{
    credentials::{
        Builder as DefaultBuilder, CacheableResource, Credentials as GoogleCredentials,
        impersonated, service_account,
    },
    errors::CredentialsError,
};
use http::{Extensions, HeaderMap};
use moka::sync::Cache;
use plugin_core::{Context, Error, Kind, Result, http::Credentials};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value as Json;

/// The secret that holds a service account's key: Flyte 2's name for it.
pub(crate) const KEY_SECRET: &str = "google_application_credentials";
const SCOPE: &str = "https://www.googleapis.com/auth/bigquery";
/// How many identities are kept ready, and how long an unused one.
const MAX_IDENTITIES: u64 = 1000;
const IDLE: Duration = Duration::from_secs(3600);

/// Google identities: a key from the task's secrets where there is one, else the service's own,
/// found as Google's libraries find it (key file, metadata server, external account, …).
pub(crate) struct Google {
    impersonate: Option<String>,
    /// Google's library keeps a fresh token in each.
    identities: Cache<Identity, GoogleCredentials>,
}

/// Whose credentials: the hash of a key, or none for the service's own.
type Identity = Option<[u8; 32]>;

impl Google {
    pub(crate) fn new(impersonate: Option<String>) -> Self {
        let identities = Cache::builder().max_capacity(MAX_IDENTITIES).time_to_idle(IDLE).build();
        Self { impersonate, identities }
    }

    async fn key(&self, cx: &Context) -> Result<Option<SecretString>> {
        cx.find_secret(KEY_SECRET).await
    }

    fn credentials(&self, key: Option<&SecretString>) -> Result<GoogleCredentials> {
        let identity = identity(key);
        if let Some(known) = self.identities.get(&identity) {
            return Ok(known);
        }
        let made = match key {
            Some(key) => from_key(key)?,
            None => self.own()?,
        };
        self.identities.insert(identity, made.clone());
        Ok(made)
    }

    fn own(&self) -> Result<GoogleCredentials> {
        let unusable = |error| {
            let message = "the service's Google credentials cannot be used";
            Error::new(Kind::FailedPrecondition, message).with_source(error)
        };
        let own = DefaultBuilder::default().with_scopes([SCOPE]).build().map_err(unusable)?;
        let Some(email) = &self.impersonate else { return Ok(own) };
        impersonated::Builder::from_source_credentials(own)
            .with_target_principal(email)
            .with_scopes([SCOPE])
            .build()
            .map_err(unusable)
    }
}

fn identity(key: Option<&SecretString>) -> Identity {
    key.map(|key| {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, key.expose_secret().as_bytes()).as_ref());
        hash
    })
}

/// Only service account keys: other kinds of credentials name hosts to send tokens to, and hosts come
/// from the operator alone. A key's tokens are signed here, without a call to anyone.
fn from_key(key: &SecretString) -> Result<GoogleCredentials> {
    let unusable =
        |why: &str| Error::new(Kind::FailedPrecondition, format!("secret {KEY_SECRET}: {why}"));
    let json: Json =
        serde_json::from_str(key.expose_secret()).map_err(|_| unusable("is no JSON"))?;
    if json["type"] != "service_account" {
        return Err(unusable("must be the key of a service account"));
    }
    service_account::Builder::new(json)
        .with_access_specifier(service_account::AccessSpecifier::from_scopes([SCOPE]))
        .build()
        .map_err(|error| unusable("is no valid service account key").with_source(error))
}

impl Credentials for Google {
    async fn headers(&self, cx: &Context) -> Result<HeaderMap> {
        let key = self.key(cx).await?;
        let credentials = self.credentials(key.as_ref())?;
        match credentials.headers(Extensions::new()).await {
            Ok(CacheableResource::New { data, .. }) => Ok(data),
            Ok(CacheableResource::NotModified) => Err(Error::internal("no headers were asked for")),
            Err(error) => {
                // A permanent failure would be answered from memory for ever.
                self.identities.invalidate(&identity(key.as_ref()));
                Err(no_token(error, key.is_some()))
            }
        }
    }

    async fn rejected(&self, cx: &Context) {
        if let Ok(key) = self.key(cx).await {
            self.identities.invalidate(&identity(key.as_ref()));
        }
    }
}

fn no_token(error: CredentialsError, from_key: bool) -> Error {
    if error.is_transient() {
        return Error::unavailable("no access token from Google").with_source(error);
    }
    let message = match from_key {
        true => format!("secret {KEY_SECRET}: no access token can be made with this key"),
        false => "Google refuses the service an access token".to_owned(),
    };
    Error::new(Kind::FailedPrecondition, message).with_source(error)
}
