mod causes;
mod files;

use http::HeaderValue;
use jiff::Timestamp;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value as Json, json};
use server_core::Kind;

use super::{token::MAX_TOKEN_BYTES, *};
use crate::context::{Role, Verb};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const OTHER: &str = "fedcba9876543210fedcba9876543210";

fn file(issuers: &str, rules: &str) -> Result<Auth> {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    std::fs::write(path("secret"), format!("{SECRET}\n")).unwrap();
    std::fs::write(path("other"), OTHER).unwrap();
    std::fs::write(path("short"), "too short").unwrap();
    let text = format!("issuers:\n{issuers}\nrules:\n{rules}\n");
    let text = text.replace("DIR", &dir.path().display().to_string());
    std::fs::write(path("auth.yaml"), text).unwrap();
    Auth::from_file(&path("auth.yaml"), &mut Registry::default())
}

const ISSUERS: &str = "
  - name: ci
    issuer: https://ci.example.com
    key: {hs256_secret_file: DIR/secret}
    audiences: [connectors]
  - name: admin
    issuer: https://flyte.example.com
    accept_missing_iss: true
    key: {hs256_secret_file: DIR/other}
    kid_headers: [kid, key_id]
    scope_claims: [scp]
    audiences: [https://flyte.example.com]
    reject: {scope_prefix: 'f.', claims_present: [form]}
    max_lifetime: 1h
";
const RULES: &str = "
  - {issuer: ci, sub: propeller, role: propeller}
  - {issuer: ci, scope_all: [submit], scope_any: [a, b], claim: {groups: eng}, role: user, verbs: [create, get]}
  - {issuer: ci, sub: reader, role: user, verbs: [list]}
  - {issuer: admin, scope_all: [all], role: admin}
";

fn auth() -> Auth {
    file(ISSUERS, RULES).unwrap()
}

fn now() -> i64 {
    Timestamp::now().as_second()
}

fn claims(over: &Json) -> Json {
    let mut claims = json!({
        "iss": "https://ci.example.com", "sub": "propeller", "aud": "connectors", "exp": now() + 600,
    });
    for (name, value) in over.as_object().unwrap() {
        match value {
            Json::Null => claims.as_object_mut().unwrap().remove(name),
            value => claims.as_object_mut().unwrap().insert(name.clone(), value.clone()),
        };
    }
    claims
}

fn sign(header: &Json, claims: &Json, secret: &str) -> String {
    let part = |json: &Json| {
        base64::Engine::encode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, json.to_string())
    };
    let message = format!("{}.{}", part(header), part(claims));
    let key = EncodingKey::from_secret(secret.as_bytes());
    let signature =
        jsonwebtoken::crypto::sign(message.as_bytes(), &key, jsonwebtoken::Algorithm::HS256);
    format!("{message}.{}", signature.unwrap())
}

fn token(over: &Json) -> String {
    sign(&json!({"alg": "HS256", "typ": "JWT"}), &claims(over), SECRET)
}

