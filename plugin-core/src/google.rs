//! Google credentials, obtained through Google's own library: what services of Google's APIs sign in with.
//!
//! ```
//! use std::sync::Arc;
//!
//! use plugin_core::{
//!     Http, HttpBuilder, Result,
//!     google::{CLOUD_PLATFORM, Google, Signer},
//! };
//!
//! /// For `Plugin::new`.
//! fn client(http: HttpBuilder) -> Result<Http> {
//!     let google = Arc::new(Google::new(&http, None, vec![CLOUD_PLATFORM.to_owned()])?);
//!     http.credentials(Signer::new(google, None)).build("https://acme.googleapis.com/v1")
//! }
//! ```

mod metadata;
mod own;

use std::{sync::Arc, time::Duration};

use google_cloud_auth::{
    build_errors::Error as BuildError,
    credentials::{
        Builder as DefaultBuilder, CacheableResource, Credentials as GoogleCredentials,
        impersonated, service_account,
    },
    errors::CredentialsError,
};
use http::{Extensions, HeaderMap};
use moka::{policy::EvictionPolicy, sync::Cache};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value as Json;
use server_core::{Error, Kind, Result, digest::Fingerprint};
use tokio::time::Instant;

use self::{metadata::MetadataServer, own::Own};
use crate::{
    context::{AuthorSecret, Context},
    upstream::{CachedTokens, Credentials, HttpBuilder, TokenCache},
};

/// The secret with a service account key: Flyte 2's name for it.
pub const KEY_SECRET: &str = "google_application_credentials";
/// The scope of Google's own client, and so of Flyte's connector. A narrower one keeps queries from files in
/// Cloud Storage, although the identity may read them.
pub const CLOUD_PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";
/// The token URIs in service account keys, current and former.
const GOOGLES_TOKEN_URIS: [&str; 2] =
    ["https://oauth2.googleapis.com/token", "https://accounts.google.com/o/oauth2/token"];
/// The credentials of how many keys are cached, and for how long unused ones.
const MAX_KEYS: u64 = 1000;
const IDLE: Duration = Duration::from_secs(3600);
/// How old credentials must be before they are rebuilt because Google rejected them.
const RENEW_AFTER: Duration = Duration::from_secs(30);
/// What callers see when the service's own credentials fail.
const NO_TOKEN: &str = "the service could not obtain an access token from Google";

/// The key to sign in with, if not as the service: the one that the job's author chose, else one that
/// the operator provides.
///
/// # Errors
/// `FailedPrecondition`, with the sources searched, when the chosen one is missing.
pub async fn key(cx: &Context, chosen: Option<&AuthorSecret>) -> Result<Option<SecretString>> {
    match chosen {
        Some(secret) => secret.get(cx, KEY_SECRET).await.map(Some),
        None => cx.find_secret(KEY_SECRET).await,
    }
}

/// Google identities: a key from the task's secrets if there is one, else the service's own
/// credentials, found as Google's libraries find them (key file, metadata server, external account, …).
pub struct Google {
    /// What access tokens may be used for.
    scopes: Vec<String>,
    /// The service's own credentials.
    own: ServiceIdentity,
    keys: Cache<Fingerprint, Key>,
}

/// The service's own credentials.
enum ServiceIdentity {
    /// Those of Google Cloud's metadata server.
    Metadata(CachedTokens<MetadataServer>),
    /// All others.
    Library(Arc<Own>),
}

/// The credentials of a key, in which Google's library keeps a fresh token.
#[derive(Clone)]
struct Key {
    credentials: GoogleCredentials,
    at: Instant,
}

impl Google {
    /// The identities of a service, whose own one impersonates the service account `impersonate`, if there is one. `scopes` are
    /// what access tokens may be used for. `http` builds the client of Google Cloud's metadata server.
    ///
    /// # Errors
    /// `FailedPrecondition` when the service's own credentials exist but cannot be used; `InvalidArgument` when
    /// `GCE_METADATA_HOST` is not a host.
    pub fn new(
        http: &HttpBuilder,
        impersonate: Option<String>,
        scopes: Vec<String>,
    ) -> Result<Self> {
        let keys = Cache::builder()
            .max_capacity(MAX_KEYS)
            .eviction_policy(EvictionPolicy::lru())
            .time_to_idle(IDLE)
            .build();
        let own = ServiceIdentity::find(http, impersonate, &scopes)?;
        Ok(Self { scopes, own, keys })
    }

    fn of_key(&self, key: &SecretString) -> Result<GoogleCredentials> {
        let build = || Ok(Key { credentials: from_key(key, &self.scopes)?, at: Instant::now() });
        let cached = self.keys.try_get_with(fingerprint(key), build);
        cached.map(|key| key.credentials).map_err(|error: Arc<Error>| Error::clone(&error))
    }

    /// Google's library gives up on credentials that failed permanently, so they are rebuilt; but not for
    /// every rejected call, because the cause may be permissions and not the token.
    fn renew(&self, key: &SecretString) {
        let key = fingerprint(key);
        if self.keys.get(&key).is_some_and(|cached| cached.at.elapsed() >= RENEW_AFTER) {
            self.keys.invalidate(&key);
        }
    }
}

