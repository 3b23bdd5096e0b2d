//! The servers that are compared, and how each is started.

use std::{
    fs::File,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use super::{
    cores::{Core, behind, pinned},
    mock::{self, Mock},
    peer::Peer,
    programs,
    sample::{Protocol, Sample},
};
use crate::{
    image,
    local_service::{AUDIENCE, Files, ISSUER, free_address},
    process::{Background, program, write},
    root, target,
};

/// A server to compare.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Server {
    /// Our service. Polls are answered from views that are at most `freshness` old; `0s` turns views off.
    Service { freshness: &'static str },
    /// The same vendor as a file of the service of declared plugins, without views.
    File,
    /// The bare proxy of `tests/bench`.
    Bare,
    /// A server of others, in Python.
    Peer(&'static Peer),
    /// Our bridge before such a server.
    Bridge(&'static Peer),
}

/// The task type of the mock's jobs.
const TASK_TYPE: &str = "bigquery_query_job_task";

/// How long a server may take to start.
const STARTS_WITHIN: Duration = Duration::from_secs(120);
/// How many different creates a load consists of: equal ones in flight are joined by the service.
pub(super) const CREATES_AT_ONCE: usize = 8;

/// A server in front of a mock, both running.
pub(super) struct Running {
    process: Background,
    pub(super) server: Server,
    pub(super) mock: Mock,
    /// What stands between the server and the mock.
    _behind: Option<Background>,
    grpc: SocketAddr,
    rest: SocketAddr,
    /// Where it says whether it is ready, if it is not as soon as it accepts connections.
    admin: Option<SocketAddr>,
    log: PathBuf,
}

impl Server {
    /// Its name in the report.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Service { freshness: "0s" } => "Outrigger",
            Self::Service { .. } => "Outrigger, views",
            Self::File => "Outrigger, a file",
            Self::Bare => "bare proxy",
            Self::Peer(peer) => peer.title,
            Self::Bridge(_) => "bridge before Flyte 2's connector",
        }
    }

    /// The protocols that it is called with.
    pub(super) fn protocols(self) -> &'static [Protocol] {
        match self {
            Self::Service { .. } | Self::File | Self::Bare => &[Protocol::Flyte1, Protocol::Rest],
            Self::Peer(peer) | Self::Bridge(peer) => peer.protocols,
        }
    }

    /// Whether it is ours.
    pub(super) fn is_ours(self) -> bool {
        matches!(self, Self::Service { .. } | Self::File | Self::Bridge(_))
    }

    /// Whether polls are answered from views. Creates of such a server are not measured: they cost what those
    /// of the service without views cost, and would make its lists longer and longer.
    pub(super) fn answers_from_views(self) -> bool {
        matches!(self, Self::Service { freshness } if freshness != "0s")
    }

    /// Where its files are, below `target/`.
    fn directory(self) -> String {
        let name = match self {
            Self::Service { freshness } => format!("service-{freshness}"),
            Self::File => "file".to_owned(),
            Self::Bare => "bare".to_owned(),
            Self::Peer(peer) => peer.name.to_owned(),
            Self::Bridge(peer) => format!("bridge-{}", peer.name),
        };
        format!("bench/{name}")
    }

    /// Starts it behind a mock that takes `delay` milliseconds, and waits until it accepts connections.
    ///
    /// # Errors
    /// When it does not.
    pub(super) fn start(self, files: &Files, delay: u32) -> Result<Running> {
        self.start_behind(&[], files, delay)
    }

    /// The same, as an argument of the program `prefix`.
    pub(super) fn start_behind(
        self,
        prefix: &[&str],
        files: &Files,
        delay: u32,
    ) -> Result<Running> {
        let mut prepared = self.prepare(files, delay)?;
        let command = behind(prefix, &prepared.command);
        let process = prepared.spawn(&command)?;
        let mut running = prepared.running(process);
        running.wait_for_connections()?;
        Ok(running)
    }

    /// A mock, free ports and the command that starts the server.
    pub(super) fn prepare(self, files: &Files, delay: u32) -> Result<Prepared> {
        let mock = Mock::start(delay)?;
        let log = target(&self.directory()).join("log");
        write(&log, "")?;
        let (grpc, other) = (free_address(0)?, free_address(0)?);
        let mut behind = None;
        let command = match self {
            Self::Bridge(peer) => {
                let port = free_address(0)?.port();
                let directory = target(&self.directory());
                behind = Some(connector(peer, files, &mock, port, &directory)?);
                bridge(files, port, grpc, other)
            }
            Self::Service { freshness } => {
                let mut service = files.service(&programs::service(), &mock.url, grpc, other);
                let (variable, value) = image::ENVIRONMENT;
                service.env("PLUGIN_POLL_FRESHNESS", freshness).env(variable, value);
                service
            }
            Self::File => {
                let mut service = files.service(&programs::declarative(), &mock.url, grpc, other);
                service.arg("--files").arg(root().join(programs::FILE));
                service.env("PLUGIN_POLL_FRESHNESS", "0s");
                service.env(image::ENVIRONMENT.0, image::ENVIRONMENT.1);
                service
            }
            Self::Bare => bare(files, &mock, grpc, other)?,
            Self::Peer(peer) => {
                peer.command(files, &mock.url, grpc.port(), &target(&self.directory()))?
            }
        };
        let rest = if matches!(self, Self::Bare) { other } else { grpc };
        let admin = matches!(self, Self::Bridge(_)).then_some(other);
        Ok(Prepared { server: self, mock, behind, grpc, rest, admin, log, command })
    }
}

