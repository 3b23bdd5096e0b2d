//! Calls over REST.

use std::{convert::Infallible, path::Path, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, Method};
use http_body_util::StreamBody;
use hyper::body::Frame;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value as Json;
use tokio::time::timeout;
use url::Url;

use crate::{
    error::StartError,
    grpc::{MAX_ANSWER, Silence, broken},
};

/// The size of the parts that a large body is sent in.
const PART: usize = 64 << 10;

/// The body of a request.
#[derive(Debug, Clone)]
pub(crate) enum RestBody {
    /// None.
    Empty,
    /// These bytes, called JSON.
    Json(Bytes),
    /// So many zero bytes.
    Zeros(usize),
    /// One that never ends.
    Endless,
}

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct RestCall<'a> {
    pub(crate) method: Method,
    /// The path, with the query.
    pub(crate) path: &'a str,
    pub(crate) body: RestBody,
    pub(crate) token: Option<&'a SecretString>,
    /// The deadline that the service is told.
    pub(crate) timeout: Duration,
    /// How long to wait for it.
    pub(crate) patience: Duration,
}

/// What a service answered.
#[derive(Debug, Clone)]
pub(crate) struct RestReply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl RestReply {
    /// The body as JSON; null if it is none.
    pub(crate) fn json(&self) -> Json {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// A service's REST, or its admin port.
pub(crate) struct Rest {
    url: Url,
    http: reqwest::Client,
}

impl Rest {
    /// The REST of the service at `url`.
    pub(crate) fn new(url: Url, ca_file: Option<&Path>) -> Result<Self, StartError> {
        let invalid = |reason: String| StartError::Flag { flag: "--ca-file", reason };
        #[expect(clippy::disallowed_methods, reason = "a caller, which measures what it gets")]
        let mut http = reqwest::Client::builder()
            .http1_only()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .pool_max_idle_per_host(0);
        if url.scheme() == "http" {
            // The system's authorities take a while to read.
            http = http.tls_certs_only([]);
        } else if let Some(path) = ca_file {
            let pem = std::fs::read(path).map_err(|error| invalid(error.to_string()))?;
            let authorities = reqwest::Certificate::from_pem_bundle(&pem);
            http = http.tls_certs_only(authorities.map_err(|error| invalid(error.to_string()))?);
        }
        let http = http.build().map_err(|error| invalid(error.to_string()))?;
        Ok(Self { url, http })
    }

    /// Makes a call.
    pub(crate) async fn call(&self, call: RestCall<'_>) -> Result<RestReply, Silence> {
        let patience = call.patience;
        let called = timeout(patience, self.send(call)).await;
        called.unwrap_or(Err(Silence::TimedOut(patience)))
    }

    async fn send(&self, call: RestCall<'_>) -> Result<RestReply, Silence> {
        let url = self.url.join(call.path).map_err(broken)?;
        let mut request = self.http.request(call.method, url);
        request = request.header("x-request-timeout", format!("{}ms", call.timeout.as_millis()));
        if let Some(token) = call.token {
            request = request.bearer_auth(token.expose_secret());
        }
        if !matches!(call.body, RestBody::Empty) {
            request = request.header(http::header::CONTENT_TYPE, "application/json");
        }
        let answer = match call.body {
            RestBody::Empty => request,
            RestBody::Json(bytes) => request.body(bytes),
            RestBody::Zeros(size) => request.body(zeros(size)),
            RestBody::Endless => request.body(endless()),
        };
        read(answer.send().await.map_err(broken)?).await
    }
}

async fn read(mut answer: reqwest::Response) -> Result<RestReply, Silence> {
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(broken)? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(Silence::Broken(format!("the answer has more than {MAX_ANSWER} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(RestReply { status, headers, body: body.into() })
}

/// Zeros that come slowly, because a service may answer, and close the connection, before it has read them.
fn zeros(size: usize) -> reqwest::Body {
    let parts = stream::iter(0..size.div_ceil(PART)).then(|part| async move {
        if part > 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok::<_, Infallible>(Frame::data(Bytes::from_static(&[0; PART])))
    });
    reqwest::Body::wrap(StreamBody::new(parts))
}

fn endless() -> reqwest::Body {
    let begun = stream::iter([Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"{")))]);
    reqwest::Body::wrap(StreamBody::new(begun.chain(stream::pending())))
}