impl ServiceIdentity {
    fn find(http: &HttpBuilder, impersonate: Option<String>, scopes: &[String]) -> Result<Self> {
        let own = match impersonate {
            Some(email) => impersonating(email, scopes.to_vec())?,
            None => match metadata::found(http, scopes)? {
                Some(server) => {
                    return Ok(Self::Metadata(TokenCache::default().with(server)));
                }
                None => {
                    let scopes = scopes.to_vec();
                    Own::new(move || from_environment(&scopes))?
                }
            },
        };
        Ok(Self::Library(Arc::new(own)))
    }

    async fn headers(&self, cx: &Context) -> Result<HeaderMap> {
        match self {
            Self::Metadata(server) => server.headers(cx).await,
            Self::Library(own) => own.headers().await,
        }
    }

    async fn rejected(&self, cx: &Context, headers: &HeaderMap) {
        match self {
            Self::Metadata(server) => server.rejected(cx, headers).await,
            Self::Library(own) => own.renew(),
        }
    }
}

fn impersonating(email: String, scopes: Vec<String>) -> Result<Own> {
    // Its token outlives the credentials that are built while IAM hangs. IAM requires this scope of an
    // identity that impersonates another.
    let source = Arc::new(Own::new(|| from_environment(&[CLOUD_PLATFORM.to_owned()]))?);
    let signed = source.credentials();
    let own = Own::new(move || {
        impersonated::Builder::from_source_credentials(signed.clone())
            .with_target_principal(&email)
            .with_scopes(scopes.iter().map(String::as_str))
            .build()
            .map_err(unusable)
    })?;
    Ok(own.obtained_with(source))
}

fn fingerprint(key: &SecretString) -> Fingerprint {
    Fingerprint::of(&[key.expose_secret()])
}

fn from_environment(scopes: &[String]) -> Result<GoogleCredentials> {
    let scopes = scopes.iter().map(String::as_str);
    DefaultBuilder::default().with_scopes(scopes).build().map_err(unusable)
}

fn unusable(error: BuildError) -> Error {
    let message = "the service's Google credentials cannot be used";
    Error::new(Kind::FailedPrecondition, message).with_source(error)
}

/// Only service account keys: other kinds of credentials name hosts to send tokens to, which only the
/// operator may do. A key's tokens are signed locally, without a request.
fn from_key(key: &SecretString, scopes: &[String]) -> Result<GoogleCredentials> {
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
    let scopes = service_account::AccessSpecifier::from_scopes(scopes.iter().map(String::as_str));
    service_account::Builder::new(json)
        .with_access_specifier(scopes)
        .build()
        .map_err(|error| unusable("is not a valid service account key").with_source(error))
}

/// Reads a scope, in the characters of RFC 6749 §3.3.
///
/// # Errors
/// What is wrong with it.
pub fn scope(text: &str) -> Result<String, String> {
    let scope = text.trim();
    let allowed = |c: char| c.is_ascii_graphic() && c != '"' && c != '\\';
    if scope.is_empty() || !scope.chars().all(allowed) {
        return Err(format!("{text:?} is not a scope such as {CLOUD_PLATFORM}"));
    }
    Ok(scope.to_owned())
}

/// The credentials of a job's calls.
pub struct Signer {
    google: Arc<Google>,
    key: Option<AuthorSecret>,
}

impl Signer {
    /// Signs with an identity of `google`: that of `key`, the secret with the key that the job's author chose; else of the
    /// operator's secret [`KEY_SECRET`], else the service's own.
    #[must_use]
    pub fn new(google: Arc<Google>, key: Option<AuthorSecret>) -> Self {
        Self { google, key }
    }
}

impl Credentials for Signer {
    async fn headers(&self, cx: &Context) -> Result<HeaderMap> {
        let key = key(cx, self.key.as_ref()).await?;
        let Some(key) = key else { return self.google.own.headers(cx).await };
        let credentials = self.google.of_key(&key)?;
        headers_of(&credentials).await.map_err(|error| {
            if !error.is_transient() {
                self.google.renew(&key);
            }
            no_token(error, true)
        })
    }

    async fn rejected(&self, cx: &Context, headers: &HeaderMap) {
        match key(cx, self.key.as_ref()).await {
            Ok(Some(key)) => self.google.renew(&key),
            Ok(None) => self.google.own.rejected(cx, headers).await,
            Err(_) => {}
        }
    }
}

async fn headers_of(credentials: &GoogleCredentials) -> Result<HeaderMap, CredentialsError> {
    match credentials.headers(Extensions::new()).await? {
        CacheableResource::New { data, .. } => Ok(data),
        CacheableResource::NotModified => Err(CredentialsError::from_msg(false, "no headers")),
    }
}

/// An unusable key is its author's to fix; a failure of the service's own credentials is not.
fn no_token(error: CredentialsError, from_key: bool) -> Error {
    if from_key && !error.is_transient() {
        let message = format!("secret {KEY_SECRET}: no access token can be obtained with this key");
        return Error::new(Kind::FailedPrecondition, message).with_source(error);
    }
    Error::unavailable(NO_TOKEN).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_trimmed_and_checked() {
        assert_eq!(
            scope(" https://www.googleapis.com/auth/drive "),
            Ok("https://www.googleapis.com/auth/drive".to_owned())
        );
        for invalid in ["", " ", "a b", "a\"", "ä", "a\nb"] {
            assert!(scope(invalid).is_err(), "{invalid:?}");
        }
    }
}
