//! The programs that a benchmark needs, and how to get them.

use anyhow::{Result, bail};

use crate::process::program;

/// A program that may be missing.
pub(super) struct Tool {
    pub(super) name: &'static str,
    /// An argument with which it does nothing but print.
    probe: &'static str,
    what: &'static str,
    pub(super) get: &'static str,
}

pub(super) const H2LOAD: Tool = Tool {
    name: "h2load",
    probe: "--version",
    what: "sends the load",
    get: "apt-get install nghttp2-client",
};
pub(super) const WRK: Tool =
    Tool { name: "wrk", probe: "--version", what: "polls many jobs", get: "apt-get install wrk" };
pub(super) const VALGRIND: Tool = Tool {
    name: "valgrind",
    probe: "--version",
    what: "counts instructions",
    get: "apt-get install valgrind",
};
pub(super) const TASKSET: Tool = Tool {
    name: "taskset",
    probe: "--version",
    what: "pins programs to cores",
    get: "apt-get install util-linux",
};
pub(super) const GO: Tool = Tool {
    name: "go",
    probe: "version",
    what: "builds propeller's own plugin",
    get: "https://go.dev/dl",
};
pub(super) const PYTHON: Tool = Tool {
    name: "python3",
    probe: "--version",
    what: "runs the peers",
    get: "apt-get install python3 python3-venv",
};

impl Tool {
    pub(super) fn is_installed(&self) -> bool {
        // Some programs exit with an error after they printed their version.
        program(self.name).arg(self.probe).output().is_ok()
    }

    /// One sentence on what is missing and how to get it.
    pub(super) fn missing(&self) -> String {
        let Self { name, what, get, .. } = self;
        format!("{name} is not installed, which {what}: {get}")
    }
}

/// # Errors
/// When one of `tools` is missing; the error names all that are.
pub(super) fn require(tools: &[&Tool]) -> Result<()> {
    if !cfg!(target_os = "linux") {
        bail!("the benchmark reads Linux' /proc: run it on Linux");
    }
    let missing = tools.iter().filter(|tool| !tool.is_installed());
    let missing = missing.map(|tool| tool.missing()).collect::<Vec<_>>();
    if !missing.is_empty() {
        bail!("{}", missing.join("\n  "));
    }
    Ok(())
}
