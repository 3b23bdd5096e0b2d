//! `<service> health-check`: asks a running service for its gRPC health, for probes that run a command.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use clap::{Args, FromArgMatches as _, error::ErrorKind};
use hyper_util::rt::TokioIo;
use server_core::{
    Error, Kind, Result, address::Unshown, duration::parse_timeout, tls::client_config,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    time::{Instant, timeout_at},
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{self, CertificateError, ClientConfig, pki_types::ServerName},
};
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint},
};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use url::Url;

use super::arguments::with_args;
use crate::server::args::ServerArgs;

const NAME: &str = "health-check";

/// The arguments of the subcommand.
#[derive(Debug, Clone, Args)]
pub(crate) struct HealthCheck {
    /// URL of the service's API port: `http://host[:port]`, or `https://host[:port]` if it has a
    /// certificate. By default the port of --listen (PLUGIN_LISTEN) on this machine.
    #[arg(value_name = "URL", value_parser = Unshown(parse_url))]
    url: Option<Url>,

    /// Certificate authorities to trust instead of the system's, in PEM.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,

    /// Timeout of the whole check.
    #[arg(long, default_value = "5s", value_parser = parse_timeout)]
    timeout: Duration,
}

/// The subcommand.
pub(crate) fn command() -> clap::Command {
    with_args::<HealthCheck>(clap::Command::new(NAME).about(
        "Asks a running service for its gRPC health status: prints SERVING and exits with 0, or prints \
         the reason and exits with 1",
    ))
}

fn parse_url(text: &str) -> Result<Url, String> {
    let invalid = |reason: &str| format!("{reason}; use for example http://bigquery.flyte:8000");
    let url = Url::parse(text).map_err(|error| invalid(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(invalid("the scheme must be http, or https if the service has a certificate"));
    }
    if url.path() != "/" || url.query().is_some() || has_user(&url) {
        return Err(invalid("must have only a scheme, a host and a port"));
    }
    Ok(url)
}

fn has_user(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

/// The URL of the service configured by the same command line and environment.
fn local_url(matches: &clap::ArgMatches) -> Result<Option<Url>, clap::Error> {
    let Ok(server) = ServerArgs::from_arg_matches(matches) else {
        return Ok(None);
    };
    if server.tls_certificate.is_some() {
        return Err(clap::Error::raw(
            ErrorKind::MissingRequiredArgument,
            "the service has a certificate (--tls-certificate), which is for a host name: pass a URL with \
             that name, for example https://bigquery.flyte:8000, and --ca-file\n",
        ));
    }
    Ok(loopback_url(server.listen).ok())
}

/// The URL of a service that listens on `address`, from the same machine.
fn loopback_url(mut address: SocketAddr) -> Result<Url> {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    Url::parse(&format!("http://{address}")).map_err(Error::internal)
}

impl HealthCheck {
    /// The check that a command line asks for, if any.
    ///
    /// # Errors
    /// An error about the command line.
    pub(crate) fn requested(matches: &clap::ArgMatches) -> Result<Option<Self>, clap::Error> {
        let Some(own) = matches.subcommand_matches(NAME) else {
            return Ok(None);
        };
        let check = Self::from_arg_matches(own)?;
        let url = match check.url {
            Some(url) => Some(url),
            None => local_url(matches)?,
        };
        Ok(Some(Self { url, ..check }))
    }

    /// Runs the check and prints the health status.
    ///
    /// # Errors
    /// Why the service is not serving, or cannot be reached.
    pub(crate) async fn run(self) -> Result<()> {
        let url = self.url.ok_or_else(|| Error::internal("no URL"))?;
        let status = health(&url, self.ca_file.as_deref(), self.timeout).await?;
        println!("{status}");
        if status == SERVING { Ok(()) } else { Err(not_serving(&url)) }
    }
}

/// The health status of a service that serves.
pub const SERVING: &str = "SERVING";

fn not_serving(url: &Url) -> Error {
    Error::unavailable(format!(
        "{url} is not serving: it is starting or shutting down, or has no issuer's keys; its log and GET /readyz \
         on its admin port give the reason"
    ))
}

/// The gRPC health status of the service at `url`, as `grpc.health.v1` names it: [`SERVING`], or another.
///
/// Certificates are verified with the authorities in `ca_file` instead of the system's. Takes `limit` at most.
///
/// # Errors
/// Why it cannot be asked, and what to look at.
pub async fn health(url: &Url, ca_file: Option<&Path>, limit: Duration) -> Result<&'static str> {
    let tls = match url.scheme() {
        "https" => Some(client_config(ca_file).await?),
        _ => None,
    };
    Ok(ask(url, tls, Instant::now() + limit).await?.as_str_name())
}

/// Reports each step's failure with a message of its own, because a failing probe has to be fixed quickly.
async fn ask(
    url: &Url,
    tls: Option<Arc<ClientConfig>>,
    deadline: Instant,
) -> Result<ServingStatus> {
    let timed_out =
        |step: &str| Error::new(Kind::DeadlineExceeded, format!("{url}: timed out {step}"));
    let connecting = timeout_at(deadline, connect(url)).await;
    let stream = connecting.map_err(|_| {
        timed_out("connecting (is the address wrong, or a NetworkPolicy or firewall in the way?)")
    })??;
    let asking = async {
        match tls {
            Some(tls) => call(url, secured(url, tls, stream).await?).await,
            None => call(url, stream).await,
        }
    };
    let asking = timeout_at(deadline, asking).await;
    asking.map_err(|_| {
        timed_out("waiting for a response to an accepted connection (does it hang?)")
    })?
}

/// The host of `url`; an IPv6 address without the brackets of URLs.
fn host(url: &Url) -> &str {
    url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
}

async fn connect(url: &Url) -> Result<TcpStream> {
    let (host, port) = (host(url), url.port_or_known_default().unwrap_or_default());
    let resolved = lookup_host((host, port)).await.map_err(|_| {
        Error::unavailable(format!(
            "{url}: cannot resolve the host {host} (is the name or namespace wrong, or DNS down?)"
        ))
    })?;
    let addresses = resolved.collect::<Vec<_>>();
    TcpStream::connect(&*addresses).await.map_err(|error| {
        let message = match error.kind() {
            io::ErrorKind::ConnectionRefused => {
                "connection refused (is the service up, and is this its API port?)"
            }
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                "no route to the host (is the address wrong, or a NetworkPolicy in the way?)"
            }
            _ => "cannot connect",
        };
        Error::unavailable(format!("{url}: {message}"))
    })
}

