//! The `propeller-proxy` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    propeller_proxy::run()
}
