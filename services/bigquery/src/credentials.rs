//! Google credentials, obtained through Google's own library.

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

/// The secret with a service account key: Flyte 2's name for it.
pub(crate) const KEY_SECRET: &str = "google_application_credentials";
const SCOPE: &str = "https://www.googleapis.com/auth/bigquery";
/// The token URIs in service account keys, current and former.
const GOOGLES_TOKEN_URIS: [&str; 2] =
    ["https://oauth2.googleapis.com/token", "https://accounts.google.com/o/oauth2/token"];
/// The scope that IAM requires of an identity that impersonates another.
const IMPERSONATOR_SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// How many identities are cached, and for how long an unused one.
const MAX_IDENTITIES: u64 = 1000;
const IDLE: Duration = Duration::from_secs(3600);
/// How old credentials must be before they are rebuilt because Google rejected them.
const RENEW_AFTER: Duration = Duration::from_secs(30);

/// The key to sign in with, if not as the service: the one that the job's author chose, else one that
/// the operator provides.
///
/// # Errors
/// `FailedPrecondition`, with the sources searched, when the chosen one is missing.
pub(crate) async fn key(
    cx: &Context,
    chosen: Option<&AuthorSecret>,
) -> Result<Option<SecretString>> {
    match chosen {
        Some(secret) => secret.get(cx, KEY_SECRET).await.map(Some),
        None => cx.find_secret(KEY_SECRET).await,
    }
}

/// Google identities: a key from the task's secrets if there is one, else the service's own
/// credentials, found as Google's libraries find them (key file, metadata server, external account, …).
pub(crate) struct Google {
    impersonate: Option<String>,
    /// Google's library keeps a fresh token in each.
    identities: Cache<Identity, Cached>,
}

/// Whose credentials: those of a key, or none for the service's own.
type Identity = Option<Fingerprint>;

#[derive(Clone)]
struct Cached {
    credentials: GoogleCredentials,
    at: Instant,
}

impl Google {
    /// # Errors
    /// `FailedPrecondition` when the service's own credentials exist but cannot be used.
    pub(crate) fn new(impersonate: Option<String>) -> Result<Self> {
        let identities = Cache::builder()
            .max_capacity(MAX_IDENTITIES)
            .eviction_policy(EvictionPolicy::lru())
            .time_to_idle(IDLE)
            .build();
        let this = Self { impersonate, identities };
        this.cached(None)?;
        Ok(this)
    }

    fn cached(&self, key: Option<&SecretString>) -> Result<Cached> {
        let build = || {
            let credentials = match key {
                Some(key) => from_key(key)?,
                None => self.own()?,
            };
            Ok(Cached { credentials, at: Instant::now() })
        };
        let cached = self.identities.try_get_with(identity(key), build);
        cached.map_err(|error: Arc<Error>| Error::clone(&error))
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

    /// Google's library gives up on credentials that failed permanently, so they are rebuilt; but not for
    /// every rejected call, because the cause may be permissions and not the token.
    fn renew(&self, key: Option<&SecretString>) {
        let identity = identity(key);
        if self.identities.get(&identity).is_some_and(|cached| cached.at.elapsed() >= RENEW_AFTER) {
            self.identities.invalidate(&identity);
        }
    }
}

fn identity(key: Option<&SecretString>) -> Identity {
    key.map(|key| Fingerprint::of(&[key.expose_secret()]))
}

/// Only service account keys: other kinds of credentials name hosts to send tokens to, which only the
/// operator may do. A key's tokens are signed locally, without a request.
fn from_key(key: &SecretString) -> Result<GoogleCredentials> {
    let unusable =
        |why: &str| Error::new(Kind::FailedPrecondition, format!("secret {KEY_SECRET}: {why}"));
    let json: Json =
        serde_json::from_str(key.expose_secret()).map_err(|_| unusable("is not JSON"))?;
    if json["type"] != "service_account" {
        return Err(unusable("must be a service account key"));
    }
    // It is not called, because tokens are signed locally; but a key that names another host is not
    // what its author believes it to be.
    if json["token_uri"].as_str().is_some_and(|uri| !GOOGLES_TOKEN_URIS.contains(&uri)) {
        return Err(unusable("token_uri must be Google's, https://oauth2.googleapis.com/token"));
    }
    service_account::Builder::new(json)
        .with_access_specifier(service_account::AccessSpecifier::from_scopes([SCOPE]))
        .build()
        .map_err(|error| unusable("is not a valid service account key").with_source(error))
}

/// The credentials of a job's calls.
pub(crate) struct Signer {
    pub(crate) google: Arc<Google>,
    /// The secret with the key that the job's author chose.
    pub(crate) key: Option<AuthorSecret>,
}

impl Credentials for Signer {
    async fn headers(&self, cx: &Context) -> Result<HeaderMap> {
        let key = key(cx, self.key.as_ref()).await?;
        match self.google.cached(key.as_ref())?.credentials.headers(Extensions::new()).await {
            Ok(CacheableResource::New { data, .. }) => Ok(data),
            Ok(CacheableResource::NotModified) => {
                Err(Error::internal("Google's credentials returned no headers"))
            }
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

/// An unusable key is its author's to fix; a failure of the service's own credentials is not.
fn no_token(error: CredentialsError, from_key: bool) -> Error {
    if from_key && !error.is_transient() {
        let message = format!("secret {KEY_SECRET}: no access token can be obtained with this key");
        return Error::new(Kind::FailedPrecondition, message).with_source(error);
    }
    Error::unavailable("the service could not obtain an access token from Google")
        .with_source(error)
}
