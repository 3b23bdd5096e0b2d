//! Steps of `cargo xtask test` that run in parallel with the others. They mostly wait for other programs
//! and for timers, and use the cores that cargo leaves idle: a build's last crate takes only one.

use std::{fs::File, os::unix::process::parent_id, path::PathBuf, process::Stdio, time::Duration};

use anyhow::{Result, bail};

use crate::{
    process::{Background, program, works, write},
    target,
};

/// Steps running in a separate process.
pub(crate) struct Beside {
    process: Background,
    log: PathBuf,
    finished: bool,
}

impl Beside {
    /// Starts a process that prepares the tools of the steps. Its output is held back until
    /// [`finish`](Self::finish).
    pub(crate) fn start() -> Result<Self> {
        let log = target("xtask/beside.log");
        write(&log, "")?;
        for stale in [times(), programs_built()] {
            let _ = std::fs::remove_file(stale);
        }
        println!("── in parallel: preparing tools; log: {}\n", log.display());
        let output = File::options().append(true).open(&log)?;
        let mut command = program(this_program()?);
        command.args(["test", "--beside"]).stdin(Stdio::null());
        command.stdout(output.try_clone()?).stderr(output);
        let process = Background::start(&mut command)?;
        Ok(Self { process, log, finished: false })
    }

    /// Lets the process start the steps that need the repository's programs.
    pub(crate) fn programs_are_built(&mut self) -> Result<()> {
        println!("── in parallel: the steps of the second lane; log: {}\n", self.log.display());
        write(&programs_built(), "")
    }

    /// Finishes if the process has ended, so that its failure ends the run early.
    ///
    /// # Errors
    /// If a step failed.
    pub(crate) fn check(&mut self) -> Result<()> {
        if self.process.is_running() { Ok(()) } else { self.finish() }
    }

    /// Waits for the steps and prints their output.
    ///
    /// # Errors
    /// If a step failed.
    pub(crate) fn finish(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.finished, true) {
            return Ok(());
        }
        println!("── waiting for the parallel steps\n");
        let status = self.process.wait()?;
        print!("{}", std::fs::read_to_string(&self.log)?);
        if !status.success() {
            bail!("a parallel step failed: {status}");
        }
        Ok(())
    }
}

/// The file in which that process saves the times of its steps.
pub(crate) fn times() -> PathBuf {
    target("xtask/beside.json")
}

/// The file that tells that process to go on.
fn programs_built() -> PathBuf {
    target("xtask/programs-built")
}

/// Waits, in that process, until the repository's programs are built.
///
/// # Errors
/// When `parent`, the process that builds them, has ended.
pub(crate) fn wait_for_programs(parent: u32) -> Result<()> {
    while !programs_built().exists() {
        if parent_id() != parent {
            bail!("the programs were not built");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// The running executable: cargo may have rebuilt the file at its path since it was started.
fn this_program() -> Result<PathBuf> {
    let running = PathBuf::from("/proc/self/exe");
    Ok(if cfg!(target_os = "linux") { running } else { std::env::current_exe()? })
}

impl Drop for Beside {
    fn drop(&mut self) {
        if self.process.is_running() {
            let group = format!("-{}", self.process.id());
            works(program("kill").args(["-TERM", "--", &group]));
        }
    }
}
