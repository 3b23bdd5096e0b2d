//! The frame of a `main`: a runtime to run on, and an exit code with the error's message.

use std::process::ExitCode;

use tokio::runtime::Builder;

use crate::error::{Error, Result};

/// Runs `work` on the runtime that `builder` builds, and stops the runtime without waiting for tasks
/// that are left.
///
/// # Errors
/// Those of `work`, and `Internal` when there is no runtime.
pub fn block_on(mut builder: Builder, work: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = builder.enable_all().build().map_err(Error::internal)?;
    let result = runtime.block_on(work);
    // What is left has had its time to stop; a blocked thread must not keep the process alive.
    runtime.shutdown_background();
    result
}

/// The exit code of the program `name`: 1 for an error, which is printed to standard error with its
/// causes.
#[must_use]
pub fn exit_code(name: &str, result: Result<()>) -> ExitCode {
    let Err(error) = result else {
        return ExitCode::SUCCESS;
    };
    eprintln!("{name}: {error}");
    if let Some(cause) = error.chain() {
        eprintln!("  because: {cause}");
    }
    ExitCode::FAILURE
}
