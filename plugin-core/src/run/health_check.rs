//! `<service> health-check`: asks a running service whether it serves, for probes that run a program.

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

use super::arguments::with_args;
use crate::server::args::ServerArgs;

const NAME: &str = "health-check";

/// Which service is asked, and how long it may take to answer.
#[derive(Debug, Clone, Args)]
pub(crate) struct HealthCheck {
    /// `http://host[:port]` of the service's API port, or `https://` if it has a certificate. By default
    /// that of --listen (PLUGIN_LISTEN), on this machine.
    #[arg(value_name = "URL", value_parser = parse_url)]
    url: Option<Url>,

    /// The authorities that the service's certificate may be from, in PEM, instead of the system's.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,

    /// How long the answer may take.
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
    let wrong = |why: &str| format!("{why}; write for example http://bigquery.flyte:8000");
    let url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("the scheme is http, or https for a service with a certificate"));
    }
    if url.path() != "/" || url.query().is_some() || !url.username().is_empty() {
        return Err(wrong("give no more than scheme, host and port"));
    }
    Ok(url)
}

/// Where the service that is configured here is reached.
fn here(matches: &clap::ArgMatches) -> Result<Option<Url>, clap::Error> {
    let Ok(server) = ServerArgs::from_arg_matches(matches) else {
        return Ok(None);
    };
    if server.tls_certificate.is_some() {
        return Err(clap::Error::raw(
            ErrorKind::MissingRequiredArgument,
            "the service has a certificate (--tls-certificate), and that is for a name: give the URL, for \
             example https://bigquery.flyte:8000, and --ca-file\n",
        ));
    }
    Ok(reached_at(server.listen).ok())
}

/// Where a service that listens on `address` is reached from the same machine.
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
    /// The check that a command line asks for, if it does.
    ///
    /// # Errors
    /// What is wrong with the command line.
    pub(crate) fn asked_for(matches: &clap::ArgMatches) -> Result<Option<Self>, clap::Error> {
        let Some(own) = matches.subcommand_matches(NAME) else {
            return Ok(None);
        };
        let check = Self::from_arg_matches(own)?;
        let url = match check.url {
            Some(url) => Some(url),
            None => here(matches)?,
        };
        Ok(Some(Self { url, ..check }))
    }

    /// Asks, and prints the answer.
    ///
    /// # Errors
    /// Why the service does not serve, or cannot be asked.
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
                    "{url} answers and does not serve: it starts, it shuts down, or it has the keys of \
                     no issuer; its log and GET /readyz on its admin port say which"
                )))
            }
        }
    }
}

/// Each step fails in words of its own: whoever reads them has a probe that fails, and little time.
async fn ask(
    url: &Url,
    tls: Option<Arc<ClientConfig>>,
    deadline: Instant,
) -> Result<ServingStatus> {
    let late = |what: &str| Error::new(Kind::DeadlineExceeded, format!("{url}: {what} in time"));
    let connecting = timeout_at(deadline, connect(url)).await;
    let stream = connecting.map_err(|_| {
        late("no connection came about (a NetworkPolicy, a firewall or a wrong address?)")
    })??;
    let asking = async {
        match tls {
            Some(tls) => call(url, secured(url, tls, stream).await?).await,
            None => call(url, stream).await,
        }
    };
    let asking = timeout_at(deadline, asking).await;
    asking.map_err(|_| late("something accepts connections and did not answer (does it hang?)"))?
}

async fn connect(url: &Url) -> Result<TcpStream> {
    let port = url.port_or_known_default().unwrap_or_default();
    let host = url.host_str().unwrap_or_default();
    let found = lookup_host(format!("{host}:{port}")).await.map_err(|error| {
        Error::unavailable(format!(
            "{url}: the host {host} cannot be looked up (a wrong name or namespace, or DNS is down)"
        ))
        .with_source(error)
    })?;
    let addresses = found.collect::<Vec<_>>();
    TcpStream::connect(&*addresses).await.map_err(|error| {
        let why = match error.kind() {
            std::io::ErrorKind::ConnectionRefused => {
                "connection refused: nothing listens there (is it up, and is this its API port?)"
            }
            _ => "no connection",
        };
        Error::unavailable(format!("{url}: {why}")).with_source(error)
    })
}

async fn secured(
    url: &Url,
    tls: Arc<ClientConfig>,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(url.host_str().unwrap_or_default().to_owned())
        .map_err(|error| Error::invalid(format!("{url}: no name for TLS")).with_source(error))?;
    TlsConnector::from(tls).connect(name, stream).await.map_err(|error| {
        Error::unavailable(format!(
            "{url}: no TLS: {error} (is it from another authority than --ca-file names, or for another \
             name, or does the port speak plain HTTP?)"
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

/// A channel over a connection that is there: errors of TCP are told apart before gRPC wraps them.
async fn channel<S>(url: &Url, stream: S) -> Result<Channel, tonic::transport::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut stream = Some(TokioIo::new(stream));
    let once = tower::service_fn(move |_: http::Uri| {
        std::future::ready(stream.take().ok_or("the connection ended"))
    });
    // TLS, if any, is in the stream; to tonic the connection is plain.
    let plain = url.as_str().replacen("https://", "http://", 1);
    Endpoint::from_shared(plain)?.connect_with_connector(once).await
}

fn no_grpc(url: &Url) -> Error {
    Error::unavailable(format!(
        "{url}: something listens there and does not speak gRPC over HTTP/2 (is it the API port, and does it speak \
         TLS where the URL says http?)"
    ))
}

fn refused(url: &Url, status: Status) -> Error {
    // What a server sent has no source; what went wrong on the way has.
    if std::error::Error::source(&status).is_some() {
        return no_grpc(url).with_source(status);
    }
    let hint = match status.code() {
        Code::Unimplemented => " (is it the API port, or the admin port?)",
        _ => "",
    };
    let (code, message) = (status.code(), status.message());
    Error::unavailable(format!(
        "{url}: grpc.health.v1.Health/Check answers {code:?}: {message}{hint}"
    ))
}

#[cfg(test)]
mod tests;
