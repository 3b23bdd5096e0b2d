//! Commands that run Python, and are in the Python package alone. This program explains them, so that both have the same
//! help and the same errors.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Command, error::ErrorKind};
use xtask::exit::{Exit, usage};

/// What the Python package has against a command line. It asks this program to say so.
const MISUSE: &str = "OUTRIGGER_MISUSE";

/// Serves plugins to Flyte, or flytekit's connectors; comes with the Python package.
///
/// Runs the app, or a server in another language, on a private Unix socket, and the program `bridge` before it, which
/// speaks gRPC (Flyte 1 and 2) and REST, checks tokens, seals handles and enforces limits. Ends when either of them
/// ends.
#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    app: App,

    /// Restart the app when its files change.
    #[arg(long)]
    reload: bool,

    /// Serve flytekit's connectors instead of an app: those of the installed flytekitplugins, and of these modules.
    #[arg(long, value_name = "MODULE", num_args = 0.., help_heading = CONNECTORS)]
    connectors: Option<Vec<String>>,

    /// Task types to serve as jobs: NAME or NAME:VERSION, separated by commas.
    #[arg(long, value_name = "NAME,…", help_heading = CONNECTORS)]
    task_types: Option<String>,

    /// Task types to answer within the call: NAME or NAME:VERSION, separated by commas.
    #[arg(long, value_name = "NAME,…", help_heading = CONNECTORS)]
    sync_task_types: Option<String>,

    /// API port, for gRPC and REST.
    #[arg(long, env = "OUTRIGGER_PORT", default_value_t = 8000, help_heading = BRIDGE)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,

    /// Port of probes and metrics, without authentication.
    #[arg(long, env = "OUTRIGGER_ADMIN_PORT", default_value_t = 9090, help_heading = BRIDGE)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    admin_port: u16,

    /// Accept requests without a token, from this machine only.
    #[arg(long, conflicts_with = "auth", help_heading = BRIDGE)]
    insecure_no_auth: bool,

    /// YAML file of token issuers and rules.
    #[arg(long, value_name = "FILE", help_heading = BRIDGE)]
    auth: Option<PathBuf>,

    /// Files with the keys of job handles: `outrigger token new-key handle.key` makes one.
    #[arg(long, value_name = "FILE,…", help_heading = BRIDGE)]
    handle_keys: Option<String>,

    /// Flags of the bridge; `outrigger serve -- --help` lists them.
    #[arg(last = true, value_name = "BRIDGE FLAGS", help_heading = BRIDGE)]
    bridge_flags: Vec<String>,
}

const CONNECTORS: &str = "Connectors of flytekit";
const BRIDGE: &str = "Bridge";

/// An app in Python, or a server in another language, behind a bridge.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct App {
    /// The app that outrigger_plugin.serve made, for example my_plugin:app.
    #[arg(value_name = "MODULE:APP", conflicts_with = "command")]
    app: Option<String>,

    /// A server in another language, instead: it listens on the Unix socket that PLUGIN_SOCKET names.
    #[arg(long, value_name = "COMMAND")]
    command: Option<String>,

    /// The bridge [default: the one beside this program, or on PATH].
    #[arg(long, value_name = "PATH", help_heading = BRIDGE)]
    bridge: Option<PathBuf>,
}

impl App {
    /// Whether there is one.
    pub(crate) fn is_given(&self) -> bool {
        self.app.is_some() || self.command.is_some()
    }
}

/// Serves an app on a Unix socket, for a bridge in another container; comes with the Python package.
///
/// The socket is open to this process's user and group. Ends after SIGTERM or SIGINT, once its calls have finished,
/// with exit code 0.
#[derive(Debug, clap::Args)]
pub(crate) struct Listen {
    /// The app that outrigger_plugin.serve made, for example my_plugin:app.
    #[arg(value_name = "MODULE:APP")]
    app: String,

    /// The socket's path.
    #[arg(
        long,
        value_name = "PATH",
        env = "PLUGIN_SOCKET",
        default_value = "/run/outrigger/plugin.sock"
    )]
    socket: PathBuf,
}

/// Ends with what the Python package has against the command line of `command`, if it is that which runs this program;
/// otherwise says where the command is.
///
/// # Errors
/// Always: a wrong command line.
pub(crate) fn run(command: &str, mut line: Command) -> Result<Exit> {
    if let Ok(message) = std::env::var(MISUSE) {
        line.build();
        let command = line.find_subcommand_mut(command);
        return Err(command.map_or_else(
            || usage(message.clone()),
            |command| command.error(ErrorKind::ValueValidation, &message).exit(),
        ));
    }
    Err(usage(format!(
        "outrigger {command} runs a plugin's Python code, which this program cannot: install the wheel \
         outrigger_plugin-*.whl of Outrigger's release, or that of `cargo xtask wheel`"
    )))
}
