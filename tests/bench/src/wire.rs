//! One request, as it is on the wire, and its answer.

use std::{path::Path, time::SystemTime};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{HeaderMap, Request};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::json;

/// How long a token is valid: longer than any benchmark takes.
const VALID_FOR: u64 = 24 * 60 * 60;

/// A connection to the server.
pub struct Connection {
    client: Client<HttpConnector, Full<Bytes>>,
    base: String,
    headers: Vec<String>,
}

/// An answer: its body, and its last headers or trailers.
pub struct Answer {
    /// The whole body.
    pub body: Bytes,
    /// The trailers; without any, the headers.
    pub trailers: HeaderMap,
}

impl Connection {
    /// To a server that speaks HTTP/2 without TLS, or HTTP/1.1. Each request has these headers, each of them
    /// `name: value`.
    #[must_use]
    pub fn new(base: String, is_http2: bool, headers: Vec<String>) -> Self {
        let client = Client::builder(TokioExecutor::new()).http2_only(is_http2).build_http();
        Self { client, base, headers }
    }

    /// Sends a request and reads its whole answer.
    ///
    /// # Errors
    /// When there is no answer, or its status is not a success.
    pub async fn call(&self, method: &str, path: &str, body: Bytes) -> Result<Answer> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        for header in &self.headers {
            let (name, value) = header.split_once(": ").context("a header has a colon")?;
            request = request.header(name, value);
        }
        let answer = self.client.request(request.body(Full::new(body))?).await;
        let answer = answer.with_context(|| format!("{method} {}{path}", self.base))?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = answer.into_body().collect().await?;
        // An error of gRPC without a body has its status in the headers.
        let trailers = body.trailers().cloned().unwrap_or(headers);
        let body = body.to_bytes();
        let text = || String::from_utf8_lossy(&body).into_owned();
        ensure!(status.is_success(), "{method} {path} was answered with {status}: {}", text());
        Ok(Answer { body, trailers })
    }
}

/// Writes a request's body to a file, and returns the file's name.
///
/// # Errors
/// When it cannot.
pub fn written(directory: &Path, name: &str, body: &[u8]) -> Result<String> {
    let path = directory.join(name);
    std::fs::write(&path, body).with_context(|| format!("cannot write {}", path.display()))?;
    path.into_os_string().into_string().ok().context("the directory's name is not UTF-8")
}

/// A token that services accept whose issuer has this secret.
///
/// # Errors
/// When it cannot be signed.
pub fn token(secret: &[u8], issuer: &str, audience: &str, subject: &str) -> Result<String> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
    let claims = json!({
        "iss": issuer,
        "aud": audience,
        "sub": subject,
        "iat": now,
        "exp": now + VALID_FOR,
    });
    Ok(jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(secret))?)
}
