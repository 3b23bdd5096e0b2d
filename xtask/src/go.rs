//! Go's programs, with its modules and what it builds below `target/go`.

use std::process::Command;

use crate::{
    process::{program, works},
    root, target,
};

/// Whether Go is installed.
pub(crate) fn is_installed() -> bool {
    works(program("go").arg("version"))
}

/// `go` with `args` in the module at `path`, whatever workspace is around it.
pub(crate) fn go_in(path: &str, args: &[&str]) -> Command {
    let mut command = program("go");
    command.current_dir(root().join(path)).args(args);
    with_caches(command)
}

/// Has the `go` that `command` is or runs keep its caches below `target/`, unless this process's
/// environment says where.
pub(crate) fn with_caches(mut command: Command) -> Command {
    for (variable, directory) in [("GOMODCACHE", "go/mod"), ("GOCACHE", "go/build")] {
        if std::env::var_os(variable).is_none() {
            command.env(variable, target(directory));
        }
    }
    // `cargo clean` could not remove modules that are kept from being written to. The other flag:
    // nothing here asks a program for its commit, and Go refuses to look into another user's clone.
    command.env("GOFLAGS", "-modcacherw -buildvcs=false").env("GOWORK", "off");
    command
}
