//! The mock vendor behind a server.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::Stdio,
};

use anyhow::{Context as _, Result, ensure};

use super::{
    cores::{Core, pinned},
    programs,
};
use crate::process::{Background, program};

/// A running mock.
pub(super) struct Mock {
    _process: Background,
    /// `http://host:port`.
    pub(super) url: String,
    pub(super) address: SocketAddr,
}

impl Mock {
    /// Starts a mock that takes `delay` milliseconds for each call.
    ///
    /// # Errors
    /// When it does not start.
    pub(super) fn start(delay: u32) -> Result<Self> {
        let mut command = program(programs::bench("mock-vendor"));
        command.arg(format!("--delay={delay}"));
        let mut process = Background::start(pinned(&command, Core::Load).stdout(Stdio::piped()))?;
        let url = process.first_line()?;
        let address = url.trim_start_matches("http://").parse();
        let address = address.with_context(|| format!("the mock vendor printed {url:?}"))?;
        Ok(Self { _process: process, url, address })
    }

    /// How many calls of the jobs API have come so far.
    ///
    /// # Errors
    /// When it does not answer.
    pub(super) fn calls(&self) -> Result<u64> {
        let answer = self.get("/calls")?;
        answer.trim().parse().with_context(|| format!("the mock vendor answered {answer:?}"))
    }

    /// The body of the answer to a GET.
    ///
    /// # Errors
    /// When it does not answer, or not with a success.
    pub(super) fn get(&self, path: &str) -> Result<String> {
        get(self.address, path)
    }
}

/// The body of a GET's answer.
///
/// # Errors
/// When there is no answer, or none with a success.
pub(super) fn get(address: SocketAddr, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    ensure!(answer.starts_with("HTTP/1.1 200"), "{path} was answered with {answer}");
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    body.context("the answer has no body")
}
