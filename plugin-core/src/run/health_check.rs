//! `<service> health-check`: checks the health of a running service, for exec probes.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use clap::{Args, FromArgMatches as _, error::ErrorKind};
use hyper_util::rt::TokioIo;
use server_core::{Error, Kind, Result, duration::parse_timeout, tls::client_config};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    time::{Instant, timeout_at},
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{ClientConfig, pki_types::ServerName},
};
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint},
};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use url::Url;

use crate::server::args::ServerArgs;

const NAME: &str = "health-check";

/// The arguments of the health check.
#[derive(Debug, Clone, Args)]
pub(crate) struct HealthCheck {
    /// The URL of the service's API port: `http://host[:port]`, or `https://` if it has a certificate. By
    /// default that of --listen (PLUGIN_LISTEN) on this machine.
    #[arg(value_name = "URL", value_parser = parse_url)]
    url: Option<Url>,

    /// The certificate authorities to trust for the service's certificate, in PEM, instead of the
    /// system's.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,

    /// How long to wait for the response.
    #[arg(long, default_value = "5s", value_parser = parse_timeout)]
    timeout: Duration,
}

/// The subcommand.
pub(crate) fn command() -> clap::Command {
    HealthCheck::augment_args(clap::Command::new(NAME).about(
        "Checks a running service by gRPC's health protocol: prints SERVING and exits with 0, or \
         prints why it is not serving and exits with 1",
    ))
}

fn parse_url(value: &str) -> Result<Url, String> {
    let wrong = |why: &str| format!("{why}; expected for example http://bigquery.flyte:8000");
    let url = Url::parse(value).map_err(|error| wrong(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("the scheme must be http, or https for a service with a certificate"));
    }
    if url.path() != "/" || url.query().is_some() || !url.username().is_empty() {
        return Err(wrong("give only scheme, host and port"));
    }
    Ok(url)
}

/// The URL of the service that is configured by `matches`.
fn configured(matches: &clap::ArgMatches) -> Result<Option<Url>, clap::Error> {
    let Ok(server) = ServerArgs::from_arg_matches(matches) else {
        return Ok(None);
    };
    if server.tls_certificate.is_some() {
        return Err(clap::Error::raw(
            ErrorKind::MissingRequiredArgument,
            "the service has a certificate (--tls-certificate), which is valid for a host name: give the URL, for \
             example https://bigquery.flyte:8000, and --ca-file\n",
        ));
    }
    Ok(reached_at(server.listen).ok())
}

/// The URL by which a service that listens on `address` is reached from the same machine.
fn reached_at(mut address: SocketAddr) -> Result<Url> {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    Url::parse(&format!("http://{address}")).map_err(Error::internal)
}

impl HealthCheck {
    /// The check that a command line requests, if any.
    ///
    /// # Errors
    /// When the command line is invalid.
    pub(crate) fn requested(matches: &clap::ArgMatches) -> Result<Option<Self>, clap::Error> {
        let Some(own) = matches.subcommand_matches(NAME) else {
            return Ok(None);
        };
        let check = Self::from_arg_matches(own)?;
        let url = match check.url {
            Some(url) => Some(url),
            None => configured(matches)?,
        };
        Ok(Some(Self { url, ..check }))
    }

    /// Checks the service, and prints its status.
    ///
    /// # Errors
    /// Why the service is not serving, or why the check failed.
    pub(crate) async fn run(self) -> Result<()> {
        let url = self.url.ok_or_else(|| Error::internal("no URL"))?;
        let tls = match url.scheme() {
            "https" => Some(client_config(self.ca_file.as_deref()).await?),
            _ => None,
        };
        let status = ask(&url, tls, Instant::now() + self.timeout).await?;
        println!("{}", status.as_str_name());
        match status {
            ServingStatus::Serving => Ok(()),
            ServingStatus::Unknown | ServingStatus::NotServing | ServingStatus::ServiceUnknown => {
                Err(Error::unavailable(format!(
                    "{url} responds but is not serving: it is starting, shutting down, or has no issuer's \
                     keys; see its log, or GET /readyz on its admin port"
                )))
            }
        }
    }
}

