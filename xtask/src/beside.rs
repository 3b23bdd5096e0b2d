//! Steps of `cargo xtask test` that run in parallel with the others. They mostly wait for other programs
//! and for timers, and use the cores that cargo leaves idle: a build's last crate takes only one.

use std::{fs::File, os::unix::process::CommandExt as _, path::PathBuf};

use anyhow::{Result, bail};

use crate::{
    process::{Background, program, works, write},
    target,
};

/// Steps running in a separate process.
pub(crate) struct Beside {
    process: Background,
    log: PathBuf,
}

impl Beside {
    /// Starts `steps`, one after the other. Their output is held back until [`finish`](Self::finish).
    pub(crate) fn start(steps: &[&str]) -> Result<Self> {
        let log = target("xtask/beside.log");
        write(&log, "")?;
        println!("── in parallel: {}; log: {}\n", steps.join(", "), log.display());
        let output = File::options().append(true).open(&log)?;
        let mut command = program(this_program()?);
        command.arg("test").args(steps.iter().flat_map(|step| ["--only", step]));
        command.stdout(output.try_clone()?).stderr(output);
        // A separate process group, so that its children end with it.
        let process = Background::start(command.process_group(0))?;
        Ok(Self { process, log })
    }

    /// Waits for the steps, then prints and returns their output.
    ///
    /// # Errors
    /// If a step failed.
    pub(crate) fn finish(mut self) -> Result<String> {
        println!("── waiting for the parallel steps\n");
        let status = self.process.wait()?;
        let said = std::fs::read_to_string(&self.log)?;
        print!("{said}");
        if !status.success() {
            bail!("a parallel step failed: {status}");
        }
        Ok(said)
    }
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
