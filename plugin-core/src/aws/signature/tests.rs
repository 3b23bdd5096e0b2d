use aws_sigv4::http_request::{PayloadChecksumKind, PercentEncodingMode, UriPathNormalizationMode};
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

const CASES: [Case; 22] = [
    Case {
        name: "get-vanilla",
        method: "GET",
        target: "/",
        headers: &[],
        body: "",
        normalize: true,
        session: None,
        signed_headers: "host;x-amz-date",
        signature: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    },
    Case {
        name: "get-vanilla-query",
        method: "GET",
        target: "/",
        headers: &[],
        body: "",
        normalize: true,
        session: None,
        signed_headers: "host;x-amz-date",
        signature: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    },
    Case {
        name: "get-vanilla-empty-query-key",
        method: "GET",
        target: "/?Param1=value1",
        headers: &[],
        body: "",
        normalize: true,
        session: None,
        signed_headers: "host;x-amz-date",
        signature: "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb",
    },
    Case {
        name: "get-vanilla-query-order-encoded",
        method: "GET",
        target: "/?Param-3=Value3&Param=Value2&%E1%88%B4=Value1",
        headers: &[],
        body: "",
        normalize: true,
        session: None,
        signed_headers: "host;x-amz-date",
        signature: "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac",
    },
    Case {
        name: "get-vanilla-query-order-key-case",
        method: "GET",
        target: "/?Param2=value2&Param1=value1",
        headers: &[],
        body: "",
        normalize: true,
        session: None,
        signed_headers: "host;x-amz-date",
        signature: "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    },
    Case {
        name: "get-vanilla-query-unreserved",
        method: "GET",
        target: "/?-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz=-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
        headers: &[],
        body: "",
        normalize: true,
        session: None,
        signed_headers: "host;x-amz-date",
        signature: "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197",
    },
    Case {
        name: "get-header-key-duplicate",
        method: "GET",
        target: "/",
        headers: &[("my-header1", "value2"), ("my-header1", "value2"), ("my-header1", "value1")],
        body: "",
        normalize: true,
        session: None,
        signed_headers: "host;my-header1;x-amz-date",
        signature: "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
    },
    Case {
        name: "get-header-value-order",
        method: "GET",
        target: "/",
        headers: &[
            ("my-header1", "value4"),
            ("my-header1", "value1"),
            ("my-header1", "value3"),
            ("my-header1", "value2"),
        ],
        body: "",
        normalize: true,
        session: None,
        signed_headers: "host;my-header1;x-amz-date",
        signature: "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01",
    },
    Case {
        name: "get-header-value-trim",
        method: "GET",
        target: "/",
        headers: &[("my-header1", "value1"), ("my-header2", "\"a   b   c\"")],
        body: "",
        normalize: true,
        session: None,
        signed_headers: "host;my-header1;my-header2;x-amz-date",
        signature: "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
    },
    Case {
        name: "get-unreserved",
        method: "GET",
        target: "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
        headers: &[],
        body: "",
        normalize: true,
        session: None,
        signed_headers: "host;x-amz-date",
        signature: "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
    },
    Case {
        name: "get-slash-unnormalized",
        method: "GET",
        target: "//",
        headers: &[],
        body: "",
        normalize: false,
        session: None,
        signed_headers: "host;x-amz-date",
        signature: "c88bcd3d312d75078c0cd961d6deae3f4c754924b01669efcfcb439fd5e5b76e",
    },
    Case {
        name: "get-slashes-unnormalized",
        method: "GET",
        target: "//example//",
        headers: &[],
        body: "",
        normalize: false,
        session: None,
        signed_headers: "host;x-amz-date",
        signature: "87cca117541a147f6df867677d98a7d80dff226d2bfca9e4ffa899665623c7e5",
    },
    Case {
        name: "post-vanilla",
        method: "POST",
        target: "/",
        headers: &[],
        body: "",
        normalize: true,
        session: None,
        signed_headers: "host;x-amz-date",
        signature: "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
    },
    Case {
        name: "post-vanilla-query",
        method: "POST",
        target: "/?Param1=value1",
        headers: &[],
        body: "",
        normalize: true,
        session: None,
        signed_headers: "host;x-amz-date",
        signature: "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11",
    },
    Case {
        name: "post-vanilla-empty-query-value",
        method: "POST",
        target: "/?Param1=value1",
        headers: &[],
        body: "",
        normalize: true,
        session: None,
        signed_headers: "host;x-amz-date",
        signature: "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11",
    },
    Case {
        name: "post-header-key-sort",
        method: "POST",
        target: "/",
        headers: &[("my-header1", "value1")],
        body: "",
        normalize: true,
        session: None,
        signed_headers: "host;my-header1;x-amz-date",
        signature: "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
    },
    Case {
        name: "post-header-value-case",
        method: "POST",
        target: "/",
        headers: &[("my-header1", "VALUE1")],
        body: "",
        normalize: true,
        session: None,
        signed_headers: "host;my-header1;x-amz-date",
        signature: "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d",
    },
    Case {
        name: "post-x-www-form-urlencoded",
        method: "POST",
        target: "/",
        headers: &[("content-type", "application/x-www-form-urlencoded"), ("content-length", "13")],
        body: "Param1=value1",
        normalize: true,
        session: None,
        signed_headers: "content-length;content-type;host;x-amz-content-sha256;x-amz-date",
        signature: "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b",
    },
    Case {
        name: "post-x-www-form-urlencoded-parameters",
        method: "POST",
        target: "/",
        headers: &[
            ("content-type", "application/x-www-form-urlencoded; charset=utf-8"),
            ("content-length", "13"),
        ],
        body: "Param1=value1",
        normalize: true,
        session: None,
        signed_headers: "content-length;content-type;host;x-amz-content-sha256;x-amz-date",
        signature: "328d1b9eaadca9f5818ef05e8392801e091653bafec24fcab71e7344e7f51422",
    },
    Case {
        name: "get-vanilla-with-session-token",
        method: "GET",
        target: "/",
        headers: &[],
        body: "",
        normalize: true,
        session: Some("6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267"),
        signed_headers: "host;x-amz-date;x-amz-security-token",
        signature: "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8",
    },
    Case {
        name: "post-sts-header-before",
        method: "POST",
        target: "/",
        headers: &[],
        body: "",
        normalize: true,
        session: Some(
            "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==",
        ),
        signed_headers: "host;x-amz-date;x-amz-security-token",
        signature: "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
    },
    Case {
        name: "get-slash-normalized",
        method: "GET",
        target: "//",
        headers: &[],
        body: "",
        normalize: true,
        session: None,
        signed_headers: "host;x-amz-date",
        signature: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    },
];

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
        if case.signed_headers.contains("x-amz-content-sha256") {
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        settings.percent_encoding_mode = PercentEncodingMode::Single;
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
