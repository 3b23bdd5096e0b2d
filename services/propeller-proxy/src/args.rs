//! The command line.

use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use clap::Parser;
use http::uri::{Authority, Scheme};
use server_core::{address::Unshown, telemetry::TelemetryArgs};
use url::Url;

/// A sidecar proxy for FlytePropeller that adds a token to its calls and balances them over replicas.
///
/// Propeller calls it on loopback, and it calls the plugin's service with the token. Anyone who can reach
/// its listeners can make calls with this token, so keep them within the pod.
#[derive(Debug, Clone, Parser)]
#[command(name = "propeller-proxy", version)]
pub struct Args {
    /// Route of one plugin, for example `127.0.0.1:8081=dns:///bigquery-headless.flyte:8000`. LISTEN is an
    /// address or unix:///PATH (absolute). TARGET is dns:///HOST:PORT or http://HOST:PORT (HTTP/2 without TLS), or
    /// https://HOST:PORT; HOST must be the headless Service. May be repeated.
    #[arg(
        long = "route",
        env = "PROPELLER_PROXY_ROUTES",
        value_name = "LISTEN=TARGET",
        value_delimiter = ',',
        required = true,
        value_parser = Unshown(Route::from_str)
    )]
    pub routes: Vec<Route>,

    /// File with the token to send, for example a projected ServiceAccount token. Reloaded every five
    /// seconds.
    #[arg(long, env = "PROPELLER_PROXY_TOKEN_FILE", value_name = "FILE")]
    pub token_file: PathBuf,

    /// File with the CA certificates that https targets are verified with, in PEM, instead of the system's.
    /// Reloaded when it changes.
    #[arg(long, env = "PROPELLER_PROXY_CA_FILE", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,

    /// Address on which /livez, /readyz, /metrics and /log-level are served.
    #[arg(
        long,
        env = "PROPELLER_PROXY_ADMIN_LISTEN",
        default_value = "0.0.0.0:9091",
        value_name = "ADDRESS",
        value_parser = server_core::address::parse_address
    )]
    pub admin_listen: SocketAddr,

    /// How long a call waits while no replica is reachable; its own deadline may be shorter.
    #[arg(long, env = "PROPELLER_PROXY_WAIT", default_value = "5s", value_parser = server_core::duration::parse_duration)]
    pub wait: Duration,

    /// How long connections are still accepted after SIGTERM: propeller receives SIGTERM at the same time
    /// and may still make calls.
    #[arg(long, env = "PROPELLER_PROXY_DRAIN_DELAY", default_value = "5s", value_parser = server_core::duration::parse_duration)]
    pub drain_delay: Duration,

    /// How long running calls may take to finish after the drain delay.
    #[arg(long, env = "PROPELLER_PROXY_DRAIN_TIMEOUT", default_value = "30s", value_parser = server_core::duration::parse_duration)]
    pub drain_timeout: Duration,

    #[command(flatten)]
    #[allow(missing_docs, reason = "TelemetryArgs documents its own arguments")]
    pub telemetry: TelemetryArgs,
}

/// The route of one plugin's calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The listener for incoming calls.
    pub listen: Listen,
    /// The service that they are forwarded to.
    pub target: Target,
}

/// An address to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// A TCP address.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

/// A service to forward calls to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// `http` or `https`.
    pub scheme: Scheme,
    /// Host and port.
    pub authority: Authority,
    /// The name that is looked up in DNS.
    pub host: String,
    /// The port of every replica.
    pub port: u16,
}

impl Listen {
    /// Whether other hosts may reach it.
    #[must_use]
    pub fn is_remote(&self) -> bool {
        match self {
            Self::Tcp(address) => !address.ip().is_loopback(),
            Self::Unix(_) => false,
        }
    }
}

impl Target {
    /// Whether its replicas speak TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.authority.fmt(f)
    }
}

