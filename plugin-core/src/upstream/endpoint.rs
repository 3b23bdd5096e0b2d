//! The settings of the upstream, and the endpoint that replaces the vendor's host.

use std::{fmt, time::Duration};

use server_core::{
    Error, Result,
    duration::{parse_duration, parse_timeout},
};
use url::{Host, Url};

/// The endpoint of one plugin's upstream, the only upstream setting that plugins of one process do not
/// share.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Upstream")]
pub(crate) struct EndpointArgs {
    // run/registration.rs adds the variable, `<PLUGIN>_ENDPOINT`.
    /// `scheme://host[:port]` to call instead of the vendor's, with the same paths: a private link, a
    /// proxy or a test server.
    #[arg(long, value_name = "URL")]
    pub(crate) endpoint: Option<String>,
}

/// A URL as its setting spells it. By mistake it may contain a password: clap would print what it refuses, so the URL is
/// checked when it is used, and never shown.
#[derive(Clone)]
pub(crate) struct UrlText(String);

impl From<String> for UrlText {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for UrlText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UrlText")
    }
}

impl UrlText {
    /// The URL that it is from `base` on.
    #[cfg(feature = "aws")]
    pub(crate) fn joined_to(&self, base: &Url) -> Option<Url> {
        base.join(self.0.trim()).ok()
    }

    /// What is before and after the first `sign`.
    #[cfg(feature = "aws")]
    pub(crate) fn split_once(&self, sign: char) -> Option<(&str, Self)> {
        self.0.split_once(sign).map(|(before, after)| (before, Self(after.to_owned())))
    }

    /// The URL, which `setting` has.
    ///
    /// # Errors
    /// `InvalidArgument` with the setting for what is no http or https URL, and for one with credentials or a fragment.
    pub(crate) fn checked(&self, setting: &str) -> Result<Url> {
        let text = self.0.trim();
        let url = Url::parse(text)
            .map_err(|error| Error::invalid(format!("{setting}: is not a URL: {error}")))?;
        check(&url).map_err(|why| Error::invalid(format!("{setting}: {why}")))?;
        Ok(url)
    }
}

/// Why `url` is not one to call. The reason does not show it.
pub(crate) fn check(url: &Url) -> Result<(), &'static str> {
    match () {
        () if !url.username().is_empty() || url.password().is_some() => {
            Err("must not contain credentials")
        }
        () if !matches!(url.scheme(), "http" | "https") => Err("the scheme must be http or https"),
        () if url.fragment().is_some() => Err("must have no fragment"),
        () => Ok(()),
    }
}

/// The settings of calls to the vendors.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Upstream")]
pub(crate) struct UpstreamArgs {
    /// Allow plain http to hosts other than loopback. Credentials are then sent unencrypted.
    #[arg(long, env = "PLUGIN_INSECURE_UPSTREAM")]
    pub(crate) insecure_upstream: bool,

    /// Timeout of one attempt of a call to the vendor; the call's deadline applies as well.
    #[arg(long, env = "PLUGIN_UPSTREAM_TIMEOUT", default_value = "4s", value_parser = parse_timeout)]
    pub(crate) upstream_timeout: Duration,

    /// Maximum number of concurrent calls to one host of the vendor; further calls wait until their
    /// deadline. The rate adapts by itself when the vendor responds with 429.
    #[arg(long, env = "PLUGIN_UPSTREAM_CONCURRENCY", default_value_t = 64)]
    pub(crate) upstream_concurrency: usize,

    /// How old the vendor's word on a job may be that answers a poll, where one call can ask about many
    /// jobs; 0s turns these joint polls off.
    #[arg(long, env = "PLUGIN_POLL_FRESHNESS", default_value = "2s", value_parser = parse_duration)]
    pub(crate) poll_freshness: Duration,
}

/// The scheme, host and port that replace the vendor's.
#[derive(Debug, Clone)]
pub(super) struct Endpoint(Url);

impl Endpoint {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let url = UrlText(text.to_owned()).checked("endpoint")?;
        if url.path() != "/" || url.query().is_some() {
            return Err(Error::invalid(format!(
                "endpoint {text:?}: must be scheme://host[:port]; the vendor's paths are kept"
            )));
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

/// Whether the host of `url` is this machine's loopback.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// Refuses plain http to hosts other than loopback.
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
    fn an_endpoint_replaces_scheme_host_and_port() {
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
    fn invalid_endpoints_are_refused() {
        for invalid in [
            "127.0.0.1:9050",
            "ftp://host",
            "https://host/path",
            "https://host?x=1",
            "https://host#x",
        ] {
            assert!(Endpoint::parse(invalid).is_err(), "{invalid}");
        }
    }

    #[test]
    fn a_url_with_a_password_is_refused_and_not_shown() {
        for text in [
            "https://u:hunter2@host",
            "https://:hunter2@host/path",
            "https://hunter2@host",
            "https://u:hunter2@host:port",
            "ftp://u:hunter2@host",
            "u:hunter2@host",
        ] {
            let url = UrlText::from(text.to_owned());
            let error = url.checked("--endpoint-url (AWS_ENDPOINT_URL)").unwrap_err().to_string();
            assert!(error.starts_with("--endpoint-url (AWS_ENDPOINT_URL): "), "{error}");
            let endpoint = Endpoint::parse(text).unwrap_err();
            for shown in [error, format!("{endpoint:?}"), format!("{url:?}")] {
                assert!(!shown.contains("hunter2"), "{shown}");
            }
        }
        let url = UrlText::from(" https://host/path?x=1 ".to_owned());
        assert_eq!(url.checked("--url").unwrap().as_str(), "https://host/path?x=1");
    }

    #[test]
    fn plain_http_is_for_loopback_only() {
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
