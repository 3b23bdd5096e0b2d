//! The peers: servers of others for the same tasks, in Python environments of their own.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result};

use super::sample::Protocol;
use crate::{
    local_service::{AUDIENCE, Files, ISSUER},
    process::program,
    python::{self, Python, Suite},
    root,
};

/// A peer.
#[derive(Debug)]
pub(super) struct Peer {
    /// Its name on the command line of `serve.py`.
    pub(super) name: &'static str,
    /// Its name in the report.
    pub(super) title: &'static str,
    pub(super) protocols: &'static [Protocol],
    suite: fn() -> Suite,
    /// Whether it is flytekit, which does not run on every Python.
    is_flytekit: bool,
    /// About how long a poll takes, in milliseconds: slow servers get fewer calls.
    pub(super) poll_ms: f64,
    /// The packages whose versions the report names.
    pub(super) packages: &'static [&'static str],
}

const SERVE: &str = "tests/bench/peers/serve.py";

/// All of them.
pub(super) static PEERS: [Peer; 4] = [
    Peer {
        name: "fastapi",
        title: "FastAPI and httpx",
        protocols: &[Protocol::Rest],
        suite: || python::BENCH_FASTAPI,
        is_flytekit: false,
        poll_ms: 2.0,
        packages: &["fastapi", "httpx", "uvicorn"],
    },
    Peer {
        name: "flyte2",
        title: "Flyte 2's connector",
        protocols: &[Protocol::Flyte2],
        suite: || python::BENCH_FLYTE2,
        is_flytekit: false,
        poll_ms: 2.0,
        packages: &["flyte", "flyteplugins-bigquery", "google-cloud-bigquery", "grpcio"],
    },
    Peer {
        name: "flytekit-metadata",
        title: "flytekit's connector, metadata",
        protocols: &[Protocol::Flyte1],
        suite: || python::BENCH_FLYTEKIT,
        is_flytekit: true,
        poll_ms: 8.0,
        packages: &[],
    },
    Peer {
        name: "flytekit-key",
        title: "flytekit's connector, key",
        protocols: &[Protocol::Flyte1],
        suite: || python::BENCH_FLYTEKIT,
        is_flytekit: true,
        poll_ms: 45.0,
        packages: &["flytekit", "flytekitplugins-bigquery", "google-cloud-bigquery", "grpcio"],
    },
];

impl PartialEq for Peer {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Peer {
    /// Installs it; otherwise says why it cannot be compared here.
    ///
    /// # Errors
    /// When its packages cannot be installed.
    pub(super) fn prepare(&self) -> Result<Option<String>> {
        let suite = (self.suite)();
        if !root().join(SERVE).exists() || !root().join(suite.requirements()).exists() {
            return Ok(Some(format!("{SERVE} or {} is missing", suite.requirements())));
        }
        if self.is_flytekit && !python::suits_flytekit() {
            return Ok(Some(python::FLYTEKITS_PYTHON.to_owned()));
        }
        let python = Python::prepare(suite)?;
        Ok(python.is_none().then(|| python::MISSING.to_owned()))
    }

    /// Starts it on `port`, with credentials and whatever else it writes in `directory`.
    pub(super) fn command(
        &self,
        files: &Files,
        mock: &str,
        port: u16,
        directory: &Path,
    ) -> Result<Command> {
        let mut command = program("python3");
        command
            .args([SERVE, self.name, "--python"])
            .arg((self.suite)().program("python"))
            .args(["--port", &port.to_string(), "--endpoint", mock, "--files"])
            .arg(directory)
            .env("PEER_SECRET", std::fs::read_to_string(&files.secret)?)
            .env("PEER_ISSUER", ISSUER)
            .env("PEER_AUDIENCE", AUDIENCE)
            .env("PYTHONDONTWRITEBYTECODE", "1");
        Ok(command)
    }

    /// The size of its Python environment in MiB.
    ///
    /// # Errors
    /// When `du` is missing.
    pub(super) fn installed_mib(&self) -> Result<f64> {
        let mut du = program("du");
        du.args(["--summarize", "--bytes"]).arg((self.suite)().directory());
        let output = du.output().context("cannot run du")?;
        let text = String::from_utf8(output.stdout)?;
        let bytes = text.split_whitespace().next().and_then(|bytes| bytes.parse::<f64>().ok());
        Ok(bytes.context("du printed no size")? / f64::from(1 << 20))
    }

    /// The versions of its packages, as `name version`.
    ///
    /// # Errors
    /// When its Python does not run.
    pub(super) fn versions(&self) -> Result<Vec<String>> {
        let mut command = program((self.suite)().program("python"));
        command.args(["-c", VERSIONS]).args(self.packages).stderr(Stdio::inherit());
        let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
        Ok(String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect())
    }
}

/// Prints Python's own version and those of the packages in its arguments that are installed.
const VERSIONS: &str = "
import platform, sys
from importlib.metadata import PackageNotFoundError, version
print('Python', platform.python_version())
for name in sys.argv[1:]:
    try:
        print(name, version(name))
    except PackageNotFoundError:
        pass
";
