//! Runs other programs.

use std::{
    ffi::OsStr,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    os::unix::process::CommandExt as _,
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

/// `cargo` with `args`, which builds into the repository's target directory.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let mut command = program(crate::CARGO);
    // What it runs needs to know, too.
    command.args(args).env("CARGO_TARGET_DIR", crate::target(""));
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
pub(crate) fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

/// Whether `command` runs successfully.
pub(crate) fn works(command: &mut Command) -> bool {
    let silent = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    silent.status().is_ok_and(|status| status.success())
}

/// Whether there is a program of this name on `PATH`.
pub(crate) fn is_on_path(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(name).is_file())
}

/// A child process that ends when this is dropped, and when this process ends in any other way, by a signal
/// for example.
pub(crate) struct Background {
    child: Child,
    /// Kills the child's process group as soon as its input ends: nobody holds the other end but this process.
    guard: Child,
}

/// What the guard of the process group `$1` runs. A line of input dismisses it.
const GUARD: &str = r#"read -r dismissed || kill -s TERM -- "-$1""#;

impl Background {
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        // Groups of their own: Ctrl-C must not end the guard before it did its work.
        let mut child = command
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot run {}", line(command)))?;
        let mut guard = program("sh");
        guard.args(["-c", GUARD, "guard", &child.id().to_string()]).process_group(0);
        guard.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        match guard.spawn() {
            Ok(guard) => Ok(Self { child, guard }),
            Err(error) => {
                let _ = child.kill();
                Err(error).context("cannot run sh")
            }
        }
    }

    /// The first line of its stdout.
    pub(crate) fn first_line(&mut self) -> Result<String> {
        let stdout = self.child.stdout.as_mut().context("stdout is not piped")?;
        let mut line = String::new();
        let mut byte = [0];
        while stdout.read(&mut byte)? == 1 && byte[0] != b'\n' {
            line.push(byte[0].into());
        }
        Ok(line)
    }

    /// Whether it still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it exits.
    pub(crate) fn wait(&mut self) -> Result<ExitStatus> {
        Ok(self.child.wait()?)
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(mut input) = self.guard.stdin.take() {
            let _ = input.write_all(b"dismissed\n");
        }
        let _ = self.guard.wait();
        let _ = self.child.kill();
        let _ = self.child.wait();
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

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// A program with a child, for the test below.
    #[test]
    #[ignore = "it is run by another test"]
    fn program_with_a_child() {
        let mut child = Background::start(program("sleep").arg("600")).unwrap();
        println!("\nchild {}", child.id());
        child.wait().unwrap();
    }

    #[test]
    fn children_end_when_a_signal_ends_their_program() {
        for signal in ["-TERM", "-KILL"] {
            let mut parent = Command::new(std::env::current_exe().unwrap());
            parent.args([
                "--exact",
                "process::tests::program_with_a_child",
                "--ignored",
                "--nocapture",
            ]);
            let mut parent = Background::start(parent.stdout(Stdio::piped())).unwrap();
            let child = loop {
                if let Some(id) = parent.first_line().unwrap().strip_prefix("child ") {
                    break id.to_owned();
                }
            };
            let is_running = || works(program("kill").args(["-0", &child]));
            assert!(is_running());
            assert!(works(program("kill").args([signal, &parent.id().to_string()])));
            let deadline = Instant::now() + Duration::from_secs(30);
            while is_running() {
                assert!(Instant::now() < deadline, "{child} runs after {signal}");
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}
