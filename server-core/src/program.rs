//! The frame of a `main`: the runtime, and the exit code with the error's message.

use std::process::ExitCode;

use tokio::runtime::Builder;

use crate::error::{Error, Result};

/// Runs `work` on the runtime that `builder` builds, then shuts the runtime down without waiting for the
/// remaining tasks.
///
/// # Errors
/// Those of `work`, and `Internal` when the runtime cannot be built.
pub fn block_on(mut builder: Builder, work: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = builder.enable_all().build().map_err(Error::internal)?;
    let result = runtime.block_on(work);
    // Remaining tasks had their time to stop; a blocked thread must not keep the process alive.
    runtime.shutdown_background();
    result
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
