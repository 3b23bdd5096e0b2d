//! The Databricks workspaces that may be called: those an operator names, and no other.

use std::{collections::BTreeMap, fmt::Write as _};

use aws_lc_rs::digest::{SHA256, digest};
use plugin_core::{Error, Http, HttpBuilder, Kind, Result};

use crate::api;

/// Every workspace there is, by the fingerprint of its host.
pub(crate) struct Workspaces {
    default: String,
    all: BTreeMap<String, Workspace>,
}

/// One workspace.
#[derive(Clone)]
pub(crate) struct Workspace {
    /// Its host, with a port if it has one.
    pub(crate) host: String,
    /// What finds it again: a run's handle names this and no host.
    pub(crate) fingerprint: String,
    /// Its API; calls are not signed yet.
    pub(crate) http: Http,
}

impl Workspaces {
    /// The workspaces at `hosts`, the first of which is the default.
    ///
    /// # Errors
    /// `InvalidArgument` when there is none, or one is not a host.
    pub(crate) fn new(hosts: &[String], http: &HttpBuilder) -> Result<Self> {
        let mut all = BTreeMap::new();
        for host in hosts {
            let workspace = Workspace::new(host, http.clone())?;
            all.insert(workspace.fingerprint.clone(), workspace);
        }
        let first = hosts.first().ok_or_else(|| {
            Error::invalid("--instances: name at least one workspace, or set DATABRICKS_INSTANCES")
        })?;
        Ok(Self { default: fingerprint(&plain(first)), all })
    }

    /// The workspace that a task's author names, or the default.
    ///
    /// # Errors
    /// `InvalidArgument` when it is not one of this service's.
    pub(crate) fn named(&self, host: Option<&str>) -> Result<&Workspace> {
        let id = host.map_or_else(|| self.default.clone(), |host| fingerprint(&plain(host)));
        self.all.get(&id).ok_or_else(|| {
            Error::invalid(format!(
                "custom.databricksInstance: {:?} is not a workspace of this service; its operator \
                 lists them in DATABRICKS_INSTANCES",
                host.unwrap_or_default()
            ))
        })
    }

    /// The workspace of a run, by what its handle says.
    ///
    /// # Errors
    /// `FailedPrecondition` when it was taken off the list since.
    pub(crate) fn of_run(&self, fingerprint: &str) -> Result<&Workspace> {
        self.all.get(fingerprint).ok_or_else(|| {
            let message = "the run's workspace is not on this service's list any more";
            Error::new(Kind::FailedPrecondition, message)
        })
    }
}

impl Workspace {
    fn new(text: &str, http: HttpBuilder) -> Result<Self> {
        let host = plain(text);
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-.:[]".contains(c);
        if host.is_empty() || !host.chars().all(allowed) {
            let message =
                format!("--instances: {text:?} is not a host, such as acme.cloud.databricks.com");
            return Err(Error::invalid(message));
        }
        // Plain http is for a fake on loopback; the client refuses it elsewhere.
        let scheme = if text.trim().starts_with("http://") { "http" } else { "https" };
        let http = http.failures(api::failure).build(&format!("{scheme}://{host}"))?;
        Ok(Self { fingerprint: fingerprint(&host), host, http })
    }

    /// The page of a run, as far as its id alone leads there.
    pub(crate) fn page(&self, run_id: i64) -> String {
        format!("https://{}/jobs/runs/{run_id}", self.host)
    }
}

/// A host as people write it: also as a URL, with a slash at the end, in any case.
fn plain(text: &str) -> String {
    let text = text.trim();
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    host.unwrap_or(text).trim_end_matches('/').to_ascii_lowercase()
}

/// The first 8 bytes of the host's SHA-256, in hex.
fn fingerprint(host: &str) -> String {
    let hash = digest(&SHA256, host.as_bytes());
    hash.as_ref().iter().take(8).fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_known_however_they_are_written() {
        for text in [
            "acme.cloud.databricks.com",
            "https://ACME.cloud.databricks.com/",
            " acme.cloud.databricks.com/ ",
        ] {
            assert_eq!(plain(text), "acme.cloud.databricks.com", "{text}");
        }
        for other in [
            "acme.cloud.databricks.com.evil.example",
            "x@acme.cloud.databricks.com",
            "acme.cloud.databricks.com:8443",
        ] {
            assert_ne!(
                fingerprint(&plain(other)),
                fingerprint("acme.cloud.databricks.com"),
                "{other}"
            );
        }
    }

    #[test]
    fn a_fingerprint_never_changes() {
        // It lies in the handles of running jobs.
        assert_eq!(fingerprint("acme.cloud.databricks.com").len(), 16);
        assert_eq!(fingerprint("abc"), "ba7816bf8f01cfea");
    }
}
