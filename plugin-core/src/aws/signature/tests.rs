#![expect(clippy::unwrap_used, reason = "these are tests")]

use aws_sigv4::http_request::UriPathNormalizationMode;
use http::Method;
use jiff::Timestamp;
use url::Url;

use super::*;

/// A case of AWS's own test suite, whose requests go to `example.amazonaws.com` at 2015-08-30T12:36:00Z.
struct Case {
    name: &'static str,
    method: &'static str,
    target: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
    normalize: bool,
    session: Option<&'static str>,
    signed_headers: &'static str,
    signature: &'static str,
}

CASES

/// A selection of <https://github.com/awslabs/aws-c-auth>, `tests/aws-signing-test-suite/v4`.
#[test]
fn signatures_are_those_of_awss_own_test_suite() {
    for case in CASES {
        let keys = Keys {
            id: "AKIDEXAMPLE".to_owned(),
            secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
            session: case.session.map(SecretString::from),
        };
        let mut settings = SigningSettings::default();
        settings.uri_path_normalization_mode = UriPathNormalizationMode::from(case.normalize);
        settings.percent_encoding_mode = aws_sigv4::http_request::PercentEncodingMode::Single;
        let time = "2015-08-30T12:36:00Z".parse::<Timestamp>().unwrap().into();
        let scope = Scope { region: "us-east-1", service: "service", time };
        let mut headers = HeaderMap::new();
        for (name, value) in case.headers {
            headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        let method = case.method.parse::<Method>().unwrap();
        let url = Url::parse(&format!("https://example.amazonaws.com{}", case.target)).unwrap();
        let request = Outgoing::new(&method, &url, &headers, case.body.as_bytes());
        let signed = sigv4(&request, &keys, scope, settings).unwrap();
        let authorization = signed[header::AUTHORIZATION].to_str().unwrap();
        let expected = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
             SignedHeaders={}, Signature={}",
            case.signed_headers, case.signature
        );
        assert_eq!(authorization, expected, "{}", case.name);
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
