//! `cargo xtask`: see `--help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    xtask::run(xtask::parse())
}