/// Each step has its own error message, to help with failing probes.
async fn ask(
    url: &Url,
    tls: Option<Arc<ClientConfig>>,
    deadline: Instant,
) -> Result<ServingStatus> {
    let timed_out =
        |what: &str| Error::new(Kind::DeadlineExceeded, format!("{url}: timed out {what}"));
    let connecting = timeout_at(deadline, connect(url)).await;
    let stream = connecting.map_err(|_| {
        timed_out("connecting (is there a NetworkPolicy or a firewall, or is the address wrong?)")
    })??;
    let asking = async {
        match tls {
            Some(tls) => call(url, secured(url, tls, stream).await?).await,
            None => call(url, stream).await,
        }
    };
    let asking = timeout_at(deadline, asking).await;
    asking.map_err(|_| {
        timed_out("waiting for a response; something accepts connections there (does it hang?)")
    })?
}

async fn connect(url: &Url) -> Result<TcpStream> {
    let port = url.port_or_known_default().unwrap_or_default();
    let host = url.host_str().unwrap_or_default();
    let found = lookup_host(format!("{host}:{port}")).await.map_err(|error| {
        Error::unavailable(format!(
            "{url}: cannot resolve host {host} (is the name or the namespace wrong, or is DNS down?)"
        ))
        .with_source(error)
    })?;
    let addresses = found.collect::<Vec<_>>();
    TcpStream::connect(&*addresses).await.map_err(|error| {
        let why = match error.kind() {
            std::io::ErrorKind::ConnectionRefused => {
                "connection refused: nothing is listening there (is the service up, and is this its API port?)"
            }
            _ => "cannot connect",
        };
        Error::unavailable(format!("{url}: {why}")).with_source(error)
    })
}

async fn secured(
    url: &Url,
    tls: Arc<ClientConfig>,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>> {
    let name =
        ServerName::try_from(url.host_str().unwrap_or_default().to_owned()).map_err(|error| {
            Error::invalid(format!("{url}: the host is not a valid TLS server name"))
                .with_source(error)
        })?;
    TlsConnector::from(tls).connect(name, stream).await.map_err(|error| {
        Error::unavailable(format!(
            "{url}: TLS handshake failed: {error} (is the certificate from an authority that --ca-file \
             does not name, or for another host name, or does the port speak plain HTTP?)"
        ))
        .with_source(error)
    })
}

async fn call<S>(url: &Url, stream: S) -> Result<ServingStatus>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let channel = channel(url, stream).await.map_err(|error| no_grpc(url).with_source(error))?;
    let answer = HealthClient::new(channel).check(HealthCheckRequest::default()).await;
    match answer {
        Ok(answer) => Ok(answer.into_inner().status()),
        Err(status) => Err(refused(url, status)),
    }
}

/// A channel over an existing connection, because gRPC would hide the errors of TCP.
async fn channel<S>(url: &Url, stream: S) -> Result<Channel, tonic::transport::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut stream = Some(TokioIo::new(stream));
    let once = tower::service_fn(move |_: http::Uri| {
        std::future::ready(stream.take().ok_or("the connection was closed"))
    });
    // The stream does TLS itself; tonic must not.
    let plain = url.as_str().replacen("https://", "http://", 1);
    Endpoint::from_shared(plain)?.connect_with_connector(once).await
}

fn no_grpc(url: &Url) -> Error {
    Error::unavailable(format!(
        "{url}: something is listening there, but it does not speak gRPC over HTTP/2 (is it the API port, \
         and does it speak TLS although the URL says http?)"
    ))
}

fn refused(url: &Url, status: Status) -> Error {
    // A status from the server has no source; a transport error has.
    if std::error::Error::source(&status).is_some() {
        return no_grpc(url).with_source(status);
    }
    let hint = match status.code() {
        Code::Unimplemented => " (is it the API port, or the admin port?)",
        _ => "",
    };
    let (code, message) = (status.code(), status.message());
    Error::unavailable(format!(
        "{url}: grpc.health.v1.Health/Check returned {code:?}: {message}{hint}"
    ))
}

#[cfg(test)]
mod tests;
