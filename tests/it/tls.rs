//! The API port with a certificate of its own.

use plugin_core::testing::TestService;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use reqwest::{Certificate, Version};
use tempfile::TempDir;
use tests::fakes::bigquery::{FakeBigQuery, Options};

use crate::{program::output, stage::replica};

/// A service with a certificate for `localhost`.
pub(crate) struct Secured {
    pub(crate) service: TestService,
    files: TempDir,
    _fake: FakeBigQuery,
}

impl Secured {
    pub(crate) async fn start() -> Self {
        let files = tempfile::tempdir().unwrap();
        write_certificate(&files);
        let fake = FakeBigQuery::start(Options::default()).await.unwrap();
        let args = [flag("tls-certificate", &files, "tls.crt"), flag("tls-key", &files, "tls.key")];
        let service = replica(&fake, &args.each_ref().map(String::as_str)).await;
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
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(files.path().join("tls.crt"), cert.pem()).unwrap();
    std::fs::write(files.path().join("tls.key"), signing_key.serialize_pem()).unwrap();
}

#[tokio::test]
async fn rest_is_served_over_tls_in_both_versions_of_http() {
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
    let (code, said) = output("bigquery", &["health-check", &url, &ca], &[]).await;
    assert_eq!((code, said.trim()), (Some(0), "SERVING"));
}

#[tokio::test]
async fn who_trusts_another_authority_or_speaks_plain_http_is_told_so() {
    let (secured, other) = (Secured::start().await, Secured::start().await);
    for (url, ca, words) in [
        (
            secured.url("https"),
            Some(other.ca_file()),
            "is the certificate from an authority that --ca-file",
        ),
        (secured.url("http"), None, "does it speak TLS although the URL says http?"),
    ] {
        let args = ["health-check", &url].into_iter().chain(ca.as_deref()).collect::<Vec<_>>();
        let (code, said) = output("bigquery", &args, &[]).await;
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(words), "{said}");
    }
}

#[tokio::test]
async fn a_certificate_without_its_key_is_refused() {
    let files = tempfile::tempdir().unwrap();
    write_certificate(&files);
    let certificate = flag("tls-certificate", &files, "tls.crt");
    let (code, said) = output("bigquery", &["--insecure-no-auth", &certificate], &[]).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("--tls-key <FILE>"), "{said}");
}

#[tokio::test]
async fn a_program_with_a_certificate_is_asked_by_name() {
    let files = [("PLUGIN_TLS_CERTIFICATE", "/tls/tls.crt"), ("PLUGIN_TLS_KEY", "/tls/tls.key")];
    let (code, said) = output("bigquery", &["health-check"], &files).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("give the URL"), "{said}");
}
