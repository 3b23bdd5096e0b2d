//! Credentials for the vendor's API.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Method, header};
use secrecy::{ExposeSecret as _, SecretString};
use server_core::{
    Error, Kind, Result,
    token_file::{TokenFile, flaw},
};
use url::Url;

use crate::context::Context;

/// Signs calls to the vendor's API.
///
/// Most vendors want a header that does not depend on the request: implement [`headers`](Self::headers). A
/// vendor that wants a signature of the request itself gets one from [`signer`](Self::signer).
///
/// Both are called for each attempt, before it waits for its turn, because what they fetch may come from the
/// same host.
pub trait Credentials: Send + Sync + 'static {
    /// The headers that sign a call made for `cx`. The identity may depend on the secrets of `cx`.
    ///
    /// # Errors
    /// The reason why the call cannot be signed; it is then not made.
    fn headers(&self, cx: &Context) -> impl Future<Output = Result<HeaderMap>> + Send;

    /// What signs the request itself, with the keys for `cx`; by default nothing does. Fetch the keys here:
    /// the signer is called after the attempt has got its turn, and must not wait.
    ///
    /// # Errors
    /// The reason why the call cannot be signed; it is then not made.
    fn signer(&self, cx: &Context) -> impl Future<Output = Result<Option<Arc<dyn Signer>>>> + Send {
        let _ = cx;
        std::future::ready(Ok(None))
    }

    /// Called when the vendor responded with 401 to `headers`, made for `cx`, those of the signer among them:
    /// do not use what made them again. The call is repeated once.
    fn rejected(&self, cx: &Context, headers: &HeaderMap) -> impl Future<Output = ()> + Send {
        let _ = (cx, headers);
        std::future::ready(())
    }
}

/// Signs requests with keys that were fetched before.
///
/// ```
/// use plugin_core::{
///     Result,
///     http::{HeaderMap, HeaderName, HeaderValue},
///     secrecy::SecretString,
///     upstream::{Outgoing, Signer},
/// };
/// # fn mac(key: &SecretString, method: &str, path: &str, body: &[u8]) -> String { String::new() }
///
/// struct Acme {
///     key_id: String,
///     key: SecretString,
/// }
///
/// impl Signer for Acme {
///     fn sign(&self, request: &Outgoing<'_>) -> Result<HeaderMap> {
///         let mac = mac(&self.key, request.method.as_str(), request.url.path(), request.body);
///         let value = HeaderValue::from_str(&mac).map_err(plugin_core::Error::internal)?;
///         Ok(HeaderMap::from_iter([(HeaderName::from_static("x-acme-signature"), value)]))
///     }
///
///     fn key_id(&self) -> &str {
///         &self.key_id
///     }
///
///     fn secrets(&self) -> Vec<SecretString> {
///         vec![self.key.clone()]
///     }
/// }
/// ```
pub trait Signer: Send + Sync + 'static {
    /// The headers that sign `request`, which is sent at once. Each attempt is signed anew, after its wait.
    ///
    /// # Errors
    /// The reason why it cannot be signed; it is then not sent.
    fn sign(&self, request: &Outgoing<'_>) -> Result<HeaderMap>;

    /// Tells the keys from others without being secret, for example their id. A vendor that refused them
    /// gets the call again with the same keys only within the budget for retries.
    fn key_id(&self) -> &str;

    /// The secrets among the keys, which are masked in whatever the vendor says. Sensitive values of the
    /// headers are masked as well.
    fn secrets(&self) -> Vec<SecretString>;
}

/// A request as it is about to be sent.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Outgoing<'a> {
    /// The method.
    pub method: &'a Method,
    /// The URL with its query, percent-encoded as it is sent.
    pub url: &'a Url,
    /// The headers, those of [`Credentials::headers`] among them; neither `Host`, which follows from the URL,
    /// nor those of the connection and of traces.
    pub headers: &'a HeaderMap,
    /// The body; empty without one.
    pub body: &'a [u8],
}

impl<'a> Outgoing<'a> {
    /// The request of these parts.
    #[must_use]
    pub fn new(method: &'a Method, url: &'a Url, headers: &'a HeaderMap, body: &'a [u8]) -> Self {
        Self { method, url, headers, body }
    }
}

/// What signs one attempt.
#[derive(Default, Clone)]
pub(super) struct Signature {
    /// Those of the credentials, later also those of the signer.
    pub(super) headers: HeaderMap,
    pub(super) signer: Option<Arc<dyn Signer>>,
}