/// A bridge that is ready once it has found what listens on `port`.
fn bridge(files: &Files, port: u16, grpc: SocketAddr, admin: SocketAddr) -> Command {
    let mut bridge = files.listening(&programs::bridge(), grpc, admin);
    let (variable, value) = image::ENVIRONMENT;
    bridge
        .arg(format!("--upstream=http://127.0.0.1:{port}"))
        .args(["--protocol=flyte2", &format!("--task-types={TASK_TYPE}")])
        .env(variable, value);
    bridge
}

/// The connectors behind a bridge, on the core on which they are measured alone. They have no time to wait for each other:
/// calls are made one after the other.
fn connector(
    peer: &Peer,
    files: &Files,
    mock: &Mock,
    port: u16,
    directory: &Path,
) -> Result<Background> {
    let log = directory.join("connector.log");
    write(&log, "")?;
    let log = File::create(log)?;
    let command = peer.command(files, &mock.url, port, directory)?;
    let mut command = pinned(&command, Core::Server);
    Background::start(command.stdout(log.try_clone()?).stderr(log))
}

fn bare(files: &Files, mock: &Mock, grpc: SocketAddr, rest: SocketAddr) -> Result<Command> {
    let mut bare = program(programs::bench("bare-proxy"));
    bare.arg(format!("--grpc={grpc}"))
        .arg(format!("--rest={rest}"))
        .args(["--endpoint", &mock.url, "--issuer", ISSUER, "--audience", AUDIENCE])
        .env("BARE_PROXY_SECRET", std::fs::read_to_string(&files.secret)?);
    Ok(bare)
}

/// A server that is about to be started.
pub(super) struct Prepared {
    server: Server,
    mock: Mock,
    behind: Option<Background>,
    grpc: SocketAddr,
    rest: SocketAddr,
    admin: Option<SocketAddr>,
    log: PathBuf,
    command: Command,
}

impl Prepared {
    /// Starts the server on its core.
    pub(super) fn spawn_server(&mut self) -> Result<Background> {
        let command = behind(&[], &self.command);
        self.spawn(&command)
    }

    fn spawn(&mut self, command: &Command) -> Result<Background> {
        let log = File::create(&self.log)?;
        let mut command = pinned(command, Core::Server);
        Background::start(command.stdout(log.try_clone()?).stderr(log))
    }

    /// The server with the process that was started.
    pub(super) fn running(self, process: Background) -> Running {
        let Self { server, mock, behind, grpc, rest, admin, log, .. } = self;
        Running { process, server, mock, _behind: behind, grpc, rest, admin, log }
    }

    /// The file with what it prints.
    pub(super) fn log(&self) -> String {
        self.log.display().to_string()
    }

    /// Where it will listen.
    pub(super) fn address(&self, protocol: Protocol) -> SocketAddr {
        if protocol == Protocol::Rest { self.rest } else { self.grpc }
    }
}

impl Running {
    /// Where it listens.
    pub(super) fn address(&self, protocol: Protocol) -> SocketAddr {
        if protocol == Protocol::Rest { self.rest } else { self.grpc }
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Creates and polls jobs, as [`Sample::make`] does.
    ///
    /// # Errors
    /// When an answer is not what it should be; the error has the server's log.
    pub(super) fn sample(&self, files: &Files, protocol: Protocol, jobs: usize) -> Result<Sample> {
        let directory = self.directory(protocol);
        Sample::make(self.address(protocol), protocol, jobs, files, &directory).with_context(|| {
            format!("{}, {}: log {}", self.server.name(), protocol.name(), self.log.display())
        })
    }

    /// Where the requests of a protocol are.
    pub(super) fn directory(&self, protocol: Protocol) -> PathBuf {
        self.log.parent().unwrap_or(Path::new("")).join(protocol.name())
    }

    fn is_ready(&self) -> bool {
        let accept = [self.grpc, self.rest].iter().all(|it| TcpStream::connect(it).is_ok());
        accept && self.admin.is_none_or(|admin| mock::get(admin, "/readyz").is_ok())
    }

    fn wait_for_connections(&mut self) -> Result<()> {
        let deadline = Instant::now() + STARTS_WITHIN;
        while !self.is_ready() {
            if !self.process.is_running() || Instant::now() > deadline {
                let log = std::fs::read_to_string(&self.log).unwrap_or_default();
                bail!("{} did not start:\n{log}", self.server.name());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}
