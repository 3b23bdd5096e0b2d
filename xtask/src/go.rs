//! Runs Go, with its module and build caches below `target/go`.

use std::process::Command;

use crate::{
    process::{program, works},
    root, target,
};

/// `-modcacherw`: `cargo clean` cannot remove read-only modules. `-buildvcs=false`: nothing here reads the
/// commit from a binary, and Go refuses to read a clone owned by another user. The others: compiling
/// without optimisations takes two thirds of the time, and the programs run for a minute. Go's standard
/// library, with its garbage collector, keeps optimisations.
const FLAGS: &str =
    "-modcacherw -buildvcs=false '-gcflags=all=-N -l -dwarf=false' '-gcflags=std=-dwarf=false'";

/// The flags for programs whose speed matters: with Go's optimisations.
pub(crate) const OPTIMISED: &str = "-modcacherw -buildvcs=false";

/// Whether Go is installed.
pub(crate) fn is_installed() -> bool {
    works(program("go").arg("version"))
}

/// `go` with `args` in the module at `path`, ignoring any Go workspace around it.
pub(crate) fn go_in(path: &str, args: &[&str]) -> Command {
    let mut command = program("go");
    command.current_dir(root().join(path)).args(args);
    with_caches(command)
}

/// `go` with `args` in the tests of propeller's plugin.
pub(crate) fn propeller(args: &[&str]) -> Command {
    let mut go = go_in("tests/interop/propeller", args);
    // Go's checksum database does not have every release of Flyte's modules; go.sum still pins them.
    go.env("GONOSUMDB", "github.com/flyteorg/*");
    go
}

/// Makes the `go` that `command` is or runs keep its caches below `target/`, unless this process's
/// environment sets their location.
pub(crate) fn with_caches(mut command: Command) -> Command {
    for (variable, directory) in [("GOMODCACHE", "go/mod"), ("GOCACHE", "go/build")] {
        if std::env::var_os(variable).is_none() {
            command.env(variable, target(directory));
        }
    }
    // Where the tests find the programs.
    command.env("CARGO_TARGET_DIR", target(""));
    // Without cgo and with the same flags everywhere, Go's standard library is compiled once.
    command.env("GOFLAGS", FLAGS).env("GOWORK", "off").env("CGO_ENABLED", "0");
    command
}
