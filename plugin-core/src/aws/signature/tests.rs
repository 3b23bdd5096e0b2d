use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SessionTokenMode, UriPathNormalizationMode,
};
use http::Method;
use jiff::Timestamp;
use serde::Deserialize;
use url::Url;

use super::*;

/// AWS's own test suite, <https://github.com/awslabs/aws-c-auth>, `tests/aws-signing-test-suite/v4`: its signatures in
/// headers. Those in queries are of presigned URLs, which no service of ours makes.
#[derive(Deserialize)]
struct Suite {
    credentials: Credentials,
    region: String,
    service: String,
    timestamp: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Credentials {
    access_key_id: String,
    secret_access_key: String,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    /// In HTTP/1.1.
    request: String,
    normalize: bool,
    sign_body: bool,
    token: Option<String>,
    token_is_signed: bool,
    authorization: String,
}

/// The cases whose paths have segments of dots that must stay: the parser of URLs, which every call goes through, removes
/// them.
const IMPOSSIBLE: [&str; 4] = [
    "get-relative-relative-unnormalized",
    "get-relative-unnormalized",
    "get-slash-dot-slash-unnormalized",
    "get-slash-pointless-dot-unnormalized",
];

impl Case {
    fn settings(&self) -> SigningSettings {
        let mut settings = SigningSettings::default();
        settings.uri_path_normalization_mode = UriPathNormalizationMode::from(self.normalize);
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        if self.sign_body {
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        if !self.token_is_signed {
            settings.session_token_mode = SessionTokenMode::Exclude;
        }
        settings
    }

    /// The method and the target.
    fn start(&self) -> (Method, &str) {
        let line = self.request.lines().next().and_then(|line| line.strip_suffix(" HTTP/1.1"));
        let (method, target) = line.and_then(|line| line.split_once(' ')).unwrap();
        (method.parse().unwrap(), target)
    }

    fn url(&self) -> Url {
        Url::parse(&format!("https://example.amazonaws.com{}", self.start().1)).unwrap()
    }

    fn head_and_body(&self) -> (&str, &str) {
        self.request.split_once("\n\n").unwrap_or((&self.request, ""))
    }

    /// The headers but for the host, which is the URL's. A value of several lines has a space for each break: HTTP's older
    /// form of it (RFC 9110, section 5.5).
    fn headers(&self) -> HeaderMap {
        let head = self.head_and_body().0.replace("\n ", " ");
        let mut headers = HeaderMap::new();
        for line in head.lines().skip(1) {
            let (name, value) = line.split_once(':').unwrap();
            headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        headers.remove(header::HOST);
        headers
    }
}

#[test]
fn signatures_are_those_of_awss_own_test_suite() {
    let suite = include_str!("../../../../tests/aws-models/signatures.json");
    let suite: Suite = serde_json::from_str(suite).unwrap();
    assert_eq!(suite.cases.len(), 38);
    for case in &suite.cases {
        let ((method, target), url, headers) = (case.start(), case.url(), case.headers());
        if IMPOSSIBLE.contains(&&*case.name) {
            assert_ne!(url.path(), target, "{}", case.name);
            continue;
        }
        let keys = Keys {
            id: suite.credentials.access_key_id.clone(),
            secret: suite.credentials.secret_access_key.as_str().into(),
            session: case.token.as_deref().map(SecretString::from),
        };
        let time = suite.timestamp.parse::<Timestamp>().unwrap().into();
        let scope = Scope { region: &suite.region, service: &suite.service, time };
        let request = Outgoing::new(&method, &url, &headers, case.head_and_body().1.as_bytes());
        let signed = sigv4(&request, &keys, scope, case.settings()).unwrap();
        assert_eq!(signed[header::AUTHORIZATION], case.authorization, "{}", case.name);
        let sent = signed.get("x-amz-security-token").map(|sent| sent.to_str().unwrap());
        assert_eq!(sent, case.token.as_deref(), "{}", case.name);
    }
}

#[test]
fn what_signs_is_sensitive_and_tells_the_key_by_its_id() {
    let keys = Arc::new(Keys {
        id: "AKIDEXAMPLE".to_owned(),
        secret: "canary-secret".into(),
        session: Some("canary-session".into()),
    });
    assert_eq!(format!("{keys:?}"), "Keys { id: \"AKIDEXAMPLE\", .. }");
    let signer = KeySigner { keys, region: "eu-west-1".into(), service: "athena" };
    let url = Url::parse("https://athena.eu-west-1.amazonaws.com/").unwrap();
    let headers = HeaderMap::new();
    let request = Outgoing::new(&Method::POST, &url, &headers, b"{}");
    let signed = signer.sign(&request).unwrap();
    assert_eq!(access_key_id(&signed), Some("AKIDEXAMPLE"));
    assert!(signed[header::AUTHORIZATION].is_sensitive());
    assert!(signed["x-amz-security-token"].is_sensitive());
    assert!(!format!("{signed:?}").contains("canary"));
    assert_eq!(signer.secrets().len(), 2);
}
