//! Who the service is to Google, by Google's own library.

use std::{sync::Arc, time::Duration};

use google_cloud_auth::{
    credentials::{
        Builder as DefaultBuilder, CacheableResource, Credentials as GoogleCredentials,
        impersonated, service_account,
    },
    errors::CredentialsError,
};
use moka::{policy::EvictionPolicy, sync::Cache};
use plugin_core::{
    Context, Error, Fingerprint, Kind, Result,
    context::AuthorSecret,
    http::{Extensions, HeaderMap},
    secrecy::{ExposeSecret as _, SecretString},
    serde_json::{self, Value as Json},
    upstream::Credentials,
};
use tokio::time::Instant;

/// The secret that holds a service account's key: Flyte 2's name for it.
pub(crate) const KEY_SECRET: &str = "google_application_credentials";
const SCOPE: &str = "https://www.googleapis.com/auth/bigquery";
/// Where keys of service accounts say that tokens come from, now and formerly.
const GOOGLES_TOKEN_URIS: [&str; 2] =
    ["https://oauth2.googleapis.com/token", "https://accounts.google.com/o/oauth2/token"];
/// What IAM wants of an identity that acts as another.
const IMPERSONATOR_SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// How many identities are kept ready, and how long an unused one.
const MAX_IDENTITIES: u64 = 1000;
const IDLE: Duration = Duration::from_secs(3600);
/// How old credentials must be before they are made anew because Google refused them.
const RENEW_AFTER: Duration = Duration::from_secs(30);

/// The key to sign in with, if not as the service: the one that the job's author chose, else one that
/// the operator provides.
///
/// # Errors
/// `FailedPrecondition`, with the places searched, when the chosen one is missing.
pub(crate) async fn key(
    cx: &Context,
    chosen: Option<&AuthorSecret>,
) -> Result<Option<SecretString>> {
    match chosen {
        Some(secret) => secret.get(cx, KEY_SECRET).await.map(Some),
        None => cx.find_secret(KEY_SECRET).await,
    }
}

/// Google identities: a key from the task's secrets where there is one, else the service's own,
/// found as Google's libraries find it (key file, metadata server, external account, …).
pub(crate) struct Google {
    impersonate: Option<String>,
    /// Google's library keeps a fresh token in each.
    identities: Cache<Identity, Made>,
}

/// Whose credentials: those of a key, or none for the service's own.
type Identity = Option<Fingerprint>;

#[derive(Clone)]
struct Made {
    credentials: GoogleCredentials,
    at: Instant,
}

impl Google {
    /// # Errors
    /// `FailedPrecondition` when the service's own credentials are there and of no use.
    pub(crate) fn new(impersonate: Option<String>) -> Result<Self> {
        let identities = Cache::builder()
            .max_capacity(MAX_IDENTITIES)
            .eviction_policy(EvictionPolicy::lru())
            .time_to_idle(IDLE)
            .build();
        let this = Self { impersonate, identities };
        this.made(None)?;
        Ok(this)
    }

    fn made(&self, key: Option<&SecretString>) -> Result<Made> {
        let make = || {
            let credentials = match key {
                Some(key) => from_key(key)?,
                None => self.own()?,
            };
            Ok(Made { credentials, at: Instant::now() })
        };
        let made = self.identities.try_get_with(identity(key), make);
        made.map_err(|error: Arc<Error>| Error::clone(&error))
    }

    fn own(&self) -> Result<GoogleCredentials> {
        let unusable = |error| {
            let message = "the service's Google credentials cannot be used";
            Error::new(Kind::FailedPrecondition, message).with_source(error)
        };
        let from_environment =
            |scope| DefaultBuilder::default().with_scopes([scope]).build().map_err(unusable);
        let Some(email) = &self.impersonate else { return from_environment(SCOPE) };
        impersonated::Builder::from_source_credentials(from_environment(IMPERSONATOR_SCOPE)?)
            .with_target_principal(email)
            .with_scopes([SCOPE])
            .build()
            .map_err(unusable)
    }

    /// Google's library gives up on credentials that failed for good, so they are made anew; not for
    /// every refused call, because the reason may be the rights and not the token.
    fn renew(&self, key: Option<&SecretString>) {
        let identity = identity(key);
        if self.identities.get(&identity).is_some_and(|made| made.at.elapsed() >= RENEW_AFTER) {
            self.identities.invalidate(&identity);
        }
    }
}

fn identity(key: Option<&SecretString>) -> Identity {
    key.map(|key| Fingerprint::of(&[key.expose_secret()]))
}

/// Only service account keys: other kinds of credentials name hosts to send tokens to, and hosts come
/// from the operator alone. A key's tokens are signed here, without a call to anyone.
fn from_key(key: &SecretString) -> Result<GoogleCredentials> {
    let unusable =
        |why: &str| Error::new(Kind::FailedPrecondition, format!("secret {KEY_SECRET}: {why}"));
    let json: Json =
        serde_json::from_str(key.expose_secret()).map_err(|_| unusable("is not JSON"))?;
    if json["type"] != "service_account" {
        return Err(unusable("must be the key of a service account"));
    }
    // It is not called, because tokens are signed here; but a key that names another host is not what
    // its author thinks it is.
    if json["token_uri"].as_str().is_some_and(|uri| !GOOGLES_TOKEN_URIS.contains(&uri)) {
        return Err(unusable("token_uri must be Google's, https://oauth2.googleapis.com/token"));
    }
    service_account::Builder::new(json)
        .with_access_specifier(service_account::AccessSpecifier::from_scopes([SCOPE]))
        .build()
        .map_err(|error| unusable("is not a valid service account key").with_source(error))
}

/// Who a job's calls are made as.
pub(crate) struct Signer {
    pub(crate) google: Arc<Google>,
    /// The secret with the key that the job's author chose.
    pub(crate) key: Option<AuthorSecret>,
}

impl Credentials for Signer {
    async fn headers(&self, cx: &Context) -> Result<HeaderMap> {
        let key = key(cx, self.key.as_ref()).await?;
        match self.google.made(key.as_ref())?.credentials.headers(Extensions::new()).await {
            Ok(CacheableResource::New { data, .. }) => Ok(data),
            Ok(CacheableResource::NotModified) => Err(Error::internal("no headers were asked for")),
            Err(error) => {
                if !error.is_transient() {
                    self.google.renew(key.as_ref());
                }
                Err(no_token(error, key.is_some()))
            }
        }
    }

    async fn rejected(&self, cx: &Context, _: &HeaderMap) {
        if let Ok(key) = key(cx, self.key.as_ref()).await {
            self.google.renew(key.as_ref());
        }
    }
}

/// A key that makes no token is its author's to mend; the service's own trouble is not.
fn no_token(error: CredentialsError, from_key: bool) -> Error {
    if from_key && !error.is_transient() {
        let message = format!("secret {KEY_SECRET}: no access token can be made with this key");
        return Error::new(Kind::FailedPrecondition, message).with_source(error);
    }
    Error::unavailable("the service has no access token from Google").with_source(error)
}
