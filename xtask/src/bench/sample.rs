//! Checked calls to a server, and the requests that a load repeats: made by the program `sample-call`.

use std::{net::SocketAddr, path::Path, process::Stdio};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::programs;
use crate::{
    local_service::{AUDIENCE, Files, ISSUER},
    process::program,
    root,
};

/// A protocol that a server is called with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// gRPC of Flyte 1.
    Flyte1,
    /// gRPC of Flyte 2.
    Flyte2,
    /// REST over HTTP/1.1.
    Rest,
}

impl Protocol {
    /// Its name on `sample-call`'s command line.
    fn argument(self) -> &'static str {
        match self {
            Self::Flyte1 => "flyte1",
            Self::Flyte2 => "flyte2",
            Self::Rest => "rest",
        }
    }

    /// Its name in the report.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Flyte1 => "gRPC",
            Self::Flyte2 => "gRPC, Flyte 2",
            Self::Rest => "REST",
        }
    }

    /// A request as Flyte sends it, of which each job gets a copy.
    fn task(self) -> &'static str {
        match self {
            Self::Flyte2 => "tests/golden/v2/bq_scalars.pb",
            Self::Flyte1 | Self::Rest => "tests/golden/v1/bq_scalars.pb",
        }
    }
}

/// What `sample-call` prints.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Sample {
    pub(super) headers: Vec<String>,
    pub(super) creates: Creates,
    pub(super) poll: Poll,
}

/// Creates, with a body for each job.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Creates {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) bodies: Vec<String>,
    /// The size of an answer's body.
    pub(super) bytes: u64,
}

/// Polls of all jobs.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Poll {
    /// Of the first job's poll, for REST.
    pub(super) path: String,
    /// For gRPC: a file for each job.
    pub(super) bodies: Vec<String>,
    /// For REST: a file with the path of each job's poll.
    pub(super) paths: Option<String>,
    /// The size of the body that answers the first job's poll, and over gRPC every job's.
    pub(super) bytes: u64,
}

impl Sample {
    /// Creates `jobs` jobs on the server and polls the first of them. Requests are written to `directory`.
    ///
    /// # Errors
    /// When an answer is not what it should be.
    pub(super) fn make(
        address: SocketAddr,
        protocol: Protocol,
        jobs: usize,
        files: &Files,
        directory: &Path,
    ) -> Result<Self> {
        let mut command = program(programs::bench("sample-call"));
        command
            .arg(format!("--address={address}"))
            .args(["--protocol", protocol.argument(), "--jobs", &jobs.to_string()])
            .args(["--issuer", ISSUER, "--audience", AUDIENCE, "--secret-file"])
            .arg(&files.secret)
            .arg("--task")
            .arg(root().join(protocol.task()))
            .arg("--directory")
            .arg(directory);
        let output = command.stdin(Stdio::null()).output().context("cannot run sample-call")?;
        if !output.status.success() {
            bail!("a call was not answered well: {}", String::from_utf8_lossy(&output.stderr));
        }
        serde_json::from_slice(&output.stdout).context("sample-call printed something else")
    }
}
