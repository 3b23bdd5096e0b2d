//! Keys in secrets, in AWS's shared files, and from a command.

use tests::fakes::aws::{ACCESS_KEY_ID, Identity, SECRET_ACCESS_KEY};

use super::{File, Stage, key};

/// The keys that Athena knows, as a file of profiles has them.
fn section(name: &str, keys: &Identity) -> String {
    let token = keys.session_token.as_deref().unwrap_or_default();
    format!(
        "[{name}]\naws_access_key_id = {}\naws_secret_access_key = {}\naws_session_token = {token}\n",
        keys.access_key, keys.secret
    )
}

/// A program that writes `output`, and what it was called with to a file beside it.
fn program(output: &str) -> File {
    use std::os::unix::fs::PermissionsExt as _;
    let file = File::new("keys", "");
    let script = format!(
        "#!/bin/sh\nfor arg in \"$@\"; do echo \"$arg\" >> '{}.called'; done\ncat <<'EOF'\n{output}\nEOF\n",
        file.path().display()
    );
    file.write(&script);
    std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    file
}

/// What `credential_process` writes (AWS SDKs and Tools reference guide, "Process credential provider").
fn output(keys: &Identity) -> String {
    format!(
        "{{\"Version\": 1, \"AccessKeyId\": \"{}\", \"SecretAccessKey\": \"{}\", \"SessionToken\": \"{}\", \
         \"Expiration\": \"2099-01-01T00:00:00Z\"}}",
        keys.access_key,
        keys.secret,
        keys.session_token.as_deref().unwrap_or_default()
    )
}

fn called(program: &File) -> Vec<String> {
    let name = format!("{}.called", program.path().display());
    let text = std::fs::read_to_string(name).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn keys_in_secrets_come_before_any_identity() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, value: &str| std::fs::write(dir.path().join(name), value).unwrap();
    write("aws_access_key_id", &format!("{ACCESS_KEY_ID}\n"));
    write("aws_secret_access_key", &format!("{SECRET_ACCESS_KEY}\n"));
    let secrets = format!("--secrets-dir={}", dir.path().display());
    let stage = Stage::set(&[&secrets, "--credential-process=/nowhere"]).await;
    assert_eq!(stage.signer().await, ACCESS_KEY_ID);
    let stage = Stage::set(&[&secrets, "--identity=secrets"]).await;
    assert_eq!(stage.signer().await, ACCESS_KEY_ID);
    assert_eq!(stage.fetches("process", "failure").await, 0);
}

#[tokio::test]
async fn temporary_keys_in_secrets_have_their_session() {
    let (dir, keys) = (tempfile::tempdir().unwrap(), Identity::temporary(3));
    let write = |name: &str, value: &str| std::fs::write(dir.path().join(name), value).unwrap();
    write("aws_access_key_id", &keys.access_key);
    write("aws_secret_access_key", &keys.secret);
    write("aws_session_token", keys.session_token.as_ref().unwrap());
    let secrets = format!("--secrets-dir={}", dir.path().display());
    let stage = Stage::set(&[&secrets]).await;
    assert_eq!(stage.signer().await, key(3));
}

#[tokio::test]
async fn half_of_a_pair_of_secrets_is_an_outage_that_names_the_other() {
    for (there, missing) in [
        ("aws_access_key_id", "aws_secret_access_key"),
        ("aws_secret_access_key", "aws_access_key_id"),
    ] {
        let file = File::new(there, "canary-half");
        let secrets = format!("--secrets-dir={}", file.path().parent().unwrap().display());
        let stage = Stage::set(&[&secrets, "--identity=secrets"]).await;
        let error = stage.create().await.unwrap_err();
        let expected = format!("secret {missing} not found, although there is a secret {there}");
        assert!(error.code == 14 && error.message.contains(&expected), "{error:?}");
    }
}

