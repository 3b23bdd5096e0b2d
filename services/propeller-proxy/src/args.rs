//! The command line.

use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use clap::Parser;
use http::uri::{Authority, Scheme};
use server_core::telemetry::TelemetryArgs;
use url::Url;

/// Gives FlytePropeller's calls a token and spreads them over a plugin's replicas.
///
/// A sidecar: propeller calls it on loopback, and it calls the plugin as the holder of the token.
/// Whoever can reach its listeners does so, too; keep them within the pod.
#[derive(Debug, Clone, Parser)]
#[command(name = "propeller-proxy", version)]
pub struct Args {
    /// Where one plugin's calls come in, and where they go: `127.0.0.1:8081=dns:///bigquery-headless.flyte:8000`.
    /// LISTEN is an address, or unix:///PATH. TARGET is dns:///HOST:PORT or http://HOST:PORT (HTTP/2
    /// without TLS), or https://HOST:PORT; name the headless Service. May be given more than once.
    #[arg(
        long = "route",
        env = "PROPELLER_PROXY_ROUTES",
        value_name = "LISTEN=TARGET",
        value_delimiter = ',',
        required = true
    )]
    pub routes: Vec<Route>,

    /// The file of the token that calls are given, a projected ServiceAccount token for example. Read
    /// again every five seconds.
    #[arg(long, env = "PROPELLER_PROXY_TOKEN_FILE", value_name = "FILE")]
    pub token_file: PathBuf,

    /// The authorities that plugins' certificates may be from, in PEM, instead of the system's. Of
    /// https targets alone. Read again when it changes.
    #[arg(long, env = "PROPELLER_PROXY_CA_FILE", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,

    /// Where /livez, /readyz, /metrics and /log-level are served.
    #[arg(
        long,
        env = "PROPELLER_PROXY_ADMIN_LISTEN",
        default_value = "0.0.0.0:9091",
        value_name = "ADDRESS"
    )]
    pub admin_listen: SocketAddr,

    /// How long a call waits for a replica while none can be reached; its own deadline may be shorter.
    #[arg(long, env = "PROPELLER_PROXY_WAIT", default_value = "5s", value_parser = server_core::duration::parse_duration)]
    pub wait: Duration,

    /// How long connections are accepted after SIGTERM: propeller gets its own at the same time, and
    /// has calls to make.
    #[arg(long, env = "PROPELLER_PROXY_DRAIN_DELAY", default_value = "5s", value_parser = server_core::duration::parse_duration)]
    pub drain_delay: Duration,

    /// How long running calls may take to finish after that.
    #[arg(long, env = "PROPELLER_PROXY_DRAIN_TIMEOUT", default_value = "30s", value_parser = server_core::duration::parse_duration)]
    pub drain_timeout: Duration,

    #[command(flatten)]
    #[allow(missing_docs, reason = "its own documents it")]
    pub telemetry: TelemetryArgs,
}

/// One plugin's way through the proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Where its calls come in.
    pub listen: Listen,
    /// Where they go.
    pub target: Target,
}

/// Where calls come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// A port.
    Tcp(SocketAddr),
    /// A socket in the file system.
    Unix(PathBuf),
}

/// Where calls go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// `http` or `https`.
    pub scheme: Scheme,
    /// Host and port.
    pub authority: Authority,
    /// What is looked up.
    pub host: String,
    /// The port of every replica.
    pub port: u16,
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
        let (listen, target) = text.split_once('=').ok_or("write LISTEN=TARGET")?;
        Ok(Self { listen: listen.parse()?, target: target.parse()? })
    }
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("unix:") {
            // As gRPC has it: unix:path or unix:///path.
            let path = path.strip_prefix("//").unwrap_or(path);
            return match path.is_empty() {
                true => Err(format!("{text:?} names no socket; write unix:///run/bigquery.sock")),
                false => Ok(Self::Unix(path.into())),
            };
        }
        let wrong = |_| format!("{text:?} is no address; write 127.0.0.1:8081 or unix:///PATH");
        text.parse().map(Self::Tcp).map_err(wrong)
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong =
            |why: &str| format!("{text:?}: {why}; write dns:///HOST:PORT or https://HOST:PORT");
        let plain = text.replacen("dns:///", "http://", 1);
        let url = Url::parse(&plain).map_err(|error| wrong(&error.to_string()))?;
        let scheme = match url.scheme() {
            "http" => Scheme::HTTP,
            "https" => Scheme::HTTPS,
            _ => return Err(wrong("the scheme is dns, http or https")),
        };
        let more = url.path() != "/" || url.query().is_some() || url.fragment().is_some();
        if more || !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("give no more than host and port"));
        }
        let host = url.host_str().ok_or_else(|| wrong("there is no host"))?.to_owned();
        let port = url.port_or_known_default().ok_or_else(|| wrong("there is no port"))?;
        let authority = format!("{host}:{port}");
        let authority = authority.parse().map_err(|_| wrong("this is no host"))?;
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
    fn routes_are_read_as_grpc_writes_them() {
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
            ("unix:bq.sock=http://[::1]:8000", "Unix(\"bq.sock\")", "[::1]:8000", false),
        ] {
            let route = route(text).unwrap();
            assert_eq!(format!("{:?}", route.listen), listen);
            assert_eq!(route.target.to_string(), target);
            assert_eq!(route.target.is_tls(), tls);
        }
    }

    #[test]
    fn the_readme_has_every_setting() {
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
    fn what_is_no_route_is_refused_in_words() {
        for (text, words) in [
            ("127.0.0.1:8081", "write LISTEN=TARGET"),
            ("localhost:8081=http://h:1", "is no address"),
            ("unix://=http://h:1", "names no socket"),
            ("127.0.0.1:1=bigquery:8000", "the scheme is dns, http or https"),
            ("127.0.0.1:1=http://h:1/path", "no more than host and port"),
            ("127.0.0.1:1=http://user@h:1", "no more than host and port"),
            ("127.0.0.1:1=dns:///", "write dns:///HOST:PORT"),
        ] {
            let error = route(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
