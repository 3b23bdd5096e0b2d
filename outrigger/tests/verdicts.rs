//! What `outrigger token show --auth` says of a token: one verdict, that of a service with the same file.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

use std::{path::Path, process::Command};

use serde_json::{Value as Json, json};

const AUTH: &str = "issuers: [{name: dev, issuer: 'https://dev', audiences: [us], key: {hs256_secret_file: secret}}]
rules: [{issuer: dev, role: user}]
";

/// A token that expires so many seconds from now.
fn token(seconds: i64) -> String {
    let expiry = jiff::Timestamp::now().as_second() + seconds;
    let claims = json!({"iss": "https://dev", "aud": "us", "sub": "you", "exp": expiry});
    let key = jsonwebtoken::EncodingKey::from_secret(&[b's'; 32]);
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap()
}

/// Runs `token show` in `directory`.
fn show(directory: &Path, flags: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrigger"));
    let ended = command.args(["token", "show"]).args(flags).current_dir(directory).output();
    let ended = ended.unwrap();
    assert!(ended.stderr.is_empty(), "{}", String::from_utf8_lossy(&ended.stderr));
    (ended.status.code(), String::from_utf8(ended.stdout).unwrap())
}

#[test]
fn a_token_after_its_time_is_either_accepted_or_expired() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    std::fs::create_dir(at("auth")).unwrap();
    // Relative to the file, wherever the program runs.
    std::fs::write(at("auth/auth.yaml"), AUTH).unwrap();
    std::fs::write(at("auth/secret"), [b's'; 32]).unwrap();
    for (seconds, accepted) in [(60, true), (-5, true), (-300, false)] {
        std::fs::write(at("token"), token(seconds)).unwrap();
        let flags = ["token", "--auth", "auth/auth.yaml"];
        let (code, text) = show(directory.path(), &flags);
        assert_eq!(code, Some(i32::from(!accepted)), "{seconds}: {text}");
        assert_eq!(text.contains("accepted") && !text.contains("not accepted"), accepted, "{text}");
        assert_eq!(text.contains("expired"), !accepted, "{seconds}: {text}");
        assert_eq!(text.contains("clock_skew"), seconds == -5, "{seconds}: {text}");
        let (_, json) = show(directory.path(), &[&flags[..], &["--output=json"]].concat());
        let json: Json = serde_json::from_str(&json).unwrap();
        assert_eq!(
            (&json["verdict"]["accepted"], &json["expired"]),
            (&accepted.into(), &(!accepted).into())
        );
        let (_, without) = show(directory.path(), &["token"]);
        assert_eq!(without.contains(": expired"), seconds < 0, "{without}");
    }
}
