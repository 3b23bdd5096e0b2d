//! Exit codes and messages, as docs/outrigger.md has them: the same for every command.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Output, Stdio},
};

fn run_with(directory: &Path, args: &[&str], input: &[u8]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrigger"));
    command.args(args).current_dir(directory).env_remove("PLUGIN_CONFORMANCE_TOKEN");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A program that does not read its input may have ended.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn run(directory: &Path, args: &str) -> (Option<i32>, String, String) {
    let ended = run_with(directory, &args.split_whitespace().collect::<Vec<_>>(), b"");
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (ended.status.code(), text(ended.stdout), text(ended.stderr))
}

/// A directory with files of every wrong kind.
fn files() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    std::fs::create_dir(at("dir")).unwrap();
    std::fs::write(at("latin1"), b"\xe9\xff\x00").unwrap();
    std::fs::write(at("empty"), "").unwrap();
    std::fs::write(at("secret"), [b's'; 32]).unwrap();
    std::fs::write(at("token"), "e30.e30.x").unwrap();
    let auth = "issuers: [{name: dev, issuer: 'https://dev', audiences: [us], key: {hs256_secret_file: secret}}]\nrules: [{issuer: dev, role: user}]\n";
    std::fs::write(at("auth.yaml"), auth).unwrap();
    std::fs::write(at("missing-key.yaml"), auth.replace("secret}", "none}")).unwrap();
    directory
}

const MINT: &str = "token mint --issuer=https://dev --audience=us --subject=you --key-file";

#[test]
fn a_file_that_is_named_and_cannot_be_used_is_a_wrong_command_line() {
    let directory = files();
    let mut wrong = Vec::new();
    for file in ["nowhere", "dir", "latin1", "empty"] {
        for command in [
            format!("token show {file}"),
            format!("token show --auth {file} token"),
            format!("{MINT} {file}"),
            format!("health-check --ca-file {file}"),
            format!("health-check --ca-file {file} https://127.0.0.1:1/x"),
            format!("check --ca-file {file} --url https://127.0.0.1:1"),
            format!("check --token-file {file}"),
            format!("flyte-values --flyte 2 --chart binary --plugin {file}"),
            format!("new shout --no-input --from {file}"),
            format!("new shout --no-input --template {file}"),
            format!("sync --template {file}"),
            format!("status --root {file}"),
        ] {
            let (code, stdout, stderr) = run(directory.path(), &command);
            let is_named = stderr.starts_with("error: ") && stderr.contains(file);
            if (code, stdout.as_str()) != (Some(2), "") || !is_named {
                wrong.push(format!("{command}: {code:?} {stdout}{stderr}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_refused_value_that_may_contain_a_password_is_not_shown() {
    let directory = files();
    let values = "flyte-values --flyte 1.16 --chart core --proxy";
    for command in [
        format!("{values} --registry https://u:hunter2@registry.example.com"),
        format!("{values} --proxy-image https://u:hunter2@registry.example.com/proxy"),
        "health-check ftp://u:hunter2@127.0.0.1".to_owned(),
        "check --url ftp://u:hunter2@127.0.0.1".to_owned(),
        "check --against ftp://u:hunter2@127.0.0.1".to_owned(),
        "new shout --kind rust --no-input --core https://u:hunter2@git.example.com/a".to_owned(),
        "completion bash https://u:hunter2@registry.example.com".to_owned(),
    ] {
        let (code, stdout, stderr) = run(directory.path(), &command);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{command}: {stderr}");
        assert!(stderr.starts_with("error: ") && !stderr.contains("hunter2"), "{stderr}");
    }
}

#[test]
fn what_does_not_hold_ends_with_1_and_what_is_there_is_not_replaced() {
    let directory = files();
    for (command, code, word) in [
        ("health-check http://127.0.0.1:1", 1, ""),
        ("token new-key none/key", 1, "none/key"),
        ("token new-key secret", 5, "secret exists"),
        ("token show --auth auth.yaml token", 1, ""),
        ("token show --auth missing-key.yaml token", 2, "none"),
        ("token show token", 0, ""),
        ("check", 2, "http://127.0.0.1:8000"),
        ("serve plugin:app --insecure-no-auth", 2, "install the wheel"),
        ("listen plugin:app", 2, "install the wheel"),
        ("sync", 2, "plugin.toml"),
        ("status", 2, "plugin.toml"),
        ("new dir --no-input --no-verify", 5, "exists"),
    ] {
        let (seen, _, stderr) = run(directory.path(), command);
        assert_eq!(seen, Some(code), "{command}: {stderr}");
        assert!(stderr.contains(word), "{command}: {stderr}");
    }
}

#[test]
fn keys_are_written_all_or_not_at_all() {
    let directory = files();
    let (code, _, stderr) = run(directory.path(), "token new-key first secret");
    assert_eq!(code, Some(5), "{stderr}");
    assert!(!directory.path().join("first").exists());
}

#[test]
fn a_token_names_who_is_meant_and_an_algorithm_that_there_is() {
    let directory = files();
    for (command, word) in [
        (format!("{MINT} secret --algorithm XX"), "possible values: RS256,"),
        (format!("{MINT} secret --algorithm RS256"), "does not fit this key: HS256"),
        ("token mint --key-file secret --issuer= --audience=us --subject=you".into(), "--issuer"),
        ("token mint --key-file secret --issuer=i --audience= --subject=you".into(), "--audience"),
        ("token mint --key-file secret --issuer=i --audience=us --subject=".into(), "--subject"),
    ] {
        let (code, _, stderr) = run(directory.path(), &command);
        assert_eq!(code, Some(2), "{command}: {stderr}");
        assert!(stderr.contains(word), "{command}: {stderr}");
    }
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let directory = files();
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrigger"));
    let args = ["flyte-values", "bigquery", "--flyte=2", "--chart=binary"];
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let ended = command.args(args).current_dir(directory.path()).stdout(writer).output().unwrap();
    assert_eq!(
        (ended.status.code(), String::from_utf8(ended.stderr).unwrap()),
        (Some(1), String::new())
    );
}