impl Signature {
    /// Whether it is made with the same secrets as `other`.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        match (&self.signer, &other.signer) {
            (Some(this), Some(other)) => this.key_id() == other.key_id(),
            (None, None) => self.headers == other.headers,
            _ => false,
        }
    }
}

/// [`Credentials`] as a dyn-compatible trait.
pub(super) trait DynCredentials: Send + Sync {
    fn signature<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Signature>>;
    fn rejected<'a>(&'a self, cx: &'a Context, headers: &'a HeaderMap) -> BoxFuture<'a, ()>;
}

impl<C: Credentials> DynCredentials for C {
    fn signature<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Signature>> {
        Box::pin(async move {
            let headers = Credentials::headers(self, cx).await?;
            Ok(Signature { headers, signer: Credentials::signer(self, cx).await? })
        })
    }

    fn rejected<'a>(&'a self, cx: &'a Context, headers: &'a HeaderMap) -> BoxFuture<'a, ()> {
        Box::pin(Credentials::rejected(self, cx, headers))
    }
}

/// [`Credentials`] that send a secret in the `Authorization` header.
///
/// ```
/// use plugin_core::{Http, HttpBuilder, Result, upstream::SecretToken};
///
/// /// Sends `Authorization: Token <secret>`, as dbt Cloud expects it.
/// fn client(http: HttpBuilder) -> Result<Http> {
///     http.credentials(SecretToken::new("dbt_token").scheme("Token"))
///         .build("https://cloud.getdbt.com/api/v2")
/// }
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct SecretToken {
    name: String,
    scheme: &'static str,
}

impl SecretToken {
    /// Sends the secret `name`, looked up by [`Context::secret`], as `Bearer <secret>`.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), scheme: BEARER }
    }

    /// Sends the secret as `<scheme> <secret>` instead.
    pub fn scheme(mut self, scheme: &'static str) -> Self {
        self.scheme = scheme;
        self
    }
}

impl Credentials for SecretToken {
    async fn headers(&self, cx: &Context) -> Result<HeaderMap> {
        let token = cx.secret(&self.name).await?;
        let value = secret_header(self.scheme, &self.name, &token)?;
        Ok(HeaderMap::from_iter([(header::AUTHORIZATION, value)]))
    }

    /// Lets the next call read a changed secret.
    async fn rejected(&self, cx: &Context, _: &HeaderMap) {
        cx.forget_secret(&self.name);
    }
}

/// Sends the token in the file as `Bearer <token>`. The file is read for each call.
impl Credentials for TokenFile {
    async fn headers(&self, _: &Context) -> Result<HeaderMap> {
        let token = self.read_for_call().await?;
        Ok(HeaderMap::from_iter([(header::AUTHORIZATION, bearer(&token)?)]))
    }
}

const BEARER: &str = "Bearer";

/// The value `Bearer <token>` of an `Authorization` header, marked as sensitive so that it is not printed.
///
/// # Errors
/// Those of [`authorization`].
pub fn bearer(token: &SecretString) -> Result<HeaderValue> {
    authorization(BEARER, token)
}

/// [`bearer`], for the secret `name`.
///
/// # Errors
/// As [`authorization`]; the message names the secret.
pub fn secret_bearer(name: &str, token: &SecretString) -> Result<HeaderValue> {
    secret_header(BEARER, name, token)
}

/// The value `<scheme> <token>` of an `Authorization` header, marked as sensitive so that it is not printed.
///
/// # Errors
/// `FailedPrecondition` when the token is empty, longer than 16 KiB, or not visible ASCII: no call can be made
/// with it.
pub fn authorization(scheme: &str, token: &SecretString) -> Result<HeaderValue> {
    header_of("the access token", scheme, token)
}

fn secret_header(scheme: &str, name: &str, token: &SecretString) -> Result<HeaderValue> {
    header_of(&format!("secret {name}"), scheme, token)
}

fn header_of(subject: &str, scheme: &str, token: &SecretString) -> Result<HeaderValue> {
    let unusable = |flaw| Error::new(Kind::FailedPrecondition, format!("{subject} {flaw}"));
    if let Some(flaw) = flaw(token.expose_secret()) {
        return Err(unusable(flaw));
    }
    let value = HeaderValue::from_str(&format!("{scheme} {}", token.expose_secret()));
    let mut value = value.map_err(Error::internal)?;
    value.set_sensitive(true);
    Ok(value)
}
