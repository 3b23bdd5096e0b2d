//! The API port with TLS.

use plugin_core::testing::TestService;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use reqwest::{Certificate, Version};
use tempfile::TempDir;
use tests::fakes::bigquery::{FakeBigQuery, Options};

use crate::{
    program::output,
    stage::{Stage, replica},
};

/// A service with a certificate for `localhost`.
pub(crate) struct Secured {
    pub(crate) service: TestService,
    files: TempDir,
    _fake: FakeBigQuery,
}

impl Secured {
    pub(crate) async fn start() -> Self {
        Self::start_on("--listen=127.0.0.1:0").await
    }

    async fn start_on(listen: &str) -> Self {
        let files = tempfile::tempdir().unwrap();
        write_certificate(&files);
        let fake = FakeBigQuery::start(Options::default()).await.unwrap();
        let args = [flag("tls-certificate", &files, "tls.crt"), flag("tls-key", &files, "tls.key")];
        let service = replica(&fake, &[listen, &args[0], &args[1]]).await;
        Self { service, files, _fake: fake }
    }

    pub(crate) fn url(&self, scheme: &str) -> String {
        format!("{scheme}://localhost:{}", self.service.api().port())
    }

    pub(crate) fn ca_file(&self) -> String {
        flag("ca-file", &self.files, "tls.crt")
    }

    fn rest(&self) -> reqwest::ClientBuilder {
        let pem = std::fs::read(self.files.path().join("tls.crt")).unwrap();
        let ours = Certificate::from_pem(&pem).unwrap();
        reqwest::Client::builder().no_proxy().tls_certs_only([ours])
    }
}

fn flag(flag: &str, files: &TempDir, name: &str) -> String {
    format!("--{flag}={}", files.path().join(name).display())
}

fn write_certificate(files: &TempDir) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned(), "::1".to_owned()]).unwrap();
    std::fs::write(files.path().join("tls.crt"), cert.pem()).unwrap();
    std::fs::write(files.path().join("tls.key"), signing_key.serialize_pem()).unwrap();
}

#[tokio::test]
async fn rest_over_tls_supports_http1_and_http2() {
    let secured = Secured::start().await;
    let token = secured.service.token("propeller");
    for (client, version) in
        [(secured.rest().http1_only(), Version::HTTP_11), (secured.rest(), Version::HTTP_2)]
    {
        let url = format!("{}/plugins/v1", secured.url("https"));
        let request = client.build().unwrap().get(url).bearer_auth(&token);
        let answer = request.send().await.unwrap().error_for_status().unwrap();
        assert_eq!(answer.version(), version);
    }
    let metrics = secured.service.admin_text("/metrics").await;
    assert!(metrics.contains("url_scheme=\"https\""), "{metrics}");
}

#[tokio::test]
async fn grpc_is_served_over_tls() {
    let secured = Secured::start().await;
    let (url, ca) = (secured.url("https"), secured.ca_file());
    let (code, text) = output("bigquery", &["health-check", &url, &ca], &[]).await;
    assert_eq!((code, text.trim()), (Some(0), "SERVING"));
}

#[tokio::test]
async fn health_check_explains_tls_failures() {
    let (secured, other) = (Secured::start().await, Secured::start().await);
    let plain = Stage::set().await;
    for (url, ca, expected) in [
        (
            secured.url("https"),
            Some(other.ca_file()),
            "TLS handshake failed: the certificate is from an authority that is not trusted; pass its \
             certificate with --ca-file",
        ),
        (
            secured.url("https").replace("localhost", "127.0.0.1"),
            Some(secured.ca_file()),
            "TLS handshake failed: the certificate is for another name",
        ),
        (
            format!("https://{}", plain.service.api()),
            Some(secured.ca_file()),
            "the port does not speak TLS",
        ),
        (secured.url("http"), None, "does it need https?"),
    ] {
        let args = ["health-check", &url].into_iter().chain(ca.as_deref()).collect::<Vec<_>>();
        let (code, text) = output("bigquery", &args, &[]).await;
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains(expected), "{text}");
        assert!(
            !text.contains("caused by") && !text.contains('{'),
            "no error of a library: {text}"
        );
    }
}

#[tokio::test]
async fn health_check_accepts_an_ipv6_address() {
    let secured = Secured::start_on("--listen=[::1]:0").await;
    let url = secured.url("https").replace("localhost", "[::1]");
    let (code, text) = output("bigquery", &["health-check", &url, &secured.ca_file()], &[]).await;
    assert_eq!((code, text.trim()), (Some(0), "SERVING"));
}

#[tokio::test]
async fn certificate_without_key_is_rejected() {
    let files = tempfile::tempdir().unwrap();
    write_certificate(&files);
    let certificate = flag("tls-certificate", &files, "tls.crt");
    let (code, text) = output("bigquery", &["--insecure-no-auth", &certificate], &[]).await;
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("--tls-key <FILE>"), "{text}");
}

#[tokio::test]
async fn health_check_of_a_tls_service_requires_a_url() {
    let files = [("PLUGIN_TLS_CERTIFICATE", "/tls/tls.crt"), ("PLUGIN_TLS_KEY", "/tls/tls.key")];
    let (code, text) = output("bigquery", &["health-check"], &files).await;
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("pass a URL"), "{text}");
}
