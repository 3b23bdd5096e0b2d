//! Steps of `cargo xtask test` that run beside the others: they wait for other programs and for clocks
//! while cargo, whose last crate of a build takes one core, has the rest.

use std::{fs::File, os::unix::process::CommandExt as _, path::PathBuf};

use anyhow::{Result, bail};

use crate::{
    process::{Background, program, works, write},
    target,
};

/// Steps that run in a process of their own.
pub(crate) struct Beside {
    process: Background,
    log: PathBuf,
}

impl Beside {
    /// Starts `steps`, one after the other. Nothing of them is seen until [`finish`](Self::finish).
    pub(crate) fn start(steps: &[&str]) -> Result<Self> {
        let log = target("xtask/beside.log");
        write(&log, "")?;
        println!("── beside what follows: {}; {} tells\n", steps.join(", "), log.display());
        let output = File::options().append(true).open(&log)?;
        let mut command = program(this_program()?);
        command.arg("test").args(steps.iter().flat_map(|step| ["--only", step]));
        command.stdout(output.try_clone()?).stderr(output);
        // A group of its own, so that what it has started ends with it.
        let process = Background::start(command.process_group(0))?;
        Ok(Self { process, log })
    }

    /// Waits for them, prints what they said, and returns it.
    ///
    /// # Errors
    /// When one has failed.
    pub(crate) fn finish(mut self) -> Result<String> {
        println!("── waiting for what runs beside\n");
        let status = self.process.wait()?;
        let said = std::fs::read_to_string(&self.log)?;
        print!("{said}");
        if !status.success() {
            bail!("a step that ran beside the others failed: {status}");
        }
        Ok(said)
    }
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
