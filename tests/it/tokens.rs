//! Attacks with tokens, over REST and gRPC: RFC 8725, and what JWT libraries have accepted.

mod issuers;

use http::HeaderMap;
use jsonwebtoken::{Algorithm, EncodingKey};
use plugin_core::testing::TestService;
use serde_json::{Value as Json, json};

use self::issuers::{Issuers, SECRET, claims, now, part, sign};
use crate::stage::Stage;

const LIST: &str = "/flyteidl.service.AgentMetadataService/ListAgents";

/// A service that trusts the issuers, and its callers.
struct Target {
    service: TestService,
    rest: reqwest::Client,
    grpc: reqwest::Client,
}

impl Target {
    async fn of(issuers: &Issuers) -> Self {
        let stage = Stage::set_with(Default::default(), &[&issuers.argument()]).await;
        let builder = || reqwest::Client::builder().no_proxy();
        let grpc = builder().http2_prior_knowledge().build().unwrap();
        Self { service: stage.service, rest: builder().build().unwrap(), grpc }
    }

    /// The HTTP status over REST and the gRPC status.
    async fn answers(&self, headers: &HeaderMap, query: &str) -> (u16, Option<String>) {
        let url = |path| format!("http://{}{path}{query}", self.service.api());
        let rest = self.rest.get(url("/plugins/v1")).headers(headers.clone());
        let grpc = self.grpc.post(url(LIST)).headers(headers.clone()).body(vec![0; 5]);
        let grpc = grpc.header("content-type", "application/grpc").header("te", "trailers");
        let grpc = grpc.send().await.unwrap();
        // A call that is refused has its status in the headers.
        let code = grpc.headers().get("grpc-status").map(|code| code.to_str().unwrap().to_owned());
        (rest.send().await.unwrap().status().as_u16(), code)
    }

    async fn assert(&self, case: &str, headers: &HeaderMap, expected: (u16, Option<&str>)) {
        let answers = self.answers(headers, "").await;
        assert_eq!((answers.0, answers.1.as_deref()), expected, "{case}");
    }
}

fn bearer(token: &str) -> HeaderMap {
    header("authorization", format!("Bearer {token}").as_bytes())
}

fn header(name: &'static str, value: &[u8]) -> HeaderMap {
    HeaderMap::from_iter([(name.parse().unwrap(), value.try_into().unwrap())])
}

/// A token of the issuer `hs` whose header has `over`.
fn with_header(over: &Json) -> String {
    let mut header = json!({"alg": "HS256", "typ": "JWT"});
    for (name, value) in over.as_object().unwrap() {
        header[name] = value.clone();
    }
    hs(&header.to_string(), &claims("hs", &json!({})).to_string())
}

