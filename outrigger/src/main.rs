//! `outrigger`: what operators and plugin authors need besides the services.

use std::process::ExitCode;

fn main() -> ExitCode {
    outrigger::main()
}
