//! The frame of a `main`: the runtime, and the exit code with the error's message.

use std::process::ExitCode;

use tokio::runtime::Builder;

use crate::error::{Error, Result};

/// Runs `work` and the tasks that it spawns on `threads` threads, then stops without waiting for the
/// remaining tasks.
///
/// # Errors
/// Those of `work`, and `Internal` when threads cannot be started.
pub fn block_on(threads: usize, work: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = runtime(threads).enable_all().build().map_err(Error::internal)?;
    let result = runtime.block_on(work);
    // Remaining tasks had their time to stop; a blocked thread must not keep the process alive.
    runtime.shutdown_background();
    result
}

/// One thread runs tasks in the order in which they are woken. A connection then writes the answers of many calls at
/// once, where the scheduler for several threads runs it after each: polls take half the CPU time.
fn runtime(threads: usize) -> Builder {
    if threads <= 1 {
        return Builder::new_current_thread();
    }
    let mut several = Builder::new_multi_thread();
    several.worker_threads(threads);
    several
}

/// The exit code of the program `name`: 1 for an error, which is printed to standard error with its
/// source chain.
#[must_use]
pub fn exit_code(name: &str, result: Result<()>) -> ExitCode {
    let Err(error) = result else {
        return ExitCode::SUCCESS;
    };
    eprintln!("{name}: {error}");
    if let Some(cause) = error.chain() {
        eprintln!("  caused by: {cause}");
    }
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use tokio::runtime::{Handle, RuntimeFlavor};

    use super::*;

    #[test]
    fn work_runs_on_as_many_threads_as_are_asked_for() {
        let found = |threads| {
            let mut found = None;
            let work = async {
                let handle = Handle::current();
                found = Some((handle.runtime_flavor(), handle.metrics().num_workers()));
                Ok(())
            };
            block_on(threads, work).unwrap();
            found.unwrap()
        };
        assert_eq!(found(1), (RuntimeFlavor::CurrentThread, 1));
        assert_eq!(found(3), (RuntimeFlavor::MultiThread, 3));
    }
}
