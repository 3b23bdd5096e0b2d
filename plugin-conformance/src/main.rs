//! `plugin-conformance`: checks a running plugin service against the plugin contract.

use std::process::ExitCode;

fn main() -> ExitCode {
    plugin_conformance::main()
}
