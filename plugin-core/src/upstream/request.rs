//! A call to the vendor: building and sending it.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use http_body_util::Full;
use serde::Serialize;
use server_core::{Error, Result};
use url::form_urlencoded;

use super::{Http, credentials::Signature, lanes::Purpose, mask::Secrets, resource::Resource};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

/// A request that has not been sent yet.
///
/// ```
/// use plugin_core::{Context, Http, Result};
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// struct Page {
///     rows: Vec<Vec<String>>,
///     next: Option<String>,
/// }
///
/// /// One page of a job's rows: GET <base>/jobs/<id>/rows/?page=<page>.
/// async fn rows(http: &Http, cx: &Context, id: &str, page: Option<&str>) -> Result<Page> {
///     http.get(&["jobs", id, "rows"]).trailing_slash().query("page", page).send_json(cx).await
/// }
/// ```
#[must_use = "a request does nothing until it is sent"]
pub struct Request<'a> {
    pub(super) http: &'a Http,
    pub(super) method: Method,
    pub(super) resource: Resource,
    headers: HeaderMap,
    body: Result<Option<Bytes>>,
    pub(super) idempotent: bool,
    pub(super) at_most: Option<usize>,
    pub(super) purpose: Purpose,
    /// To which queue of the vendor's, if it submits a job.
    pub(super) queue: Option<Box<str>>,
}

impl<'a> Request<'a> {
    pub(super) fn new<S: AsRef<str>>(http: &'a Http, method: Method, segments: &[S]) -> Self {
        let idempotent = method.is_idempotent();
        let (resource, pushed) = Resource::new(&http.shared.base, segments);
        let body = pushed.map(|()| None);
        let headers = HeaderMap::from_iter([(header::ACCEPT, JSON)]);
        let (at_most, purpose, queue) = (None, Purpose::Api, None);
        Self { http, method, resource, headers, body, idempotent, at_most, purpose, queue }
    }

    /// `request` with the client's scheme, host and port.
    #[cfg(feature = "aws")]
    pub(super) fn relayed(http: &'a Http, request: http::Request<Bytes>) -> Self {
        let (head, body) = request.into_parts();
        let mut this = Self::new::<&str>(http, head.method, &[]).idempotent().for_token();
        this.resource.set(head.uri.path(), head.uri.query());
        this.headers.extend(head.headers);
        this.headers.remove(header::CONTENT_LENGTH);
        this.body = Ok(Some(body).filter(|body| !body.is_empty()));
        this
    }

    /// Ends the path with a slash, for APIs that require one.
    pub fn trailing_slash(mut self) -> Self {
        self.resource.end_with_slash();
        self
    }

    /// Adds `name=value` to the query; `None` adds nothing.
    pub fn query(mut self, name: &str, value: Option<&str>) -> Self {
        if let Some(value) = value {
            self.resource.add(name, value);
        }
        self
    }

    /// Sends `body` as JSON.
    pub fn json(self, body: &impl Serialize) -> Self {
        self.json_as(JSON, body)
    }

    /// Sends `body` as JSON of another media type.
    pub fn json_as(mut self, media_type: HeaderValue, body: &impl Serialize) -> Self {
        let body = serde_json::to_vec(body).map(|body| Some(body.into())).map_err(Error::internal);
        self.body = self.body.and(body);
        self.header(header::CONTENT_TYPE, media_type)
    }

    /// Sends `body` as it is.
    pub fn bytes(mut self, media_type: HeaderValue, body: impl Into<Bytes>) -> Self {
        self.body = self.body.map(|_| Some(body.into()));
        self.header(header::CONTENT_TYPE, media_type)
    }

    /// Sends `fields` as a URL-encoded form, as OAuth's token endpoints expect them.
    pub fn form(mut self, fields: &[(&str, &str)]) -> Self {
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.body = self.body.map(|_| Some(form.into()));
        self.header(header::CONTENT_TYPE, FORM)
    }

    /// Marks the call as idempotent, so that it is also repeated after a failure that leaves its outcome
    /// open.
    pub fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    /// Reads at most the first `bytes` of the response's body; [`Response::is_cut`](super::Response::is_cut) says whether there
    /// were more. Without it a body of more than 16 MiB is an error.
    pub fn at_most(mut self, bytes: usize) -> Self {
        self.at_most = Some(bytes);
        self
    }

    /// Marks the call that submits a job to `queue`: what the vendor's limit of active jobs is per within the quota, for
    /// example a cluster; empty if nothing is. While the vendor takes no further job there
    /// ([`Failure::full`](super::Failure::full)), such calls are held back, and no others.
    pub fn submits_job(mut self, queue: &str) -> Self {
        self.queue = Some(queue.into());
        self
    }

    /// Adds a header.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Marks the call as a request for a token, which is kept apart from calls of the API.
    pub(crate) fn for_token(mut self) -> Self {
        self.purpose = Purpose::Token;
        self
    }

    pub(super) fn build(&self, signature: &HeaderMap) -> Result<http::Request<Full<Bytes>>> {
        let body = self.body.clone()?;
        let lacks_body = body.is_none();
        let mut request = http::Request::new(Full::new(body.unwrap_or_default()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.resource.uri(&self.http.shared.base)?;
        let headers = request.headers_mut();
        *headers = self.headers.clone();
        headers.extend(signature.clone());
        if lacks_body && self.method == Method::POST {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        Ok(request)
    }

    /// The body's bytes; empty without one.
    pub(super) fn body_bytes(&self) -> Result<&[u8]> {
        match &self.body {
            Ok(body) => Ok(body.as_deref().unwrap_or_default()),
            Err(error) => Err(error.clone()),
        }
    }

    /// The secrets that the request contains, besides those of `signature`.
    pub(super) fn secrets(&self, signature: &Signature) -> Secrets {
        let mut secrets = Secrets::of_headers(&self.headers);
        secrets.extend(Secrets::of_headers(&signature.headers));
        for secret in signature.signer.iter().flat_map(|signer| signer.secrets()) {
            secrets.add_secret(&secret);
        }
        if self.headers.get(header::CONTENT_TYPE) == Some(&FORM)
            && let Ok(Some(body)) = &self.body
        {
            secrets.add_form(body);
        }
        secrets
    }
}
