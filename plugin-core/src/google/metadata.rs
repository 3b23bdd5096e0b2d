//! The service's identity from Google Cloud's metadata server, over our own client.
//!
//! Google's library loads the system's certificate authorities for each request to this server, although
//! it has no TLS: that was two thirds of the work of a start.
#![expect(
    clippy::disallowed_methods,
    reason = "found as Google's libraries find it (AIP-4110, AIP-4115)"
)]

use std::{env, path::PathBuf};

use http::{HeaderName, HeaderValue};
use server_core::{Error, Result, digest::Fingerprint};

use super::NO_TOKEN;
use crate::{
    context::Context,
    upstream::{Http, HttpBuilder, Token, TokenSource},
};

/// The variable with the server's host, and port if it is not 80.
const HOST: &str = "GCE_METADATA_HOST";
const DEFAULT_HOST: &str = "metadata.google.internal";
const TOKEN: [&str; 6] =
    ["computeMetadata", "v1", "instance", "service-accounts", "default", "token"];
/// The header without which it answers nothing, so that no page in a browser can ask.
const FLAVOR: (HeaderName, HeaderValue) =
    (HeaderName::from_static("metadata-flavor"), HeaderValue::from_static("Google"));

/// The metadata server, if the service's identity is found there: no file has one, and no quota project is
/// to be sent along, which Google's library does.
///
/// # Errors
/// `InvalidArgument` when the variable is no host.
pub(super) fn found(http: &HttpBuilder, scopes: &[String]) -> Result<Option<MetadataServer>> {
    if env::var_os("GOOGLE_APPLICATION_CREDENTIALS").is_some()
        || env::var_os("GOOGLE_CLOUD_QUOTA_PROJECT").is_some()
        || well_known_file().is_some_and(|file| file.exists())
    {
        return Ok(None);
    }
    let host = env::var(HOST).unwrap_or_else(|_| DEFAULT_HOST.to_owned());
    MetadataServer::at(http, &host, scopes).map(Some)
}

/// Where `gcloud auth application-default login` writes.
fn well_known_file() -> Option<PathBuf> {
    let home = env::var_os("HOME").map(PathBuf::from)?;
    Some(home.join(".config/gcloud/application_default_credentials.json"))
}

/// The tokens of the machine's, or the pod's, service account.
pub(super) struct MetadataServer {
    http: Http,
    scopes: String,
    identity: Fingerprint,
}

impl MetadataServer {
    fn at(http: &HttpBuilder, host: &str, scopes: &[String]) -> Result<Self> {
        let http = http.clone().for_credentials(true).build(&format!("http://{host}"));
        let http = http.map_err(|why| {
            Error::invalid(format!("{HOST}: {host:?} is not a host")).with_source(why)
        })?;
        Ok(Self { http, scopes: scopes.join(","), identity: Fingerprint::of(&[host]) })
    }
}

impl TokenSource for MetadataServer {
    async fn identity(&self, _: &Context) -> Result<Fingerprint> {
        Ok(self.identity)
    }

    async fn fetch(&self, cx: &Context) -> Result<Token> {
        let (name, value) = FLAVOR;
        let request = self.http.get(&TOKEN).query("scopes", Some(&self.scopes)).header(name, value);
        // Whatever it refuses is not about the job.
        let failed = |error| {
            let why = "no file has credentials (GOOGLE_APPLICATION_CREDENTIALS), and the metadata server issued no token";
            Error::unavailable(NO_TOKEN).with_source(Error::unavailable(why).with_source(error))
        };
        Token::issued(request, cx).await.map_err(failed)
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    #![expect(clippy::unwrap_used, reason = "these are tests")]

    use std::{sync::Arc, time::Duration};

    use http::header;
    use prometheus_client::registry::Registry;
    use serde_json::json;
    use server_core::Kind;

    use super::*;
    use crate::{
        testing::{Answer, Upstream, context},
        upstream::{Credentials as _, Metrics, TokenCache, UpstreamArgs},
    };

    fn builder() -> HttpBuilder {
        let args = UpstreamArgs {
            insecure_upstream: false,
            upstream_timeout: Duration::from_secs(1),
            upstream_concurrency: 1,
            poll_freshness: Duration::ZERO,
        };
        let metrics = Metrics::register(&mut Registry::default());
        // What `--endpoint` names is the vendor, never the metadata server.
        let vendor = Some("https://vendor.example.com");
        HttpBuilder::new(&args, vendor, "test/0", Arc::new(metrics)).unwrap()
    }

    fn at(server: &Upstream) -> MetadataServer {
        let scopes = ["https://a.example/x", "https://a.example/y"].map(str::to_owned);
        MetadataServer::at(&builder(), &server.url().replace("http://", ""), &scopes).unwrap()
    }

    #[tokio::test]
    async fn one_token_with_all_scopes_signs_many_calls() {
        let server = Upstream::start().await;
        let token = json!({"access_token": "t", "expires_in": 3599, "token_type": "Bearer"});
        server.answer_with([Answer::new(200, token)]);
        let credentials = TokenCache::default().with(at(&server));
        for _ in 0..2 {
            let headers = credentials.headers(&context(Duration::from_secs(5))).await.unwrap();
            assert_eq!(headers[header::AUTHORIZATION], "Bearer t");
        }
        let received = server.take_received();
        let [request] = received.as_slice() else { panic!("{received:?}") };
        assert_eq!(
            request.to_string(),
            "GET /computeMetadata/v1/instance/service-accounts/default/token\
             ?scopes=https%3A%2F%2Fa.example%2Fx%2Chttps%3A%2F%2Fa.example%2Fy"
        );
        assert_eq!(request.headers["metadata-flavor"], "Google");
    }

    #[tokio::test]
    async fn a_machine_without_a_service_account_fails_no_job() {
        let server = Upstream::start().await;
        server.answer_with([Answer::new(404, json!("no account"))]);
        let credentials = TokenCache::default().with(at(&server));
        let refused = credentials.headers(&context(Duration::from_secs(5))).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Unavailable);
        assert_eq!(refused.message(), NO_TOKEN);
    }

    #[test]
    fn what_is_no_host_is_refused() {
        let refused = MetadataServer::at(&builder(), "a b", &[]).err().unwrap();
        assert!(refused.message().starts_with("GCE_METADATA_HOST"), "{refused:?}");
    }
}
