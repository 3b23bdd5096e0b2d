//! Commands that write keys to their standard output: AWS's `credential_process`.

use std::{
    io,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use reqsign_core::{CommandExecute, CommandOutput, Result as LibraryResult};
use rustix::process::{Pid, Signal, kill_process_group};
use server_core::Error;
use tokio::{
    io::AsyncReadExt as _,
    process::{Child, Command},
    time::timeout,
};

use super::failures::Failures;

/// The largest output, in bytes.
const LARGEST: u64 = 1 << 20;
/// How long a command may run.
const LONGEST_RUN: Duration = Duration::from_secs(9);

/// Runs commands, without a shell. Nothing of their output is logged.
#[derive(Debug)]
pub(super) struct Commands(pub(super) Failures);

impl CommandExecute for Commands {
    async fn command_execute<'a>(
        &'a self,
        program: &'a str,
        args: &'a [&'a str],
    ) -> LibraryResult<CommandOutput> {
        let failed = |why: String| self.0.note(Error::unavailable(format!("{program}: {why}")));
        let (program, args) = unquoted(program, args)
            .ok_or_else(|| failed("the command has a quote without its other half".to_owned()))?;
        let (status, stdout) = match timeout(LONGEST_RUN, run(&program, &args)).await {
            Ok(Ok(done)) => done,
            Ok(Err(error)) => return Err(failed(error.to_string())),
            Err(_) => return Err(failed("did not end in time".to_owned())),
        };
        if !status.success() {
            return Err(failed(format!("ended with {status}")));
        }
        // What was noted before, such as a missing file, did not matter.
        self.0.take();
        Ok(CommandOutput { status: 0, stdout, stderr: Vec::new() })
    }
}

/// Runs `program` to its end. Without waiting for it, it is killed with all that it has started.
async fn run(program: &str, args: &[String]) -> io::Result<(ExitStatus, Vec<u8>)> {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.process_group(0).kill_on_drop(true).spawn()?;
    // Dropped first: while the child is not waited for, its id is no other group's.
    let mut group = Group::of(&child);
    let mut stdout = Vec::new();
    if let Some(pipe) = child.stdout.take() {
        pipe.take(LARGEST).read_to_end(&mut stdout).await?;
    }
    let status = child.wait().await?;
    // What it left in the background, such as an agent, is meant to stay.
    group.0 = None;
    Ok((status, stdout))
}

/// The processes of a command, which are killed when this is dropped.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?)))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

/// The command with its quotes read, as AWS's SDKs do: the library has cut it at every white space.
fn unquoted(program: &str, args: &[&str]) -> Option<(String, Vec<String>)> {
    let line = [&[program], args].concat().join(" ");
    let mut words = shlex::split(&line)?.into_iter();
    Some((words.next()?, words.collect()))
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use rustix::process::kill_process;
    use tokio::time::sleep;

    use super::*;

    const MOMENT: Duration = Duration::from_millis(10);

    /// The id in `file`, once a command has written it.
    async fn written(file: &Path) -> Pid {
        loop {
            let id = fs::read_to_string(file).unwrap_or_default();
            if let Some(id) = id.strip_suffix('\n') {
                return Pid::from_raw(id.parse().unwrap()).unwrap();
            }
            sleep(MOMENT).await;
        }
    }

    fn is_running(id: Pid) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", id.as_raw_nonzero()));
        // One that nobody has waited for is still listed.
        stat.is_ok_and(|stat| !stat.contains(") Z "))
    }

    /// A shell that starts another process, writes its id to `file`, and then runs `rest`.
    fn script(file: &Path, rest: &str) -> Vec<String> {
        let file = file.display();
        vec!["-c".to_owned(), format!("sleep 300 >/dev/null & echo $! >{file}; {rest}")]
    }

    #[tokio::test]
    async fn a_command_that_is_given_up_is_killed_with_its_children() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("id");
        let args = script(&file, "wait");
        let child = tokio::select! {
            ended = run("sh", &args) => panic!("{ended:?}"),
            child = written(&file) => child,
        };
        while is_running(child) {
            sleep(MOMENT).await;
        }
    }

    #[tokio::test]
    async fn what_a_command_left_in_the_background_stays() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("id");
        let (status, stdout) = run("sh", &script(&file, "echo keys")).await.unwrap();
        assert!(status.success() && stdout == b"keys\n");
        let child = written(&file).await;
        assert!(is_running(child));
        kill_process(child, Signal::KILL).unwrap();
    }
}
