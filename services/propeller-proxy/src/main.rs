//! The sidecar's program.

use std::process::ExitCode;

fn main() -> ExitCode {
    propeller_proxy::run()
}
