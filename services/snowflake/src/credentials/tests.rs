use std::time::Duration;

use plugin_core::testing;

use super::*;

fn names(secrets: &Json) -> Result<SecretNames> {
    SecretNames::read(secrets.as_object())
}

#[test]
fn names_are_read_from_custom_secrets() {
    let both = names(&json!({
        "snowflake_private_key": "TEAM_A_KEY",
        "snowflake_private_key_passphrase": "TEAM_A_PASSPHRASE",
        "other": {},
    }));
    let both = both.unwrap();
    assert!(both.has_key());
    assert_eq!(both.iter().collect::<Vec<_>>(), ["TEAM_A_KEY", "TEAM_A_PASSPHRASE"]);
    for none in [json!({}), json!({"snowflake_private_key": null})] {
        assert_eq!(names(&none).unwrap(), SecretNames::default(), "{none}");
    }
    let wrong = names(&json!({"snowflake_private_key": {"key": "k"}})).unwrap_err();
    assert_eq!(wrong.message(), "custom.secrets.snowflake_private_key: must be a string");
    let empty = names(&json!({"snowflake_private_key_passphrase": ""})).unwrap_err();
    let expected = "custom.secrets.snowflake_private_key_passphrase: must not be empty";
    assert_eq!(empty.message(), expected);
}

#[tokio::test]
async fn missing_secrets_are_named_as_their_author_does() {
    let cx = testing::context(Duration::from_secs(1));
    let named = |field: &str, name: &str| names(&json!({ (field): name })).unwrap();
    for (names, auth, missing) in [
        (named("snowflake_private_key", "TEAM_A_KEY"), AuthType::KeyPair, "TEAM_A_KEY"),
        (SecretNames::default(), AuthType::KeyPair, "snowflake_private_key"),
        (named("snowflake_private_key", "TEAM_A_KEY"), AuthType::Oauth, "snowflake_oauth_token"),
    ] {
        let error = names.check(&cx, auth, None).await.unwrap_err();
        assert_eq!(error.kind(), Kind::FailedPrecondition);
        assert!(error.message().starts_with(&format!("secret {missing} not found")), "{error}");
    }
}

#[tokio::test]
async fn signing_does_not_block_other_calls() {
    let key = SecretString::from(include_str!("../key/pem/aes256.pem"));
    let signing = signed("A.U".to_owned(), key, Some("secret".into()));
    tokio::pin!(signing);
    tokio::select! {
        biased;
        _ = &mut signing => panic!("signed on the runtime's thread"),
        () = async {} => {}
    }
    assert_eq!(signing.await.unwrap().expose_secret().split('.').count(), 3);
}
