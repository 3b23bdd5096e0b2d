//! Runs a service's binary, as cargo built it, in a separate process.

use std::{
    path::PathBuf,
    process::{Output, Stdio},
    time::Duration,
};

use plugin_core::testing::{Client, Dialect};
use serde_json::Value as Json;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

/// Arguments for listening on free ports.
pub(crate) const ANYWHERE: [&str; 2] = ["--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0"];

/// The binary `name` that cargo built next to this test.
pub(crate) fn path(name: &str) -> PathBuf {
    let deps = std::env::current_exe().unwrap();
    let program = deps.ancestors().nth(2).unwrap().join(name);
    assert!(program.exists(), "{} is missing: cargo build -p {name}", program.display());
    program
}

/// The binary with an environment of only `variables`.
pub(crate) fn command(name: &str, args: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(path(name));
    command.args(args).env_clear().envs(variables.iter().copied());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// Runs the binary to completion; returns its exit code, stdout and stderr.
pub(crate) async fn output(
    name: &str,
    args: &[&str],
    variables: &[(&str, &str)],
) -> (Option<i32>, String) {
    let run = command(name, args, variables).output();
    let Output { status, stdout, stderr } =
        timeout(Duration::from_secs(10), run).await.expect("ends within the timeout").unwrap();
    let text = [stdout, stderr].concat();
    (status.code(), String::from_utf8_lossy(&text).into_owned())
}

/// A running program and its log.
pub(crate) struct Running {
    child: Child,
    log: Lines<BufReader<ChildStdout>>,
    pub(crate) api: String,
    pub(crate) admin: String,
}

impl Running {
    pub(crate) async fn start(name: &str, args: &[&str], variables: &[(&str, &str)]) -> Self {
        let args = ANYWHERE.iter().chain(args).copied().collect::<Vec<_>>();
        let mut child = command(name, &args, variables).spawn().unwrap();
        let mut log = BufReader::new(child.stdout.take().unwrap()).lines();
        let serving = async {
            while let Some(line) = log.next_line().await.unwrap() {
                let line: Json = serde_json::from_str(&line).unwrap();
                if line["message"] == format!("serving {name}") {
                    return line;
                }
            }
            panic!("the program ended early");
        };
        let line =
            timeout(Duration::from_secs(10), serving).await.expect("serves within the timeout");
        let address = |name: &str| line[name].as_str().unwrap().to_owned();
        let (api, admin) = (address("api"), address("admin"));
        Self { child, log, api, admin }
    }

    pub(crate) async fn client(&self, dialect: Dialect) -> Client {
        Client::connect(dialect, self.api.parse().unwrap(), None).await
    }

    /// Sends SIGTERM.
    pub(crate) async fn signal(&self) {
        let id = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
    }

    /// Ends the process without a chance to do anything about it.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Sends SIGTERM and waits; returns the exit code and the rest of the log.
    pub(crate) async fn terminate(mut self) -> (Option<i32>, String) {
        self.signal().await;
        let mut rest = String::new();
        let read = async {
            while let Some(line) = self.log.next_line().await.unwrap() {
                rest += &line;
            }
        };
        timeout(Duration::from_secs(20), read).await.expect("ends within the timeout");
        let status = timeout(Duration::from_secs(10), self.child.wait())
            .await
            .expect("ends within the timeout");
        (status.unwrap().code(), rest)
    }

    /// Sends SIGTERM and waits for the exit code, without reading the log.
    pub(crate) async fn terminate_unread(mut self) -> Option<i32> {
        self.signal().await;
        let status = timeout(Duration::from_secs(10), self.child.wait()).await;
        status.expect("ends within the timeout").unwrap().code()
    }
}