async fn secured(
    url: &Url,
    tls: Arc<ClientConfig>,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(host(url).to_owned())
        .map_err(|_| Error::invalid(format!("{url}: the host is not a valid name for TLS")))?;
    TlsConnector::from(tls).connect(name, stream).await.map_err(|error| {
        Error::unavailable(format!("{url}: TLS handshake failed: {}", tls_problem(&error)))
    })
}

/// What to change when a handshake fails.
fn tls_problem(error: &io::Error) -> &'static str {
    let rustls = error.get_ref().and_then(|source| source.downcast_ref::<rustls::Error>());
    match rustls {
        Some(rustls::Error::InvalidCertificate(problem)) => match problem {
            // The signature of another authority of the same name.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "the certificate is from an authority that is not trusted; pass its certificate with \
                 --ca-file"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "the certificate is for another name; use a name of the certificate as the URL's host"
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the certificate has expired"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "the certificate is not valid yet"
            }
            _ => "the certificate is not valid",
        },
        Some(rustls::Error::InvalidMessage(_)) => {
            "the port does not speak TLS; use http if the service has no certificate"
        }
        Some(rustls::Error::AlertReceived(_)) => "the server refused it",
        _ => "the connection was closed (does the port speak TLS, and is the service starting?)",
    }
}

async fn call<S>(url: &Url, stream: S) -> Result<ServingStatus>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let channel = channel(url, stream).await.map_err(|_| not_grpc(url))?;
    let answer = HealthClient::new(channel).check(HealthCheckRequest::default()).await;
    match answer {
        Ok(answer) => Ok(answer.into_inner().status()),
        Err(status) => Err(refused(url, &status)),
    }
}

/// A channel over an open connection, so that TCP errors can be distinguished before gRPC wraps them.
async fn channel<S>(url: &Url, stream: S) -> Result<Channel, tonic::transport::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut stream = Some(TokioIo::new(stream));
    let once = tower::service_fn(move |_: http::Uri| {
        std::future::ready(stream.take().ok_or("the connection was closed"))
    });
    // The stream handles TLS, if any; to tonic the connection is plain.
    let plain = url.as_str().replacen("https://", "http://", 1);
    Endpoint::from_shared(plain)?.connect_with_connector(once).await
}

fn not_grpc(url: &Url) -> Error {
    Error::unavailable(format!(
        "{url}: the server does not speak gRPC over HTTP/2 (is it the API port, and does it need https?)"
    ))
}

fn refused(url: &Url, status: &Status) -> Error {
    // A status that the server sent has no source; a transport error has one.
    if std::error::Error::source(status).is_some() {
        return not_grpc(url);
    }
    let hint = match status.code() {
        Code::Unimplemented => " (is it the admin port instead of the API port?)",
        _ => "",
    };
    Error::unavailable(format!("{url}: the health check was refused: {}{hint}", status.message()))
}

#[cfg(test)]
mod tests;
