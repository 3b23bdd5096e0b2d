//! The Databricks workspaces that an operator lets tasks run in.

use std::str::FromStr;

use plugin_core::{
    Error, Result,
    digest::{hex, sha256},
    upstream::Target,
};

/// A workspace.
#[derive(Clone)]
pub(crate) struct Workspace {
    /// Its host, with a port if it has one.
    pub(crate) host: String,
    /// What a run's handle holds in place of the host.
    pub(crate) fingerprint: String,
    scheme: &'static str,
}

impl Target for Workspace {
    const KIND: &'static str = "workspace";
    const SETTING: &'static str = "--instances (DATABRICKS_INSTANCES)";

    fn name(&self) -> &str {
        &self.host
    }

    fn base(&self) -> String {
        format!("{}://{}", self.scheme, self.host)
    }

    fn is_called(&self, name: &str) -> bool {
        plain(name) == self.host
    }

    fn id(&self) -> &str {
        &self.fingerprint
    }
}

impl FromStr for Workspace {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let host = plain(text);
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-.:[]".contains(c);
        if host.is_empty() || !host.chars().all(allowed) {
            let message =
                format!("--instances: {text:?} is not a host, such as acme.cloud.databricks.com");
            return Err(Error::invalid(message));
        }
        // Plain http is for a fake on loopback; the client refuses it elsewhere.
        let scheme = if text.trim().starts_with("http://") { "http" } else { "https" };
        Ok(Self { fingerprint: fingerprint(&host), host, scheme })
    }
}

impl Workspace {
    /// The page of a run, by its id.
    pub(crate) fn page(&self, run_id: i64) -> String {
        format!("https://{}/jobs/runs/{run_id}", self.host)
    }
}

/// The host in `text`, which may also be a URL, have a trailing slash, or upper-case letters.
fn plain(text: &str) -> String {
    let text = text.trim();
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    host.unwrap_or(text).trim_end_matches('/').to_ascii_lowercase()
}

/// The first 8 bytes of the host's SHA-256, in hex.
fn fingerprint(host: &str) -> String {
    hex(&sha256(&[host.as_bytes()])[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_host_is_the_same_workspace() {
        let workspace = "acme.cloud.databricks.com".parse::<Workspace>().unwrap();
        for name in [
            "acme.cloud.databricks.com",
            "https://ACME.cloud.databricks.com/",
            " acme.cloud.databricks.com/ ",
        ] {
            assert!(workspace.is_called(name), "{name}");
            assert_eq!(name.parse::<Workspace>().unwrap().id(), workspace.id(), "{name}");
        }
        for other in [
            "acme.cloud.databricks.com.evil.example",
            "x@acme.cloud.databricks.com",
            "acme.cloud.databricks.com:8443",
        ] {
            assert!(!workspace.is_called(other), "{other}");
            assert_ne!(fingerprint(&plain(other)), workspace.fingerprint, "{other}");
        }
    }

    #[test]
    fn a_fingerprint_never_changes() {
        // The handles of running jobs contain it.
        assert_eq!(fingerprint("acme.cloud.databricks.com").len(), 16);
        assert_eq!(fingerprint("abc"), "ba7816bf8f01cfea");
    }
}
