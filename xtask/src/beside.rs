//! Steps of `cargo xtask test` that run beside the others: they wait for other programs and for clocks
//! while cargo, whose last crate of a build takes one core, has the rest.

use std::{
    fs::File,
    os::unix::process::{CommandExt as _, parent_id},
    path::PathBuf,
    process::Stdio,
    time::Duration,
};

use anyhow::{Result, bail};

use crate::{
    process::{Background, program, works, write},
    target,
};

/// Steps that run in a process of their own.
pub(crate) struct Beside {
    process: Background,
    log: PathBuf,
    finished: bool,
}

impl Beside {
    /// Starts a process that prepares what steps need. Nothing of it is seen until
    /// [`finish`](Self::finish).
    pub(crate) fn start() -> Result<Self> {
        let log = target("xtask/beside.log");
        write(&log, "")?;
        for stale in [times(), programs_built()] {
            let _ = std::fs::remove_file(stale);
        }
        println!("── preparing tools beside what follows, into {}\n", log.display());
        let output = File::options().append(true).open(&log)?;
        let mut command = program(this_program()?);
        command.args(["test", "--beside"]).stdin(Stdio::null());
        command.stdout(output.try_clone()?).stderr(output);
        // A group of its own, so that what it has started ends with it.
        let process = Background::start(command.process_group(0))?;
        Ok(Self { process, log, finished: false })
    }

    /// Lets it go on with the steps that need the repository's programs.
    pub(crate) fn programs_are_built(&mut self) -> Result<()> {
        println!("── beside what follows: its steps; {} tells\n", self.log.display());
        write(&programs_built(), "")
    }

    /// Prints what it wrote if it has ended: a failure ends the run now rather than at its end.
    ///
    /// # Errors
    /// When it has failed.
    pub(crate) fn check(&mut self) -> Result<()> {
        if self.process.is_running() { Ok(()) } else { self.finish() }
    }

    /// Waits for it, and prints what it wrote.
    ///
    /// # Errors
    /// When one of its steps has failed.
    pub(crate) fn finish(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.finished, true) {
            return Ok(());
        }
        println!("── waiting for what runs beside\n");
        let status = self.process.wait()?;
        print!("{}", std::fs::read_to_string(&self.log)?);
        if !status.success() {
            bail!("a step that ran beside the others failed: {status}");
        }
        Ok(())
    }
}

/// Where that process keeps the times of its steps.
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

/// This program, which cargo may have built anew under its name since it was started.
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
