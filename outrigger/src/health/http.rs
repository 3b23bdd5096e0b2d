//! Health over HTTP: a GET.

use std::{error::Error as _, io::ErrorKind, path::Path, time::Duration};

use reqwest::{Certificate, Client, redirect::Policy};
use url::Url;

use super::Answer;

/// How much of a body is read, in bytes.
const MAX_BODY: usize = 4 << 10;

/// Asks.
pub(super) async fn ask(url: Url, client: &Client) -> Answer {
    match client.get(url.clone()).send().await {
        Ok(response) => {
            let status = response.status();
            let message = first_line(response).await;
            Answer { url, healthy: status.is_success(), status: Some(status.to_string()), message }
        }
        Err(error) if error.is_timeout() => Answer::none(url, "no answer within --timeout"),
        Err(error) => {
            let error = error.without_url();
            let cause = std::iter::successors(error.source(), |cause| (*cause).source()).last();
            let why = cause.map_or_else(|| error.to_string(), ToString::to_string);
            let cause = cause.and_then(|cause| cause.downcast_ref::<std::io::Error>());
            Answer::none(url, cause.map_or(&why, |cause| reason(cause, &why)))
        }
    }
}

/// A client whose requests take `limit` at most.
///
/// # Errors
/// What is wrong with the file.
pub(super) fn client(ca_file: Option<&Path>, limit: Duration) -> Result<Client, String> {
    #[expect(clippy::disallowed_methods, reason = "one request of a program for terminals")]
    let mut builder = Client::builder().redirect(Policy::none()).no_proxy().timeout(limit);
    if let Some(file) = ca_file {
        let about = |why: String| format!("--ca-file {}: {why}", file.display());
        let pem = std::fs::read(file).map_err(|error| about(error.to_string()))?;
        let authorities =
            Certificate::from_pem_bundle(&pem).map_err(|error| about(error.to_string()))?;
        if authorities.is_empty() {
            return Err(about("has no certificate in PEM".to_owned()));
        }
        builder = builder.tls_certs_only(authorities);
    }
    builder.build().map_err(|error| error.to_string())
}

/// Why there is no connection, with what to look at.
fn reason<'a>(cause: &std::io::Error, why: &'a str) -> &'a str {
    match cause.kind() {
        ErrorKind::ConnectionRefused => {
            "connection refused (is the service up, and is this its admin port?)"
        }
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
            "no route to the host (is the address wrong, or a NetworkPolicy in the way?)"
        }
        _ => why,
    }
}

/// The first line of the body.
async fn first_line(mut response: reqwest::Response) -> String {
    let mut body = Vec::new();
    while let Ok(Some(part)) = response.chunk().await {
        body.extend_from_slice(&part);
        if body.len() >= MAX_BODY {
            break;
        }
    }
    body.truncate(MAX_BODY);
    String::from_utf8_lossy(&body).lines().next().unwrap_or_default().to_owned()
}
