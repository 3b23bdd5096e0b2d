//! Which host is called: the vendor's, or the one an operator names.

use std::time::Duration;

use server_core::{
    Error, Result,
    duration::{parse_duration, parse_timeout},
};
use url::{Host, Url};

/// Where the vendor is reached: of all that is about it, what two plugins of one process cannot share.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Upstream")]
pub(crate) struct EndpointArgs {
    // The variable is `<PLUGIN>_ENDPOINT`; erased/registration.rs names it.
    /// `scheme://host[:port]` to call in place of the vendor's, paths unchanged: a private link, a
    /// proxy or a test.
    #[arg(long, value_name = "URL")]
    pub(crate) endpoint: Option<String>,
}

/// How a vendor is called.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Upstream")]
pub(crate) struct UpstreamArgs {
    /// Allow plain http to other hosts than loopback. Credentials then travel unencrypted.
    #[arg(long, env = "PLUGIN_INSECURE_UPSTREAM")]
    pub(crate) insecure_upstream: bool,

    /// How long one try of a call to the vendor may take; the call's deadline also bounds it.
    #[arg(long, env = "PLUGIN_UPSTREAM_TIMEOUT", default_value = "4s", value_parser = parse_timeout)]
    pub(crate) upstream_timeout: Duration,

    /// How many calls to one host of the vendor run at once; the next waits within its deadline. Their
    /// pace adapts by itself when the vendor answers 429.
    #[arg(long, env = "PLUGIN_UPSTREAM_CONCURRENCY", default_value_t = 64)]
    pub(crate) upstream_concurrency: usize,

    /// How long a poll waits for others that one call to the vendor can answer with it; 0s turns that
    /// off.
    #[arg(long, env = "PLUGIN_POLL_WINDOW", default_value = "50ms", value_parser = parse_duration)]
    pub(crate) poll_window: Duration,
}

/// `scheme://host[:port]`.
#[derive(Debug, Clone)]
pub(super) struct Endpoint(Url);

impl Endpoint {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let wrong = |why: &str| Error::invalid(format!("endpoint {text:?}: {why}"));
        let url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong("the scheme must be http or https"));
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("give scheme://host[:port] only; the paths are the vendor's"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("credentials do not belong in a URL"));
        }
        Ok(Self(url))
    }

    /// `vendor` with this scheme, host and port.
    pub(super) fn in_place_of(&self, vendor: &Url) -> Url {
        let mut url = self.0.clone();
        url.set_path(vendor.path());
        url
    }
}

/// Whether `url` leads no further than this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// Refuses plain http beyond loopback.
pub(crate) fn require_tls(url: &Url) -> Result<()> {
    if url.scheme() == "https" || is_loopback(url) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "endpoint {url}: plain http would send credentials unencrypted; use https, or --insecure-upstream"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_replaces_the_host_and_nothing_else() {
        let vendor = Url::parse("https://bigquery.googleapis.com/bigquery/v2").unwrap();
        for (endpoint, expected) in [
            ("http://127.0.0.1:9050", "http://127.0.0.1:9050/bigquery/v2"),
            (
                "https://bigquery-xyz.p.googleapis.com/",
                "https://bigquery-xyz.p.googleapis.com/bigquery/v2",
            ),
        ] {
            let url = Endpoint::parse(endpoint).unwrap().in_place_of(&vendor);
            assert_eq!(url.as_str(), expected);
        }
    }

    #[test]
    fn what_is_no_endpoint_is_refused() {
        for wrong in [
            "127.0.0.1:9050",
            "ftp://host",
            "https://host/path",
            "https://host?x=1",
            "https://u:p@host",
        ] {
            assert!(Endpoint::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn plain_http_stays_on_loopback() {
        let check = |url: &str| require_tls(&Url::parse(url).unwrap()).is_ok();
        for allowed in
            ["https://host/", "http://localhost:1/", "http://127.0.0.1:1/", "http://[::1]:1/"]
        {
            assert!(check(allowed), "{allowed}");
        }
        for refused in ["http://host/", "http://10.0.0.1/", "http://localhost.example.com/"] {
            assert!(!check(refused), "{refused}");
        }
    }
}
