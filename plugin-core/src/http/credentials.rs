//! Who the service is to the vendor.

use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, header};
use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    context::Context,
    error::{Error, Result},
};

/// Signs calls to the vendor.
pub trait Credentials: Send + Sync + 'static {
    /// The headers that sign a call made for `cx`, whose secrets may choose the identity.
    ///
    /// # Errors
    /// Whatever keeps it from signing; the call is then not made.
    fn headers(&self, cx: &Context) -> impl Future<Output = Result<HeaderMap>> + Send;

    /// The vendor answered 401 to `headers`, made for `cx`: do not give them again. The call is
    /// repeated once.
    fn rejected(&self, cx: &Context, headers: &HeaderMap) -> impl Future<Output = ()> + Send {
        let _ = (cx, headers);
        std::future::ready(())
    }
}

/// The dyn twin of [`Credentials`].
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

/// [`Credentials`] that send a secret as bearer token.
#[derive(Debug, Clone)]
pub struct SecretToken(String);

impl SecretToken {
    /// The token in the secret `name`, wherever [`Context::secret`] finds it.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }
}

impl Credentials for SecretToken {
    async fn headers(&self, cx: &Context) -> Result<HeaderMap> {
        let token = cx.secret(&self.0).await?;
        let value = bearer(&token)?;
        Ok(HeaderMap::from_iter([(header::AUTHORIZATION, value)]))
    }

    /// A secret that changed is found by the next call.
    async fn rejected(&self, cx: &Context, _: &HeaderMap) {
        cx.forget_secret(&self.0);
    }
}

/// `Bearer <token>`, marked so that nothing prints it.
///
/// # Errors
/// `Unavailable` when the token has characters that no header may have.
pub fn bearer(token: &SecretString) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()))
        .map_err(|_| Error::unavailable("the access token is not a valid header value"))?;
    value.set_sensitive(true);
    Ok(value)
}
