//! Runs other programs.

use std::{
    ffi::OsStr,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

/// `program` in the repository's root. Its connections to this machine bypass proxies.
pub(crate) fn program(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(crate::root());
    for variable in ["NO_PROXY", "no_proxy"] {
        let without = std::env::var(variable).unwrap_or_default();
        if !without.contains("127.0.0.1") {
            let without = format!("{without},127.0.0.1,localhost");
            command.env(variable, without.trim_start_matches(','));
        }
    }
    command
}

/// `cargo` with `args`.
pub(crate) fn cargo(args: &[&str]) -> Command {
    // The cargo that runs this program, so that both use one toolchain.
    let mut command = program(option_env!("CARGO").unwrap_or("cargo"));
    command.args(args);
    command
}

/// `command` with a slightly lower priority: it does not delay tests that run beside it, and still gets
/// a share of the processors while others build.
pub(crate) fn nicely(command: &Command) -> Command {
    let mut nice = program("nice");
    nice.args(["-n", "5"]).arg(command.get_program()).args(command.get_args());
    for (variable, value) in command.get_envs() {
        match value {
            Some(value) => nice.env(variable, value),
            None => nice.env_remove(variable),
        };
    }
    if let Some(directory) = command.get_current_dir() {
        nice.current_dir(directory);
    }
    nice
}

/// Runs `command` to its end, with its output where ours goes.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot run {}", line(command)))?;
    if !status.success() {
        bail!("{} failed: {status}", line(command));
    }
    Ok(())
}

/// The command line of `command`, without its environment, which contains tokens.
fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

/// Whether `command` runs successfully.
pub(crate) fn works(command: &mut Command) -> bool {
    let silent = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    silent.status().is_ok_and(|status| status.success())
}

/// A child process that is killed when this is dropped.
pub(crate) struct Background(Child);

impl Background {
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        command.spawn().map(Self).with_context(|| format!("cannot run {}", line(command)))
    }

    /// The first line of its stdout.
    pub(crate) fn first_line(&mut self) -> Result<String> {
        let stdout = self.0.stdout.as_mut().context("stdout is not piped")?;
        let mut line = String::new();
        let mut byte = [0];
        while stdout.read(&mut byte)? == 1 && byte[0] != b'\n' {
            line.push(byte[0].into());
        }
        Ok(line)
    }

    /// Whether it still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(None))
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// Waits until it exits.
    pub(crate) fn wait(&mut self) -> Result<ExitStatus> {
        Ok(self.0.wait()?)
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether a GET of `path` returns 200.
pub(crate) fn answers_ok(address: SocketAddr, path: &str) -> bool {
    let get = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    get().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

/// Writes `text` to `path`, creating its directory.
pub(crate) fn write(path: &Path, text: impl AsRef<[u8]>) -> Result<()> {
    let parent = path.parent().context("the path has no parent directory")?;
    std::fs::create_dir_all(parent)?;
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
