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

#[tokio::test]
async fn colours_are_for_terminals_and_obey_no_color() {
    let colours = |text: &str| text.contains('\u{1b}');
    let dead = ["health-check", "http://127.0.0.1:1"];
    let here = std::env::temp_dir();
    for args in [&dead[..], &["--help"], &["nothing"], &["token", "show", "/nowhere"]] {
        let plain = run(args).await;
        assert!(!colours(&plain.stdout) && !colours(&plain.stderr), "{args:?}");
        let forced = run_in(&here, args, "", &[("CLICOLOR_FORCE", "1")]).await;
        assert!(colours(&forced.stdout) || colours(&forced.stderr), "{args:?}");
        let both = [("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")];
        let none = run_in(&here, args, "", &both[1..]).await;
        assert!(!colours(&none.stdout) && !colours(&none.stderr), "{args:?}");
    }
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
async fn wrong_command_lines_end_with_2_and_say_what_is_wrong() {
    for (args, message) in [
        (&["frobnicate"][..], "unrecognized subcommand"),
        (&["serve", "plugin:app"], "install the Python package"),
        (&["flyte-values", "--flyte=2", "--chart=binary"], "name the installed plugins"),
        (&["flyte-values", "x", "--flyte=2", "--chart=binary"], "unknown plugin 'x'"),
        (&["health-check", "bigquery:8000"], "use for example http://"),
        (&["check", "--url", "http://127.0.0.1:1"], "http://127.0.0.1:1"),
        (&["token", "mint", "--key-file=/nowhere"], "--issuer"),
    ] {
        let ended = run(args).await;
        assert_eq!(ended.code, 2, "{args:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(message), "{args:?}: {}", ended.stderr);
        assert!(ended.stderr.starts_with("error: ") && ended.stdout.is_empty(), "{args:?}");
    }
}
