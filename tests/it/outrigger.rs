//! The program `outrigger`, against services on real sockets.

mod authors;
mod health;
mod tokens;
mod values;

use std::{path::Path, process::Stdio, time::Duration};

use serde_json::Value as Json;
use tokio::{io::AsyncWriteExt as _, process::Command, time::timeout};

use crate::program;

/// What a run of the program left.
#[derive(Debug)]
struct Ended {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Ended {
    fn json(&self) -> Json {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|_| panic!("{}{}", self.stdout, self.stderr))
    }
}

/// Runs `outrigger` in `directory`, with `input` on standard input.
async fn run_in(directory: &Path, args: &[&str], input: &str, more: &[(&str, &str)]) -> Ended {
    // Git is on it.
    let path = std::env::var("PATH").unwrap();
    let home = directory.to_str().unwrap();
    let variables = [&[("PATH", path.as_str()), ("HOME", home)], more].concat();
    let mut command: Command = program::command("outrigger", args, &variables);
    let mut child = command.current_dir(directory).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A program that does not read its input may have ended.
    let _ = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    let ended = timeout(Duration::from_secs(60), child.wait_with_output()).await;
    let ended = ended.expect("ends within the timeout").unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let code = ended.status.code().expect("an exit code");
    Ended { code, stdout: text(ended.stdout), stderr: text(ended.stderr) }
}

async fn run(args: &[&str]) -> Ended {
    run_in(&std::env::temp_dir(), args, "", &[]).await
}

/// What the program writes to a terminal, by util-linux's `script`.
async fn on_a_terminal(args: &[&str], more: &[(&str, &str)]) -> String {
    let program = program::path("outrigger");
    let line = format!("{} {}", program.display(), args.join(" "));
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &line, "/dev/null"]).stdin(Stdio::null());
    script.env("TERM", "xterm").env_remove("NO_COLOR").envs(more.iter().copied());
    let written = timeout(Duration::from_secs(60), script.output()).await;
    let written = written.expect("ends within the timeout").expect("script is installed");
    String::from_utf8(written.stdout).unwrap()
}

#[tokio::test]
async fn colours_are_for_terminals_and_obey_no_color() {
    let colours = |text: &str| text.contains('\u{1b}');
    let dead = ["health-check", "http://127.0.0.1:1"];
    for args in [&dead[..], &["--help"], &["nothing"], &["token", "show", "/nowhere"]] {
        let piped = run(args).await;
        assert!(!colours(&piped.stdout) && !colours(&piped.stderr), "{args:?}");
        let shown = on_a_terminal(args, &[]).await;
        assert!(colours(&shown), "{args:?}: {shown}");
        let plain = on_a_terminal(args, &[("NO_COLOR", "1")]).await;
        assert!(!colours(&plain) && !plain.is_empty(), "{args:?}: {plain}");
    }
}

#[tokio::test]
async fn progress_is_for_terminals_and_for_what_takes_more_than_a_second() {
    let args = ["health-check", "http://127.0.0.1:1", "--wait", "2s"];
    let shown = on_a_terminal(&args, &[]).await;
    assert!(shown.contains("asking for health (1 s)"), "{shown}");
    assert!(run(&args).await.stderr.is_empty());
    assert!(!on_a_terminal(&args[..2], &[]).await.contains("asking for health"));
}

#[tokio::test]
async fn shells_get_completions_of_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(&["completion", shell]).await;
        assert_eq!(script.code, 0);
        for command in ["flyte-values", "health-check", "mint", "status"] {
            assert!(script.stdout.contains(command), "{shell}: {command}");
        }
    }
}

#[tokio::test]
async fn a_url_with_a_password_is_refused_and_not_shown() {
    const URL: &str = "http://u:hunter2@h:1";
    let route = format!("--route=127.0.0.1:1={URL}");
    for (program, args) in [
        ("outrigger", &["health-check", URL][..]),
        ("outrigger", &["check", "--url", URL]),
        ("outrigger", &["new", "acme", "--kind=rust", "--no-input", "--core", URL]),
        ("plugin-conformance", &["--admin-url", URL]),
        ("propeller-proxy", &[&route, "--token-file=/nowhere"]),
        ("bigquery", &["health-check", URL]),
        ("bigquery", &["--insecure-no-auth", "--endpoint", URL]),
        ("bigquery", &["--insecure-no-auth", "--otlp-endpoint", URL]),
    ] {
        let (code, text) = program::output(program, args, &[]).await;
        assert!(code == Some(2) || code == Some(1), "{program} {args:?}: {code:?}");
        assert!(text.contains("error") || text.contains("credentials"), "{text}");
        assert!(!text.contains("hunter2"), "{program} {args:?}: {text}");
    }
}

#[tokio::test]
async fn wrong_command_lines_end_with_2_and_say_what_is_wrong() {
    for (args, message) in [
        (&["frobnicate"][..], "unrecognized subcommand"),
        (&["serve", "plugin:app"], "install the wheel"),
        (&["flyte-values", "--flyte=2", "--chart=binary"], "name the installed plugins"),
        (&["flyte-values", "x", "--flyte=2", "--chart=binary"], "unknown plugin 'x'"),
        (
            &["flyte-values", "bigquery", "--flyte=2", "--chart=binary", "--namespace=a b"],
            "lower case",
        ),
        (
            &["flyte-values", "x", "--flyte=2", "--chart=core", "--proxy", "--proxy-image=a\nb: c"],
            "image's name",
        ),
        (
            &["flyte-values", "bigquery", "--flyte=2", "--chart=binary", "--plugin=/dev/zero"],
            "too large",
        ),
        (&["health-check", "bigquery:8000"], "use for example http://"),
        (&["check", "--url", "http://127.0.0.1:1"], "http://127.0.0.1:1"),
        (&["token", "mint", "--key-file=/nowhere"], "--issuer"),
        (
            &["token", "mint", "--key-file=/dev/zero", "--issuer=i", "--audience=a", "--subject=s"],
            "too large",
        ),
        (&["token", "new-key", "/nowhere/a", "/nowhere/a"], "named twice"),
    ] {
        let ended = run(args).await;
        assert_eq!(ended.code, 2, "{args:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(message), "{args:?}: {}", ended.stderr);
        assert!(ended.stderr.starts_with("error: ") && ended.stdout.is_empty(), "{args:?}");
    }
}
