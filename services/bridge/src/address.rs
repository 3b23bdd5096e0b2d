//! Where the connectors listen: nowhere but on this machine, because requests carry secrets.

use std::{fmt, io, net::IpAddr, path::PathBuf};

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::{
    codegen::http::Uri,
    transport::{Channel, Endpoint},
};
use tower::service_fn;

use crate::links;

/// The most bytes of an answer's headers: connectors send tracebacks in them, and a longer one would end the connection
/// and every call on it.
const MAX_HEADERS: u32 = 8 << 20;

/// The longest path of a socket, in bytes: Linux' `sun_path` has 108, with the zero at its end.
const MAX_PATH: usize = 107;

/// The host of a socket, which has none.
const LOCALHOST: &str = "localhost";

/// An address of connectors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    Socket(PathBuf),
    Loopback { host: IpAddr, port: u16 },
}

impl Address {
    /// Reads `unix:/path` or `http://127.0.0.1:port`.
    ///
    /// # Errors
    /// What is wrong, for the command line.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        const FORM: &str = "expected unix:/path/to/socket or http://127.0.0.1:PORT";
        if let Some(path) = text.strip_prefix("unix:") {
            let path = PathBuf::from(path.strip_prefix("//").unwrap_or(path));
            if !path.is_absolute() {
                return Err(FORM.to_owned());
            }
            let length = path.as_os_str().len();
            if length > MAX_PATH {
                return Err(format!(
                    "the path has {length} bytes, and that of a socket {MAX_PATH} at most"
                ));
            }
            return Ok(Self::Socket(path));
        }
        let uri = text.parse::<Uri>().map_err(|_| FORM)?;
        let has_user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
        let is_bare = matches!(uri.path(), "" | "/") && uri.query().is_none() && !has_user;
        let (Some("http"), Some(host), Some(port), true) =
            (uri.scheme_str(), uri.host(), uri.port_u16(), is_bare)
        else {
            return Err(FORM.to_owned());
        };
        let host = if host == "localhost" { "127.0.0.1" } else { host };
        match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(host) if host.is_loopback() => Ok(Self::Loopback { host, port }),
            _ => Err(format!("{FORM}: secrets go there, so that it must be on this machine")),
        }
    }

    /// The host, as metrics and traces name it.
    pub(crate) fn host(&self) -> String {
        match self {
            Self::Socket(_) => LOCALHOST.to_owned(),
            Self::Loopback { host, .. } => host.to_string(),
        }
    }

    /// Whether what listens there is what the operator means: no link on the way to a socket that anyone could replace.
    ///
    /// # Errors
    /// `PermissionDenied`, with the link.
    pub(crate) fn check(&self) -> io::Result<()> {
        match self {
            Self::Socket(path) => links::check(path),
            Self::Loopback { .. } => Ok(()),
        }
    }

    /// A channel that connects with its first call, and again whenever a connection is lost.
    ///
    /// # Errors
    /// When the address is no URI, which [`parse`](Self::parse) excludes.
    pub(crate) fn channel(&self) -> Result<Channel, tonic::transport::Error> {
        match self {
            Self::Loopback { .. } => {
                let endpoint = Endpoint::from_shared(self.to_string())?;
                Ok(endpoint.http2_max_header_list_size(MAX_HEADERS).connect_lazy())
            }
            Self::Socket(path) => {
                let path = path.clone();
                let connect = move |_| {
                    let path = path.clone();
                    async move {
                        // A few calls of the kernel, of which none waits.
                        links::check(&path)?;
                        UnixStream::connect(path).await.map(TokioIo::new)
                    }
                };
                // A socket has no authority; connectors see this one.
                let endpoint = Endpoint::from_static("http://localhost")
                    .http2_max_header_list_size(MAX_HEADERS);
                Ok(endpoint.connect_with_connector_lazy(service_fn(connect)))
            }
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "unix:{}", path.display()),
            Self::Loopback { host: IpAddr::V6(host), port } => write!(f, "http://[{host}]:{port}"),
            Self::Loopback { host, port } => write!(f, "http://{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_and_loopback_are_addresses() {
        for (text, expected) in [
            ("unix:/run/outrigger/plugin.sock", "unix:/run/outrigger/plugin.sock"),
            ("unix:///run/plugin.sock", "unix:/run/plugin.sock"),
            ("http://127.0.0.1:8001", "http://127.0.0.1:8001"),
            ("http://127.1.2.3:1/", "http://127.1.2.3:1"),
            ("http://localhost:8001", "http://127.0.0.1:8001"),
            ("http://[::1]:8001", "http://[::1]:8001"),
        ] {
            assert_eq!(Address::parse(text).unwrap().to_string(), expected);
        }
    }

    #[test]
    fn other_machines_are_refused() {
        for text in [
            "",
            "unix:",
            "unix:plugin.sock",
            "plugin.sock",
            "127.0.0.1:8001",
            "http://127.0.0.1",
            "https://127.0.0.1:8001",
            "http://127.0.0.1:8001/path",
            "http://10.0.0.1:8001",
            "http://connector:8001",
            "http://127.0.0.1.example.com:8001",
            "http://user@127.0.0.1@example.com:80",
            "http://user:hunter2@127.0.0.1:8001",
        ] {
            assert!(Address::parse(text).unwrap_err().starts_with("expected unix:"), "{text}");
        }
        let longest = format!("unix:/{}", "x".repeat(106));
        assert!(Address::parse(&longest).is_ok());
        assert!(Address::parse(&format!("{longest}x")).unwrap_err().contains("108 bytes"));
        assert!(Address::parse("http://10.0.0.1:80").unwrap_err().ends_with("on this machine"));
    }
}
