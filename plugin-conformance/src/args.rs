//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::{Parser, ValueEnum};
use plugin_core::testing::Dialect;
use secrecy::SecretString;
use server_core::{address::Unshown, duration::parse_timeout};
use url::Url;

use crate::task::TypeName;

/// Checks a running plugin service against the plugin contract (docs/plugin-contract.md), over REST and the
/// gRPC of Flyte 1 and Flyte 2.
///
/// Exits with 0 if every MUST holds, with 1 if one does not, and with 2 if the service cannot be reached or
/// the command line is wrong.
#[derive(Debug, Parser)]
#[command(name = "plugin-conformance", version)]
pub struct Args {
    /// URL of the service's API port, which has gRPC and REST.
    #[arg(long, default_value = "http://127.0.0.1:8000", value_parser = Unshown(parse_url))]
    pub url: Url,

    /// URL of the service's admin port, for /readyz and /metrics. Without it they are not checked.
    #[arg(long, value_parser = Unshown(parse_url))]
    pub admin_url: Option<Url>,

    /// Bearer token for every call. Processes of the same machine can see it; prefer --token-file.
    #[arg(long, env = "PLUGIN_CONFORMANCE_TOKEN", hide_env_values = true)]
    pub token: Option<SecretString>,

    /// File with the bearer token.
    #[arg(long, value_name = "FILE", conflicts_with = "token")]
    pub token_file: Option<PathBuf>,

    /// Certificate authorities to trust instead of the system's, in PEM, if the URL is https.
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,

    /// Task type to check, NAME or NAME:VERSION. Repeat it for several. Default: all that the service lists.
    #[arg(long, value_name = "NAME[:VERSION]")]
    pub task_type: Vec<TypeName>,

    /// File with a task that succeeds: a CreateTaskRequest as proto-JSON, which is also a body of REST.
    /// Repeat it for tasks of several types. Without one, nothing that takes a job is checked.
    #[arg(long, value_name = "FILE")]
    pub task: Vec<PathBuf>,

    /// File with a task that the vendor refuses for good, in the same form.
    #[arg(long, value_name = "FILE")]
    pub bad_task: Vec<PathBuf>,

    /// File with secrets, one a line, that no answer and no metric may contain.
    #[arg(long, value_name = "FILE")]
    pub canary_file: Option<PathBuf>,

    /// Protocols to check, separated by commas. Default: all.
    #[arg(long, value_delimiter = ',', value_enum)]
    pub protocol: Vec<Protocol>,

    /// How long a job may take until it ends.
    #[arg(long, default_value = "60s", value_parser = parse_timeout)]
    pub time_limit: Duration,

    /// How long a call may take.
    #[arg(long, default_value = "10s", value_parser = parse_timeout)]
    pub timeout: Duration,

    /// How long all checks together may take.
    #[arg(long, default_value = "15m", value_parser = parse_timeout)]
    pub max_time: Duration,

    /// How long to wait between the polls of a job.
    #[arg(long, default_value = "500ms", value_parser = parse_timeout)]
    pub poll_interval: Duration,

    /// Size of the message that is too large, in bytes. A service with a larger limit needs a larger one.
    #[arg(long, default_value_t = 32 << 20)]
    pub large_message: usize,

    /// File with what `outrigger check` found of the plugin's own server, as JSON: it becomes a part of the report.
    #[arg(long, value_name = "FILE", hide = true)]
    pub plugin_findings: Option<PathBuf>,

    /// Rules to check, by id or by group (`get`), separated by commas. Default: all.
    #[arg(long, value_delimiter = ',', value_name = "RULE")]
    pub only: Vec<String>,

    /// Prints the rules instead of checking them.
    #[arg(long)]
    pub list: bool,

    /// Form of the report.
    #[arg(long, value_enum, default_value = "text")]
    pub output: Output,

    /// File to write the report to as JUnit XML, beside the one that is printed.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
}

/// The form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// A line for each rule.
    Text,
    /// One JSON object.
    Json,
}

/// A protocol of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    /// gRPC as FlytePropeller 1.x uses it.
    Flyte1,
    /// gRPC as Flyte 2 uses it.
    Flyte2,
    /// REST.
    Rest,
}

impl Args {
    /// The protocols to check.
    pub(crate) fn dialects(&self) -> Vec<Dialect> {
        let named = |protocol: &Protocol| match protocol {
            Protocol::Flyte1 => Dialect::Flyte1,
            Protocol::Flyte2 => Dialect::Flyte2,
            Protocol::Rest => Dialect::Rest,
        };
        match self.protocol.is_empty() {
            true => Dialect::ALL.to_vec(),
            false => self.protocol.iter().map(named).collect(),
        }
    }
}

fn parse_url(text: &str) -> Result<Url, String> {
    let invalid = |reason: &str| format!("{reason}; use for example http://127.0.0.1:8000");
    let url = Url::parse(text).map_err(|error| invalid(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(invalid("the scheme must be http or https"));
    }
    let has_user = !url.username().is_empty() || url.password().is_some();
    if url.path() != "/" || url.query().is_some() || has_user {
        return Err(invalid("must have only a scheme, a host and a port"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_url_is_a_scheme_a_host_and_a_port() {
        for valid in ["http://127.0.0.1:8000", "https://bigquery.flyte:8000/", "http://[::1]:1"] {
            assert!(parse_url(valid).is_ok(), "{valid}");
        }
        for wrong in ["", "127.0.0.1:8000", "unix:/x", "http://h/path", "http://u@h", "http://h?q"]
        {
            assert!(parse_url(wrong).is_err(), "{wrong}");
        }
    }
}
