//! Which core runs what: the server one alone, the load and the mock another.

use std::{
    ffi::{OsStr, OsString},
    process::Command,
    thread::available_parallelism,
};

use crate::process::program;

/// A role, and with it a core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Core {
    Server,
    /// Of the load and the mock vendor.
    Load,
}

/// How many cores this process may use.
pub(super) fn count() -> usize {
    available_parallelism().map_or(1, usize::from)
}

/// `command` on its core, under the same process id. On a machine with one core nothing is pinned.
pub(super) fn pinned(command: &Command, core: Core) -> Command {
    let cores = allowed();
    let core = match core {
        Core::Server => cores.get(1),
        Core::Load => cores.first().filter(|_| cores.len() > 1),
    };
    match core {
        Some(core) => behind(&["taskset", "-c", &core.to_string()], command),
        None => behind(&[], command),
    }
}

/// The cores that this process may use.
fn allowed() -> Vec<usize> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    list.map(|list| cores_of(list.trim())).unwrap_or_default()
}

/// The cores of a list such as `0-3,8`.
fn cores_of(list: &str) -> Vec<usize> {
    let ranges = list.split(',').filter_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.parse().ok()?..=last.parse::<usize>().ok()?)
    });
    ranges.flatten().collect()
}

/// `command` as the arguments of the program and arguments `prefix`.
pub(super) fn behind(prefix: &[&str], command: &Command) -> Command {
    let words = prefix.iter().map(OsString::from);
    let words = words.chain([command.get_program().to_owned()]);
    let words = words.chain(command.get_args().map(OsStr::to_owned)).collect::<Vec<_>>();
    let mut whole = program(words.first().map_or(OsStr::new(""), OsString::as_os_str));
    whole.args(words.iter().skip(1));
    for (variable, value) in command.get_envs() {
        match value {
            Some(value) => whole.env(variable, value),
            None => whole.env_remove(variable),
        };
    }
    if let Some(directory) = command.get_current_dir() {
        whole.current_dir(directory);
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_read_from_the_kernels_list() {
        assert_eq!(cores_of("0-1"), [0, 1]);
        assert_eq!(cores_of("4-5,9"), [4, 5, 9]);
        assert!(cores_of("").is_empty());
    }

    #[test]
    fn a_command_keeps_its_arguments_and_environment_behind_another() {
        let mut command = program("server");
        command.args(["--port", "1"]).env("SECRET", "x").env_remove("HOME");
        let whole = behind(&["taskset", "-c", "1"], &command);
        let words = whole.get_args().collect::<Vec<_>>();
        assert_eq!(whole.get_program(), "taskset");
        assert_eq!(words, ["-c", "1", "server", "--port", "1"]);
        assert!(whole.get_envs().any(|(name, value)| name == "SECRET" && value.is_some()));
        assert!(whole.get_envs().any(|(name, value)| name == "HOME" && value.is_none()));
        assert_eq!(behind(&[], &command).get_program(), "server");
    }
}