#[tokio::test]
async fn a_service_without_keys_says_which_secrets_it_looks_for() {
    let stage = Stage::set(&["--identity=secrets"]).await;
    let error = stage.create().await.unwrap_err();
    let expected = "its operator set neither the secrets aws_access_key_id and aws_secret_access_key nor an identity";
    assert!(error.code == 14 && error.message.contains(expected), "{error:?}");
}

#[tokio::test]
async fn a_profile_has_its_keys_in_either_file() {
    let keys = Identity::temporary(4);
    let empty = File::new("empty", "");
    for (profile, credentials, config) in [
        (
            "etl",
            section("default", &Identity::temporary(5)) + &section("etl", &keys),
            String::new(),
        ),
        ("etl", String::new(), section("profile etl", &keys)),
        ("default", section("default", &keys), String::new()),
        ("default", String::new(), section("default", &keys)),
    ] {
        let (credentials, config) =
            (File::new("credentials", &credentials), File::new("config", &config));
        let profile = format!("--profile={profile}");
        let files = [credentials.flag("shared-credentials-file"), config.flag("config-file")];
        let stage = Stage::set(&[&profile, &files[0], &files[1]]).await;
        assert_eq!(stage.signer().await, key(4));
        assert_eq!(stage.fetches("profile", "success").await, 1);
    }
    let files = [empty.flag("shared-credentials-file"), empty.flag("config-file")];
    let stage = Stage::set(&["--profile=etl", &files[0], &files[1]]).await;
    stage.expect_outage("profile").await;
    let stage = Stage::set(&[
        "--profile=etl",
        "--shared-credentials-file=/nowhere/a",
        "--config-file=/nowhere/b",
    ])
    .await;
    stage.expect_outage("profile").await;
}

#[tokio::test]
async fn a_changed_profile_is_read_once_athena_refuses_its_keys() {
    let file = File::new("credentials", &section("default", &Identity::temporary(1)));
    let flag = file.flag("shared-credentials-file");
    let stage = Stage::set(&["--identity=profile", &flag, "--config-file=/nowhere"]).await;
    assert_eq!(stage.signer().await, key(1));
    file.write(&section("default", &Identity::temporary(2)));
    assert_eq!(stage.signer().await, key(1), "it is not read for each call");
    stage.athena.checker().expire(&key(1));
    assert_eq!(stage.signer().await, key(2));
}

#[tokio::test]
async fn a_profile_may_name_a_command() {
    let program = program(&output(&Identity::temporary(6)));
    let line = format!("credential_process = {} --account prod", program.path().display());
    let config = File::new("config", &format!("[profile etl]\n{line}\n"));
    let flag = config.flag("config-file");
    let stage = Stage::set(&["--profile=etl", &flag, "--shared-credentials-file=/nowhere/a"]).await;
    assert_eq!(stage.signer().await, key(6));
    assert_eq!(called(&program), ["--account", "prod"]);
}

#[tokio::test]
async fn a_command_is_run_once_and_its_quoted_arguments_are_kept_together() {
    let program = program(&output(&Identity::temporary(7)));
    let line = format!("{} --role 'a b' \"c d\" $HOME", program.path().display());
    let stage = Stage::set(&[&format!("--credential-process={line}")]).await;
    assert_eq!([stage.signer().await, stage.signer().await], [key(7), key(7)]);
    assert_eq!(called(&program), ["--role", "a b", "c d", "$HOME"], "no shell reads them");
    assert_eq!(stage.fetches("process", "success").await, 1);
}

#[tokio::test]
async fn a_command_that_gives_no_keys_is_an_outage() {
    for line in [
        "/nowhere/canary".to_owned(),
        "/bin/false".to_owned(),
        format!("{}", program("canary").path().display()),
        format!("{}", program("{\"Version\": 2}").path().display()),
        " ".to_owned(),
        "/bin/echo 'canary".to_owned(),
    ] {
        let stage = Stage::set(&[&format!("--credential-process={line}")]).await;
        stage.expect_outage("process").await;
    }
}
