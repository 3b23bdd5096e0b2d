//! `outrigger token`: what it makes is accepted by a service, and what it says of a token is what the service does.

use std::{os::unix::fs::PermissionsExt as _, path::Path};

use rcgen::{
    KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256,
};

use super::{Ended, run, run_in};
use crate::program::Running;

/// An issuer for each kind of key, with its algorithm, in an authentication file.
fn issuers(directory: &Path) -> String {
    let mut file = String::from("issuers:\n");
    let kinds = [
        ("RS256", &PKCS_RSA_SHA256),
        ("ES256", &PKCS_ECDSA_P256_SHA256),
        ("ES384", &PKCS_ECDSA_P384_SHA384),
        ("EdDSA", &PKCS_ED25519),
    ];
    for (name, kind) in kinds {
        let key = KeyPair::generate_for(kind).unwrap();
        std::fs::write(directory.join(name), key.serialize_pem()).unwrap();
        let public = directory.join(format!("{name}.pub"));
        std::fs::write(&public, key.public_key_pem()).unwrap();
        let public = public.display();
        file += &format!(
            "  - {{name: {name}, issuer: 'https://{name}', audiences: [us], algorithms: [{name}], key: {{pem_file: '{public}'}}}}\n"
        );
    }
    let secret = directory.join("HS256");
    file += &format!(
        "  - {{name: HS256, issuer: 'https://HS256', audiences: [us], key: {{hs256_secret_file: '{}'}}}}\nrules:\n",
        secret.display()
    );
    for name in ALGORITHMS {
        file += &format!(
            "  - {{issuer: {name}, sub: you, role: user, verbs: [list, get], tasks: [a, b]}}\n"
        );
    }
    file
}

const ALGORITHMS: [&str; 5] = ["RS256", "ES256", "ES384", "EdDSA", "HS256"];

async fn mint(directory: &Path, name: &str, more: &[&str]) -> Ended {
    let (key, issuer) = (format!("--key-file={name}"), format!("--issuer=https://{name}"));
    let args = [&["token", "mint", &key, &issuer, "--subject=you"], more].concat();
    run_in(directory, &args, "", &[]).await
}

/// The service's answer to a token, as a status code of HTTP.
async fn answer(service: &Running, token: &str) -> u16 {
    let url = format!("http://{}/plugins/v1", service.api);
    #[expect(clippy::disallowed_methods, reason = "a caller")]
    let client = reqwest::Client::new();
    client.get(url).bearer_auth(token).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_service_does_with_a_token_what_show_says() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let made = run_in(here, &["token", "new-key", "HS256", "handle.key"], "", &[]).await;
    assert_eq!(made.stdout, "wrote HS256\nwrote handle.key\n", "{}", made.stderr);
    let auth = here.join("auth.yaml");
    std::fs::write(&auth, issuers(here)).unwrap();
    let auth = auth.to_str().unwrap();
    let (auth_flag, keys) =
        (format!("--auth={auth}"), format!("--handle-keys={}/handle.key", here.display()));
    let args = [&*auth_flag, &*keys, "--emulator-host=127.0.0.1:1"];
    let service = Running::start("bigquery", &args, &[]).await;
    for name in ALGORITHMS {
        for (more, status, word) in [
            (&["--audience=us"][..], 200, "accepted"),
            (&["--audience=them", "--audience=us"], 200, "accepted"),
            (&["--audience=them"], 401, "another audience"),
            (&["--audience=us", "--issuer=https://nobody"], 401, "issuer is not trusted"),
            (&["--audience=us", "--type=logout+jwt"], 401, "type of token"),
        ] {
            let without_issuer = more.iter().any(|flag| flag.starts_with("--issuer"));
            let minted = match without_issuer {
                false => mint(here, name, more).await,
                true => {
                    let key = format!("--key-file={name}");
                    let args = [&["token", "mint", &key, "--subject=you"], more].concat();
                    run_in(here, &args, "", &[]).await
                }
            };
            assert_eq!(minted.code, 0, "{name}: {}", minted.stderr);
            let token = minted.stdout.trim();
            assert_eq!(answer(&service, token).await, status, "{name} {more:?}");
            let shown = run_in(here, &["token", "show", "--auth", auth], token, &[]).await;
            assert_eq!(shown.code, i32::from(status != 200), "{name}: {}", shown.stdout);
            assert!(shown.stdout.contains(word), "{name} {more:?}: {}", shown.stdout);
            assert!(shown.stdout.contains(&format!("  alg   {name}\n")), "{}", shown.stdout);
        }
    }
    let other = [
        "token",
        "mint",
        "--key-file=HS256",
        "--issuer=https://HS256",
        "--audience=us",
        "--subject=x",
    ];
    let other = run_in(here, &other, "", &[]).await;
    assert_eq!(answer(&service, other.stdout.trim()).await, 403);
    let shown = run_in(here, &["token", "show", "--auth", auth], &other.stdout, &[]).await;
    assert!(shown.code == 1 && shown.stdout.contains("no rule matches"), "{}", shown.stdout);
    service.terminate().await;
}

