//! Who the service is to the vendor.

use futures_util::future::BoxFuture;
use http::HeaderValue;

use crate::{
    context::Context,
    error::{Error, Result},
};

/// The value of an `Authorization` header; `None` sends none.
pub type Authorization = Option<HeaderValue>;

/// Signs calls to the vendor.
pub trait Credentials: Send + Sync + 'static {
    /// The `Authorization` header for a call made for `cx`, whose secrets may choose the identity.
    ///
    /// # Errors
    /// Whatever keeps it from getting one; the call is then not made.
    fn authorization(&self, cx: &Context) -> impl Future<Output = Result<Authorization>> + Send;

    /// The vendor answered 401 to the last header for `cx`: get a fresh one next time.
    ///
    /// The call is repeated once.
    fn rejected(&self, cx: &Context) -> impl Future<Output = ()> + Send;
}

/// The dyn twin of [`Credentials`].
pub(super) trait DynCredentials: Send + Sync {
    fn authorization<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Authorization>>;
    fn rejected<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, ()>;
}

impl<C: Credentials> DynCredentials for C {
    fn authorization<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, Result<Authorization>> {
        Box::pin(Credentials::authorization(self, cx))
    }

    fn rejected<'a>(&'a self, cx: &'a Context) -> BoxFuture<'a, ()> {
        Box::pin(Credentials::rejected(self, cx))
    }
}

/// `Bearer <token>`, marked so that nothing prints it.
pub(super) fn bearer(token: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
        .map_err(|_| Error::unavailable("the access token is not a valid header value"))?;
    value.set_sensitive(true);
    Ok(value)
}