/// A token of the issuer `hs` whose claims have `over`.
fn with_claims(over: &Json) -> String {
    hs(r#"{"alg":"HS256"}"#, &claims("hs", over).to_string())
}

fn hs(header: &str, payload: &str) -> String {
    sign(header, payload, &EncodingKey::from_secret(SECRET.as_bytes()), Algorithm::HS256)
}

/// Tokens whose algorithm or signature is not that of their issuer's key.
fn of_algorithms(issuers: &Issuers) -> Vec<(String, String)> {
    let (Issuers { rsa, ec, .. }, good) = (issuers, with_claims(&json!({})));
    let unsigned = good.rsplit_once('.').unwrap().0;
    let mut cases = Vec::new();
    for alg in ["none", "None", "nOnE", "NONE", "", "HS512", "hs256"] {
        let header = json!({ "alg": alg }).to_string();
        let payload = claims("hs", &json!({})).to_string();
        cases.push((format!("alg {alg}"), format!("{}.{}.", part(&header), part(&payload))));
        cases.push((format!("alg {alg}, signed"), hs(&header, &payload)));
    }
    for header in
        ["{}", r#"{"alg":null}"#, r#"{"alg":["HS256"]}"#, r#"{"alg":"none","alg":"HS256"}"#]
    {
        cases.push((header.to_owned(), hs(header, &claims("hs", &json!({})).to_string())));
    }
    let (pem, der, set) = &issuers.rsa_public;
    let trimmed = pem.trim_end();
    for public in [pem.as_bytes(), trimmed.as_bytes(), der, set.as_bytes(), b""] {
        for name in ["rs", "es", "hs"] {
            let key = EncodingKey::from_secret(public);
            let payload = claims(name, &json!({})).to_string();
            let token = sign(r#"{"alg":"HS256"}"#, &payload, &key, Algorithm::HS256);
            cases.push((format!("a public key as the secret of {name}"), token));
        }
    }
    for (alg, signed, name, key) in [
        ("PS256", Algorithm::PS256, "rs", rsa),
        ("RS512", Algorithm::RS512, "rs", rsa),
        ("RS256", Algorithm::RS512, "rs", rsa),
        ("ES256", Algorithm::ES256, "rs", ec),
        ("RS256", Algorithm::RS256, "es", rsa),
        ("RS256", Algorithm::RS256, "hs", rsa),
        ("ES256", Algorithm::RS256, "es", rsa),
    ] {
        let header = json!({ "alg": alg, "kid": "es" }).to_string();
        let token = sign(&header, &claims(name, &json!({})).to_string(), key, signed);
        cases.push((format!("{alg} by {signed:?} of {name}"), token));
    }
    let ecdsa =
        format!("{}.{}", part(r#"{"alg":"ES256"}"#), part(&claims("es", &json!({})).to_string()));
    for (case, bytes) in [("zero", 64), ("short", 63), ("long", 65), ("empty", 0)] {
        let signature =
            base64::Engine::encode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, vec![0; bytes]);
        cases.push((format!("{case} ECDSA signature"), format!("{ecdsa}.{signature}")));
    }
    for (case, token) in [
        ("no signature", format!("{unsigned}.")),
        ("signature cut", good[..good.len() - 4].to_owned()),
        ("signature longer", format!("{good}AAAA")),
        ("another's signature", format!("{unsigned}.{}", part("another's signature of 32 bytes!"))),
    ] {
        cases.push((case.to_owned(), token));
    }
    cases
}

/// Tokens of the right key whose header is not acceptable.
fn of_headers(issuers: &Issuers) -> Vec<(String, String)> {
    let mut cases = Vec::new();
    for over in [
        json!({"kid": 1}),
        json!({"kid": null}),
        json!({"kid": ["hs"]}),
        json!({"kid": "k".repeat(10_000)}),
        json!({"crit": ["foo"]}),
        json!({"crit": []}),
        json!({"crit": ["exp"]}),
        json!({"b64": false}),
        json!({"b64": true}),
        json!({"typ": "logout+jwt"}),
        json!({"typ": "dpop+jwt"}),
        json!({"typ": "secevent+jwt"}),
        json!({"typ": "JWE"}),
        json!({"typ": "JWT "}),
        json!({"typ": 1}),
    ] {
        cases.push((over.to_string(), with_header(&over)));
    }
    for kid in ["../../dev/null", "' OR 1=1 --", "es\r\nx: y", "rs", "ES"] {
        let header = json!({"alg": "ES256", "kid": kid}).to_string();
        let token =
            sign(&header, &claims("es", &json!({})).to_string(), &issuers.ec, Algorithm::ES256);
        cases.push((format!("kid {kid:?}"), token));
    }
    // Whatever names or carries a key is ignored: these are signed with the key that they name.
    let (stranger, own) =
        (EncodingKey::from_secret(b"a stranger's secret of 32 bytes.."), "A".repeat(43));
    for over in [
        json!({"jku": "http://127.0.0.1:1/keys"}),
        json!({"x5u": "http://127.0.0.1:1/cert"}),
        json!({"x5c": ["MIIB"]}),
        json!({"jwk": {"kty": "oct", "k": own}}),
    ] {
        let mut header = json!({"alg": "HS256"});
        header.as_object_mut().unwrap().extend(over.as_object().unwrap().clone());
        let payload = claims("hs", &json!({})).to_string();
        let token = sign(&header.to_string(), &payload, &stranger, Algorithm::HS256);
        cases.push((over.to_string(), token));
    }
    cases
}

/// Tokens of the right key whose claims are not acceptable.
fn of_claims() -> Vec<(String, String)> {
    let mut nested = json!(1);
    for _ in 0..100 {
        nested = json!([nested]);
    }
    let cases = [
        json!({"exp": null}),
        json!({"exp": now() - 31}),
        json!({"exp": "never"}),
        json!({"exp": (now() + 600).to_string()}),
        json!({"exp": -1}),
        json!({"exp": [now() + 600]}),
        json!({"exp": true}),
        json!({"nbf": now() + 40}),
        json!({"nbf": "now"}),
        json!({"iat": now() + 40, "exp": now() + 600}),
        json!({"iat": "now"}),
        json!({"iat": null}),
        json!({"exp": now() + 7300}),
        json!({"aud": null}),
        json!({"aud": ""}),
        json!({"aud": 1}),
        json!({"aud": []}),
        json!({"aud": ["vault", "connector"]}),
        json!({"aud": {"connectors": true}}),
        json!({"aud": "connectors2"}),
        json!({"aud": "Connectors"}),
        json!({"iss": null}),
        json!({"iss": ""}),
        json!({"iss": 1}),
        json!({"iss": ["https://hs.example.com"]}),
        json!({"iss": ["https://evil.example.com", "https://hs.example.com"]}),
        json!({"iss": "https://hs.example.com/"}),
        json!({"iss": "https://HS.example.com"}),
        json!({"iss": "https://rs.example.com"}),
        json!({"sub": null}),
        json!({"sub": ""}),
        json!({"sub": 1}),
        json!({"sub": ["ann"]}),
        json!({"sub": null, "client_id": "", "azp": ""}),
        json!({"sub": null, "client_id": 1}),
        json!({"cnf": {"jkt": "x"}}),
        json!({"scope": "f.all all"}),
        json!({"scp": ["f.all"]}),
        json!({"form": "x"}),
        json!({"aud": vec!["other"; 500]}),
        json!({"aud": nested}),
    ];
    let cases = cases.iter().map(|over| (over.to_string(), with_claims(over)));
    let mut cases = cases.collect::<Vec<_>>();
    let valid = claims("hs", &json!({})).to_string();
    for twice in [
        r#""sub":"ann""#,
        r#""iss":"https://hs.example.com""#,
        r#""aud":"connectors""#,
        r#""exp":9999999999"#,
    ] {
        let payload = format!("{{{twice},{}", &valid[1..]);
        cases.push((format!("{twice} twice"), hs(r#"{"alg":"HS256"}"#, &payload)));
    }
    for payload in ["", "{", "[]", "null", r#"{"exp":1e400}"#, r#"{"exp":NaN}"#] {
        cases.push((format!("payload {payload}"), hs(r#"{"alg":"HS256"}"#, payload)));
    }
    cases
}

/// Strings that are not a token in compact form.
fn of_forms() -> Vec<(String, String)> {
    let good = with_claims(&json!({}));
    let parts = good.split('.').collect::<Vec<_>>();
    let json = json!({"protected": parts[0], "payload": parts[1], "signature": parts[2]});
    [
        ("one part", "x".to_owned()),
        ("two parts", parts[..2].join(".")),
        ("four parts", format!("{good}.x")),
        ("five parts", format!("{good}.x.y")),
        ("empty parts", "..".to_owned()),
        ("padding", format!("{good}=")),
        ("padding within", format!("{}=.{}.{}", parts[0], parts[1], parts[2])),
        ("a blank within", good.replacen('.', ". ", 1)),
        ("a tab before", format!("\t{good}")),
        ("JSON serialization", json.to_string().replace(',', ";")),
        ("too long", format!("{good}{}", "A".repeat(17 << 10))),
        ("nested 5000 deep", hs(r#"{"alg":"HS256"}"#, &"[".repeat(5_000))),
    ]
    .map(|(case, token)| (case.to_owned(), token))
    .to_vec()
}

#[tokio::test]
async fn valid_tokens_are_accepted_over_both_protocols() {
    let issuers = Issuers::new();
    let target = Target::of(&issuers).await;
    let payload = |name| claims(name, &json!({})).to_string();
    for (case, token) in [
        ("HS256", with_claims(&json!({}))),
        ("RS256", sign(r#"{"alg":"RS256"}"#, &payload("rs"), &issuers.rsa, Algorithm::RS256)),
        ("ES256", sign(r#"{"alg":"ES256"}"#, &payload("es"), &issuers.ec, Algorithm::ES256)),
        (
            "its kid",
            sign(r#"{"alg":"ES256","kid":"es"}"#, &payload("es"), &issuers.ec, Algorithm::ES256),
        ),
        ("typ at+jwt", with_header(&json!({"typ": "at+jwt"}))),
        ("several audiences", with_claims(&json!({"aud": ["vault", "connectors"]}))),
        ("expired within the skew", with_claims(&json!({"exp": now() - 25}))),
        ("valid soon, within the skew", with_claims(&json!({"nbf": now() + 25}))),
        (
            "a date with a fraction",
            with_claims(&json!({"exp": 600.5 + f64::from(u32::try_from(now()).unwrap())})),
        ),
    ] {
        target.assert(case, &bearer(&token), (200, None)).await;
    }
    let token = with_claims(&json!({}));
    for scheme in ["bearer", "BEARER"] {
        let value = format!("{scheme} {token}");
        target.assert(scheme, &header("authorization", value.as_bytes()), (200, None)).await;
        target.assert(scheme, &header("flyte-authorization", value.as_bytes()), (200, None)).await;
    }
}

#[tokio::test]
async fn attacks_with_tokens_are_refused_over_both_protocols() {
    let issuers = Issuers::new();
    let target = Target::of(&issuers).await;
    let cases = [of_algorithms(&issuers), of_headers(&issuers), of_claims(), of_forms()].concat();
    assert!(cases.len() > 75, "{}", cases.len());
    for (case, token) in cases {
        target.assert(&case, &bearer(&token), (401, Some("16"))).await;
    }
}

#[tokio::test]
async fn tokens_elsewhere_or_twice_are_refused_over_both_protocols() {
    let issuers = Issuers::new();
    let target = Target::of(&issuers).await;
    let token = with_claims(&json!({}));
    let good = format!("Bearer {token}");
    for (name, value) in [
        ("authorization", format!("Basic {token}").into_bytes()),
        ("authorization", b"Bearer".to_vec()),
        ("authorization", b"Bearer ".to_vec()),
        ("authorization", token.clone().into_bytes()),
        ("authorization", format!("Bearer  {token}").into_bytes()),
        ("authorization", format!("Bearer\t{token}").into_bytes()),
        ("authorization", [good.as_bytes(), b"\x80"].concat()),
        ("cookie", format!("access_token={token}").into_bytes()),
        ("authorization-bin", good.clone().into_bytes()),
        ("proxy-authorization", good.clone().into_bytes()),
        ("x-forwarded-authorization", good.clone().into_bytes()),
        (
            "x-forwarded-client-cert",
            b"URI=spiffe://cluster.local/ns/flyte/sa/flytepropeller".to_vec(),
        ),
        ("x-forwarded-user", b"ann".to_vec()),
        ("l5d-client-id", b"flytepropeller.flyte.serviceaccount.identity.linkerd".to_vec()),
        ("x-amzn-oidc-data", token.clone().into_bytes()),
    ] {
        target.assert(name, &header(name, &value), (401, Some("16"))).await;
    }
    let answers = target.answers(&HeaderMap::new(), &format!("?access_token={token}")).await;
    assert_eq!(answers.0, 401);

    let mut twice = bearer(&token);
    twice.append("authorization", good.parse().unwrap());
    target.assert("two headers", &twice, (400, Some("3"))).await;
    let mut both = bearer(&token);
    both.append("flyte-authorization", good.parse().unwrap());
    target.assert("both headers", &both, (400, Some("3"))).await;
    let list = header("authorization", format!("{good}, {good}").as_bytes());
    target.assert("a list", &list, (400, Some("3"))).await;
}