#[tokio::test]
async fn json_has_the_claims_and_the_verdict_and_never_the_signature() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    std::fs::write(here.join("HS256"), [b'k'; 32]).unwrap();
    std::fs::write(here.join("auth.yaml"), issuers(here)).unwrap();
    let more =
        ["--audience=us", "--claim=team=data", "--claim=n=[1]", "--scope=a b", "--output=json"];
    let minted =
        mint(here, "HS256", &[&more[..], &["--expires-in=90s", "--key-id=k1"]].concat()).await;
    let minted = minted.json();
    let (token, claims) = (minted["token"].as_str().unwrap(), &minted["claims"]);
    assert_eq!((&claims["team"], &claims["n"]), (&"data".into(), &serde_json::json!([1])));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 90);
    let given = format!("Bearer {token}\n");
    let args = ["token", "show", "--auth", "auth.yaml", "--output=json"];
    let shown = run_in(here, &args, &given, &[]).await;
    let json = shown.json();
    assert_eq!((&json["claims"], &json["header"]["kid"]), (claims, &"k1".into()));
    assert_eq!(json["verdict"]["accepted"], true);
    assert_eq!(json["verdict"]["verbs"], serde_json::json!(["get", "list"]));
    assert_eq!(json["verdict"]["task_types"], serde_json::json!(["a", "b"]));
    let signature = token.rsplit('.').next().unwrap();
    let text = run_in(here, &["token", "show", "-"], &given, &[]).await;
    for output in [&shown.stdout, &text.stdout, &shown.stderr, &text.stderr] {
        assert!(!output.contains(signature));
    }
}

#[tokio::test]
async fn wrong_keys_and_tokens_are_refused_without_their_text() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let canary = "canary-9f2c";
    let key = KeyPair::generate().unwrap();
    for (name, text, message) in [
        ("short", canary.to_owned(), "at least 32 bytes"),
        ("public", key.public_key_pem(), "signed with the private key"),
        ("odd", format!("-----BEGIN PRIVATE KEY-----\n{canary}\n"), "not a private key"),
    ] {
        std::fs::write(here.join(name), text).unwrap();
        let ended = mint(here, name, &["--audience=us"]).await;
        assert!(ended.code == 2 && ended.stderr.contains(message), "{name}: {}", ended.stderr);
        assert!(!ended.stderr.contains(canary), "{}", ended.stderr);
    }
    let shown = run_in(here, &["token", "show"], canary, &[]).await;
    assert!(shown.code == 2 && shown.stderr.contains("not a JWT"), "{}", shown.stderr);
    assert!(!shown.stderr.contains(canary));
    let missing = run(&["token", "show", "/nowhere/token"]).await;
    assert!(missing.code == 2 && missing.stderr.contains("/nowhere/token"), "{}", missing.stderr);
    std::fs::write(here.join("key"), key.serialize_pem()).unwrap();
    let unfit = mint(here, "key", &["--audience=us", "--algorithm=RS256"]).await;
    assert!(unfit.code == 2 && unfit.stderr.contains("does not fit"), "{}", unfit.stderr);
}

#[tokio::test]
async fn a_new_key_is_its_owners_and_replaces_none() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let mode = |name: &str| here.join(name).metadata().unwrap().permissions().mode() & 0o777;
    let first = run_in(here, &["token", "new-key", "a"], "", &[]).await;
    assert_eq!((first.code, mode("a")), (0, 0o600));
    let key = std::fs::read(here.join("a")).unwrap();
    let again = run_in(here, &["token", "new-key", "a"], "", &[]).await;
    assert!(again.code == 5 && again.stderr.contains("a exists"), "{}", again.stderr);
    let args = ["token", "new-key", "--keep", "--group-readable", "a", "b", "--output=json"];
    let kept = run_in(here, &args, "", &[]).await.json();
    let expected =
        serde_json::json!([{"file": "a", "created": false}, {"file": "b", "created": true}]);
    assert_eq!(kept, expected);
    assert_eq!((std::fs::read(here.join("a")).unwrap(), mode("b")), (key.clone(), 0o640));
    assert_ne!(std::fs::read(here.join("b")).unwrap(), key);
    // All or none.
    let args = ["token", "new-key", "--keep", "a", "c", "nowhere/d"];
    let failed = run_in(here, &args, "", &[]).await;
    assert!(failed.code == 1 && failed.stderr.contains("nowhere/d"), "{}", failed.stderr);
    assert!(here.join("a").exists() && !here.join("c").exists());
}
