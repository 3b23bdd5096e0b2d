//! What the log says of a refused token.

use super::*;

#[tokio::test]
async fn the_log_and_not_the_sender_is_told_which_claim_is_wrong() {
    let auth = auth();
    let (now, hour) = (now(), 3600);
    let date = |seconds| Timestamp::from_second(seconds).unwrap().to_string();
    let ours = "https://ci.example.com";
    let evil = "https://evil.example.com\u{1b}[2J";
    for (over, cause) in [
        (json!({"aud": "vault"}), r#"audience: aud is "vault", expected "connectors""#.to_owned()),
        (
            json!({"aud": ["a", "b"]}),
            r#"audience: aud is "a" or "b", expected "connectors""#.to_owned(),
        ),
        (
            json!({"aud": null}),
            r#"missing_claim: aud is missing, expected "connectors""#.to_owned(),
        ),
        (json!({"exp": now - hour}), format!("expired: exp is {}, expected", date(now - hour))),
        (json!({"exp": "soon"}), r#"malformed: exp is "soon", expected seconds"#.to_owned()),
        (json!({"nbf": now + hour}), format!("not_yet_valid: nbf is {}, ", date(now + hour))),
        (json!({"iat": now + hour}), format!("issued_in_future: iat is {}", date(now + hour))),
        (json!({ "iss": evil }), format!("unknown_issuer: iss is {evil:?}, expected {ours:?}")),
        (json!({"sub": null}), "subject: sub is missing".to_owned()),
        (json!({"cnf": {}}), "bound_to_a_key: cnf is present".to_owned()),
        (
            json!({"sub": "bob"}),
            r#"no_rule: issuer ci: sub is "bob", client is missing; expected sub "propeller""#
                .to_owned(),
        ),
    ] {
        let error = bearer(&auth, &token(&over)).await.unwrap_err();
        let logged = error.chain().unwrap();
        assert!(logged.contains(&cause), "{logged}\nlacks\n{cause}");
        for disclosed in ["connectors", "ci.example.com", "expected"] {
            assert!(!error.message().contains(disclosed), "{error}");
        }
    }
    let stranger = sign(&json!({"alg": "HS256"}), &claims(&json!({"aud": "guess"})), OTHER);
    let cause = bearer(&auth, &stranger).await.unwrap_err().chain().unwrap();
    assert_eq!(cause, "token: signature", "whose claims are whose is not known");
    let long = token(&json!({"aud": "x".repeat(2000)}));
    assert!(bearer(&auth, &long).await.unwrap_err().chain().unwrap().len() < 300);
}
