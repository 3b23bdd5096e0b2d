//! Credentials for the vendor's API.

use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, header};
use secrecy::{ExposeSecret as _, SecretString};
use server_core::{
    Error, Kind, Result,
    token_file::{TokenFile, flaw},
};

use crate::context::Context;

/// Signs calls to the vendor's API.
pub trait Credentials: Send + Sync + 'static {
    /// The headers that sign a call made for `cx`. The identity may depend on the secrets of `cx`.
    ///
    /// # Errors
    /// The reason why the call cannot be signed; it is then not made.
    fn headers(&self, cx: &Context) -> impl Future<Output = Result<HeaderMap>> + Send;

    /// Called when the vendor responded with 401 to `headers`, made for `cx`: do not return them again.
    /// The call is repeated once.
    fn rejected(&self, cx: &Context, headers: &HeaderMap) -> impl Future<Output = ()> + Send {
        let _ = (cx, headers);
        std::future::ready(())
    }
}

/// [`Credentials`] as a dyn-compatible trait.
pub(super) trait DynCredentials: Send + Sync {
    fn headers<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<HeaderMap>>;
    fn rejected<'a>(&'a self, cx: &'a Context, headers: &'a HeaderMap) -> BoxFuture<'a, ()>;
}

impl<C: Credentials> DynCredentials for C {
    fn headers<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<HeaderMap>> {
        Box::pin(Credentials::headers(self, cx))
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