impl FromStr for Route {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (listen, target) = text.split_once('=').ok_or("expected LISTEN=TARGET")?;
        Ok(Self { listen: listen.parse()?, target: target.parse()? })
    }
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("unix:") {
            // gRPC's syntax: unix:/path or unix:///path. A relative one would depend on the working directory.
            let path = PathBuf::from(path.strip_prefix("//").unwrap_or(path));
            return match path.is_absolute() {
                true => Ok(Self::Unix(path)),
                false => Err(format!(
                    "{text:?} has no absolute path; expected for example unix:///run/bigquery.sock"
                )),
            };
        }
        let invalid =
            |_| format!("{text:?} is not an address; expected 127.0.0.1:8081 or unix:///PATH");
        text.parse().map(Self::Tcp).map_err(invalid)
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // It may contain a password by mistake.
        let invalid = |reason: &str| {
            format!("the target: {reason}; expected dns:///HOST:PORT or https://HOST:PORT")
        };
        let plain = text.replacen("dns:///", "http://", 1);
        let url = Url::parse(&plain).map_err(|error| invalid(&error.to_string()))?;
        let scheme = match url.scheme() {
            "http" => Scheme::HTTP,
            "https" => Scheme::HTTPS,
            _ => return Err(invalid("the scheme must be dns, http or https")),
        };
        let more = url.path() != "/" || url.query().is_some() || url.fragment().is_some();
        if more || !url.username().is_empty() || url.password().is_some() {
            return Err(invalid("only a host and a port are allowed"));
        }
        let host = url.host_str().ok_or_else(|| invalid("the host is missing"))?.to_owned();
        let port = url.port_or_known_default().ok_or_else(|| invalid("the port is missing"))?;
        let authority = format!("{host}:{port}");
        let authority = authority.parse().map_err(|_| invalid("the host is not valid"))?;
        Ok(Self { scheme, authority, host, port })
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn route(text: &str) -> Result<Route, String> {
        text.parse()
    }

    #[test]
    fn routes_use_grpc_name_syntax() {
        for (text, listen, target, tls) in [
            (
                "127.0.0.1:8081=dns:///bigquery-headless.flyte:8000",
                "Tcp(127.0.0.1:8081)",
                "bigquery-headless.flyte:8000",
                false,
            ),
            ("[::1]:1=http://10.0.0.7:8000", "Tcp([::1]:1)", "10.0.0.7:8000", false),
            (
                "unix:///run/bq.sock=https://bigquery.flyte",
                "Unix(\"/run/bq.sock\")",
                "bigquery.flyte:443",
                true,
            ),
            ("unix:/bq.sock=http://[::1]:8000", "Unix(\"/bq.sock\")", "[::1]:8000", false),
        ] {
            let route = route(text).unwrap();
            assert_eq!(format!("{:?}", route.listen), listen);
            assert_eq!(route.target.to_string(), target);
            assert_eq!(route.target.is_tls(), tls);
        }
    }

    #[test]
    fn only_loopback_and_sockets_are_local() {
        for (listen, remote) in [
            ("127.0.0.1:1", false),
            ("127.8.8.8:1", false),
            ("[::1]:1", false),
            ("unix:///run/bq.sock", false),
            ("0.0.0.0:1", true),
            ("[::]:1", true),
            ("10.0.0.7:1", true),
        ] {
            assert_eq!(listen.parse::<Listen>().unwrap().is_remote(), remote, "{listen}");
        }
    }

    #[test]
    fn readme_lists_every_setting() {
        let readme = include_str!("../README.md");
        let command = Args::command();
        let own = command.get_arguments().filter(|argument| argument.get_help_heading().is_none());
        let mut settings = 0;
        for argument in own {
            let variable = argument.get_env().unwrap().to_string_lossy();
            let row = format!("| `--{}` | `{variable}` |", argument.get_long().unwrap());
            let row = readme.lines().find(|line| line.starts_with(&row));
            let row = row.unwrap_or_else(|| panic!("{variable}"));
            for default in argument.get_default_values() {
                assert!(row.contains(&format!("`{}`", default.to_string_lossy())), "{row}");
            }
            settings += 1;
        }
        assert_eq!(settings, readme.matches("| `--").count());
    }

    #[test]
    fn invalid_routes_are_rejected_with_the_expected_syntax() {
        for (text, message) in [
            ("127.0.0.1:8081", "expected LISTEN=TARGET"),
            ("localhost:8081=http://h:1", "is not an address"),
            ("unix:=http://h:1", "has no absolute path"),
            ("unix://=http://h:1", "has no absolute path"),
            ("unix:bq.sock=http://h:1", "has no absolute path"),
            ("unix://bq.sock=http://h:1", "has no absolute path"),
            ("unix://run/bq.sock=http://h:1", "expected for example unix:///run/bigquery.sock"),
            ("127.0.0.1:1=bigquery:8000", "the scheme must be dns, http or https"),
            ("127.0.0.1:1=http://h:1/path", "only a host and a port"),
            ("127.0.0.1:1=http://user@h:1", "only a host and a port"),
            ("127.0.0.1:1=dns:///", "expected dns:///HOST:PORT"),
        ] {
            let error = route(text).unwrap_err();
            assert!(error.contains(message), "{text}: {error}");
        }
    }
}
