//! Runs Go, with its module and build caches below `target/go`.

use std::process::Command;

use crate::{
    process::{program, works},
    root, target,
};

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

/// Makes the `go` that `command` is or runs keep its caches below `target/`, unless this process's
/// environment sets their location.
pub(crate) fn with_caches(mut command: Command) -> Command {
    for (variable, directory) in [("GOMODCACHE", "go/mod"), ("GOCACHE", "go/build")] {
        if std::env::var_os(variable).is_none() {
            command.env(variable, target(directory));
        }
    }
    // -modcacherw: `cargo clean` cannot remove read-only modules. -buildvcs=false: nothing here reads the
    // commit from a binary, and Go refuses to read a clone owned by another user.
    command.env("GOFLAGS", "-modcacherw -buildvcs=false").env("GOWORK", "off");
    command
}