async fn caller_of(auth: &Auth, values: &[(&'static str, String)]) -> Result<Caller> {
    let mut request = http::Request::new(()).into_parts().0;
    for (name, value) in values {
        request.headers.append(*name, HeaderValue::from_str(value).unwrap());
    }
    auth.caller(&request).await
}

async fn bearer(auth: &Auth, token: &str) -> Result<Caller> {
    caller_of(auth, &[("authorization", format!("Bearer {token}"))]).await
}

#[tokio::test]
async fn callers_get_the_role_of_the_first_matching_rule() {
    let auth = auth();
    let caller = bearer(&auth, &token(&json!({}))).await.unwrap();
    assert_eq!(
        (caller.issuer(), caller.subject(), caller.role()),
        ("ci", "propeller", Role::Propeller)
    );

    let user = json!({"sub": "ann", "scope": "x submit b", "groups": ["ops", "eng"]});
    let caller = bearer(&auth, &token(&user)).await.unwrap();
    assert_eq!((caller.subject(), caller.role()), ("ann", Role::User));
    assert!(caller.check_verb(Verb::Create).is_ok());
    assert!(caller.check_verb(Verb::Delete).is_err());

    for (groups, matches) in [(json!(["eng"]), true), (json!("eng"), true), (json!(["ops"]), false)]
    {
        let user = json!({"sub": "ann", "scope": "submit b", "groups": groups});
        assert_eq!(bearer(&auth, &token(&user)).await.is_ok(), matches, "{groups}");
    }

    let cached = bearer(&auth, &token(&json!({}))).await.unwrap();
    assert_eq!(cached.subject(), "propeller");
}

#[tokio::test]
async fn an_accepted_token_is_refused_once_it_has_expired() {
    let auth = file(ISSUERS, &format!("{RULES}\nclock_skew: 0s")).unwrap();
    let expires = now() + 2;
    let brief = token(&json!({ "exp": expires }));
    assert!(bearer(&auth, &brief).await.is_ok());
    // The clock of tokens cannot be paused.
    while Timestamp::now().as_second() <= expires {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(bearer(&auth, &brief).await.unwrap_err().kind(), Kind::Unauthenticated);
}

#[tokio::test]
async fn refusals_have_the_reason_for_the_log_and_words_for_the_sender() {
    let auth = auth();
    let admin = |over: Json| {
        let mut all = json!({"iss": null, "aud": ["https://flyte.example.com"], "scp": ["all"]});
        all.as_object_mut().unwrap().extend(over.as_object().unwrap().clone());
        sign(&json!({"alg": "HS256"}), &claims(&all), OTHER)
    };
    let (now, hour) = (now(), 3600);
    assert!(bearer(&auth, &admin(json!({"iat": now, "exp": now + hour}))).await.is_ok());
    for (token, reason, words) in [
        (token(&json!({"exp": now - hour})), "expired", "it has expired"),
        (token(&json!({"nbf": now + hour})), "not_yet_valid", "it is not valid yet"),
        (token(&json!({"aud": "other"})), "audience", "it is for another audience"),
        (token(&json!({"iss": "https://other"})), "issuer", "its issuer is not trusted here"),
        (
            sign(&json!({"alg": "HS256"}), &claims(&json!({})), OTHER),
            "signature",
            "it is not signed",
        ),
        (admin(json!({"iat": now, "exp": now + 2 * hour})), "lifetime", "its lifetime is too long"),
        (token(&json!({"aud": null})), "missing_claim", "a required claim is missing"),
        (
            sign(&json!({"alg": "HS256", "crit": ["x"]}), &claims(&json!({})), SECRET),
            "critical_header",
            "this type of token is not trusted here",
        ),
        ("no.jwt".to_owned(), "malformed", "it is not a signed JWT"),
    ] {
        let error = bearer(&auth, &token).await.unwrap_err();
        assert!(error.message().contains(words), "{reason}: {error}");
        assert!(error.chain().unwrap().contains(reason), "{reason}: {:?}", error.chain());
    }
}

#[tokio::test]
async fn flyteadmin_tokens_are_accepted() {
    let auth = auth();
    let admin = |over: Json| {
        let mut all = json!({"iss": null, "aud": ["https://flyte.example.com"], "sub": null,
            "client_id": "flytectl", "scp": ["all"], "iat": now()});
        all.as_object_mut().unwrap().extend(over.as_object().unwrap().clone());
        sign(&json!({"alg": "HS256", "typ": "JWT", "key_id": "k1"}), &claims(&all), OTHER)
    };
    let caller = bearer(&auth, &admin(json!({}))).await.unwrap();
    assert_eq!(
        (caller.issuer(), caller.subject(), caller.role()),
        ("admin", "client:flytectl", Role::Admin)
    );
    for (case, over) in [
        ("refresh token", json!({"scp": ["f.all", "all", "offline"]})),
        ("authorization code", json!({"form": "x"})),
        ("too long a lifetime", json!({"exp": now() + 7200})),
        ("no issue date", json!({"iat": null})),
        ("no subject", json!({"client_id": ""})),
    ] {
        assert!(bearer(&auth, &admin(over)).await.is_err(), "{case}");
    }
}

#[tokio::test]
async fn invalid_tokens_are_refused() {
    let auth = auth();
    let header = |over: Json| {
        let mut header = json!({"alg": "HS256", "typ": "JWT"});
        header.as_object_mut().unwrap().extend(over.as_object().unwrap().clone());
        sign(&header, &claims(&json!({})), SECRET)
    };
    let good = token(&json!({}));
    let unsigned = good.rsplit_once('.').unwrap().0;
    let refused = [
        ("no signature", format!("{unsigned}.")),
        ("alg none", header(json!({"alg": "none"}))),
        ("another algorithm", header(json!({"alg": "HS384"}))),
        ("a public-key algorithm", header(json!({"alg": "RS256"}))),
        ("another type", header(json!({"typ": "logout+jwt"}))),
        ("critical header", header(json!({"crit": ["x"]}))),
        ("empty critical header", header(json!({"crit": []}))),
        ("unencoded payload", header(json!({"b64": false}))),
        ("key id is not a string", header(json!({"kid": 1}))),
        ("key id is too long", header(json!({"kid": "k".repeat(300)}))),
        ("another's key", sign(&json!({"alg": "HS256"}), &claims(&json!({})), OTHER)),
        ("two parts", unsigned.to_owned()),
        ("four parts", format!("{good}.x")),
        ("padding", format!("{good}=")),
        ("expired", token(&json!({"exp": now() - 31}))),
        ("no expiry", token(&json!({"exp": null}))),
        ("expiry is a string", token(&json!({"exp": "never"}))),
        ("not yet valid", token(&json!({"nbf": now() + 40}))),
        ("issued in the future", token(&json!({"iat": now() + 40}))),
        ("no audience", token(&json!({"aud": null}))),
        ("another audience", token(&json!({"aud": "connectors2"}))),
        ("audience is a number", token(&json!({"aud": 1}))),
        ("another issuer", token(&json!({"iss": "https://evil.example.com"}))),
        ("issuer with a slash more", token(&json!({"iss": "https://ci.example.com/"}))),
        ("issuer is a list", token(&json!({"iss": ["https://ci.example.com"]}))),
        ("no issuer", token(&json!({"iss": null}))),
        ("no subject", token(&json!({"sub": null}))),
        ("bound to a key", token(&json!({"cnf": {"jkt": "x"}}))),
        ("too long", format!("{good}{}", "x".repeat(MAX_TOKEN_BYTES))),
    ];
    for (case, token) in refused {
        let error = bearer(&auth, &token).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unauthenticated, "{case}");
        assert_eq!(error.code(), Some("invalid_token"), "{case}");
    }
    for (token, message) in [
        (token(&json!({"exp": now() - 31})), "it has expired"),
        (token(&json!({"aud": "vault"})), "it is for another audience"),
        (token(&json!({"iss": "https://evil.example.com"})), "its issuer is not trusted here"),
        (
            sign(&json!({"alg": "HS256"}), &claims(&json!({})), OTHER),
            "not signed with a key of its issuer",
        ),
        ("x".to_owned(), "it is not a signed JWT"),
    ] {
        let error = bearer(&auth, &token).await.unwrap_err();
        assert!(error.message().starts_with("the token is not accepted: "), "{error}");
        assert!(error.message().contains(message), "{error}");
    }
    let dates =
        [json!({"exp": now() - 25}), json!({"nbf": now() + 25}), json!({"iat": now() + 25})];
    for within_skew in dates {
        assert!(bearer(&auth, &token(&within_skew)).await.is_ok());
    }
}

#[tokio::test]
async fn exactly_one_token_is_accepted_in_the_configured_headers() {
    let auth = auth();
    let good = token(&json!({}));
    let kind = async |values: &[(&'static str, String)]| {
        caller_of(&auth, values)
            .await
            .map(|_| ())
            .map_err(|error| (error.kind(), error.code().map(str::to_owned)))
    };
    let invalid = |code: &str| Err((Kind::InvalidArgument, Some(code.to_owned())));
    let unauthenticated =
        |code: Option<&str>| Err((Kind::Unauthenticated, code.map(str::to_owned)));
    for (value, expected) in [
        (format!("bearer {good}"), Ok(())),
        (format!("BEARER {good}"), Ok(())),
        (format!("Basic {good}"), unauthenticated(Some("invalid_token"))),
        (format!("Bearer  {good}"), unauthenticated(Some("invalid_token"))),
        ("Bearer".to_owned(), unauthenticated(Some("invalid_token"))),
        (format!("Bearer {good}, Bearer {good}"), invalid("invalid_request")),
    ] {
        assert_eq!(kind(&[("authorization", value.clone())]).await, expected, "{value}");
    }
    let bearer = format!("Bearer {good}");
    assert_eq!(kind(&[]).await, unauthenticated(None));
    assert_eq!(kind(&[("flyte-authorization", bearer.clone())]).await, Ok(()));
    let both = [("authorization", bearer.clone()), ("flyte-authorization", bearer.clone())];
    assert_eq!(kind(&both).await, invalid("invalid_request"));
    let twice = [("authorization", bearer.clone()), ("authorization", bearer.clone())];
    assert_eq!(kind(&twice).await, invalid("invalid_request"));
    assert_eq!(kind(&[("cookie", bearer)]).await, unauthenticated(None));
}

#[tokio::test]
async fn tokens_without_a_matching_rule_are_forbidden() {
    let auth = auth();
    for over in [
        json!({"sub": "bob"}),
        json!({"sub": "bob", "scope": "submit", "groups": "eng"}),
        json!({"sub": "bob", "scope": "submit a", "groups": "sales"}),
        json!({"sub": "bob", "scope": "a b", "groups": "eng"}),
    ] {
        let error = bearer(&auth, &token(&over)).await.unwrap_err();
        assert_eq!(error.kind(), Kind::PermissionDenied, "{over}");
        assert_eq!(error.code(), Some("insufficient_scope"));
    }
}

#[tokio::test]
async fn a_client_is_no_subject() {
    let rules = "
  - {issuer: ci, sub: root, role: admin}
  - {issuer: ci, sub: ann, client: portal, role: user, verbs: [get]}
  - {issuer: ci, client: robot, role: user}
";
    let auth = file(ISSUERS, rules).unwrap();
    for client in ["client_id", "azp"] {
        let posing = token(&json!({"sub": null, client: "root"}));
        let refused = bearer(&auth, &posing).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::PermissionDenied, "{client}");
        let cause = refused.chain().unwrap();
        assert!(cause.contains("a rule has the token's client as sub: write client"), "{cause}");

        let other = bearer(&auth, &token(&json!({"sub": null, client: "other"}))).await;
        let cause = other.unwrap_err().chain().unwrap();
        assert!(!cause.contains("write client"), "{cause}");

        let robot = bearer(&auth, &token(&json!({"sub": null, client: "robot"}))).await.unwrap();
        assert_eq!((robot.subject(), robot.role()), ("client:robot", Role::User));
    }
    for (over, subject) in [
        (json!({"sub": "root", "azp": "portal"}), Some("root")),
        (json!({"sub": "ann", "azp": "portal"}), Some("ann")),
        (json!({"sub": "bob", "azp": "robot"}), Some("bob")),
        (json!({"sub": "client:robot", "azp": "robot"}), Some("sub:client:robot")),
        (json!({"sub": "", "azp": "robot"}), Some("client:robot")),
        (json!({"sub": "robot", "client_id": ""}), None),
        (json!({"sub": "ann", "azp": "other"}), None),
        (json!({"sub": "ann"}), None),
        (json!({"sub": "portal", "azp": "ann"}), None),
        (json!({"sub": null, "client_id": "other", "azp": "robot"}), None),
        (json!({"sub": null, "appid": "robot", "cid": "robot"}), None),
    ] {
        let caller = bearer(&auth, &token(&over)).await.ok();
        assert_eq!(caller.as_ref().map(Caller::subject), subject, "{over}");
    }
}

#[tokio::test]
async fn rules_match_any_claim() {
    let rules = "
  - {issuer: ci, claim: {azp: bot}, role: user, verbs: [get]}
  - {issuer: ci, claim: {client_id: bot}, role: user, verbs: [list]}
  - {issuer: ci, role: admin}
";
    let issuers = ISSUERS.replace("claims_present: [form]", "claims_present: [client_id]");
    let auth = file(&issuers, rules).unwrap();
    for (claim, role) in [("azp", Role::User), ("client_id", Role::User), ("other", Role::Admin)] {
        let caller = bearer(&auth, &token(&json!({claim: "bot"}))).await.unwrap();
        assert_eq!(caller.role(), role, "{claim}");
    }
    let refused = json!({
        "iss": "https://flyte.example.com", "aud": "https://flyte.example.com", "client_id": "bot",
        "iat": now(),
    });
    let refused = sign(&json!({"alg": "HS256"}), &claims(&refused), OTHER);
    let error = bearer(&auth, &refused).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthenticated);
}

#[test]
fn jsonwebtoken_has_exactly_one_crypto_provider() {
    // With two providers compiled in, jsonwebtoken panics at first use.
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    assert!(jsonwebtoken::encode(&Header::default(), &json!({}), &key).is_ok());
}
