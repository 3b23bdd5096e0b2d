//! What `cargo xtask test` tries with Flyte 2's own executor, a Go module: `tests/interop/flyte2`.

use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::{
    go::go_in,
    process::{nicely, run},
};

const DIRECTORY: &str = "tests/interop/flyte2";
/// A module and its version, as `go list -m` is asked for them.
const VERSION: &str =
    "   upstream: {{.Path}} {{.Version}}{{with .Replace}} => {{.Path}} {{.Version}}{{end}}";
/// Flyte's own modules: the executor, and the storage that it is built with.
const FLYTE: [&str; 2] = ["github.com/flyteorg/flyte/v2", "github.com/flyteorg/stow"];
/// Those whose versions decide what is tried besides.
const BESIDES: [&str; 2] = ["google.golang.org/grpc", "sigs.k8s.io/controller-runtime"];

/// What `go mod download -json` tells of a module.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Download {
    path: String,
    version: String,
    error: Option<String>,
}

/// Which of Flyte's modules the Go proxy does not hand out, in its words; `None` if it has them all.
///
/// # Errors
/// When that cannot be told: there is no network, or a digest differs from go.sum's.
pub(crate) fn refused() -> Result<Option<String>> {
    let output = go(&["mod", "download", "-json"]).args(FLYTE).output().context("cannot run go")?;
    let downloads = serde_json::Deserializer::from_slice(&output.stdout).into_iter::<Download>();
    let downloads = downloads.collect::<Result<Vec<_>, _>>()?;
    if downloads.len() < FLYTE.len() {
        bail!("go mod download: {}", String::from_utf8_lossy(&output.stderr));
    }
    for Download { path, version, error } in downloads {
        let Some(error) = error else { continue };
        let Some(words) = refusal(&error) else { bail!("{error}") };
        return Ok(Some(format!("{path} {version} is not to be had from the Go proxy: {words}")));
    }
    Ok(None)
}

/// The proxy's words, if it answered that it does not serve a module.
fn refusal(error: &str) -> Option<&str> {
    // https://go.dev/ref/mod#goproxy-protocol has 404 and 410; a proxy with rules of its own says 403.
    let statuses = ["403 Forbidden", "404 Not Found", "410 Gone"];
    let at = statuses.iter().find_map(|status| error.find(status))?;
    error.get(at..)?.lines().next()
}

/// Checks and runs the tests, after saying which versions they run with.
///
/// # Errors
/// What does not hold.
pub(crate) fn check() -> Result<()> {
    run(go(&["list", "-m", "-f", VERSION]).args(FLYTE).args(BESIDES))?;
    run(&mut go(&["vet", "./..."]))?;
    run(&mut go(&["test", "-count=1", "-vet=off", "./..."]))
}

/// Compiles what the tests are built of, by vetting them.
///
/// # Errors
/// What vet finds.
pub(crate) fn compile() -> Result<()> {
    run(&mut nicely(&go(&["vet", "./..."])))
}

/// `go` in the tests' module.
fn go(args: &[&str]) -> Command {
    go_in(DIRECTORY, args)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_proxys_refusal_is_one() {
        let refused =
            "reading https://proxy.example.com/m/@v/v1.info: 403 Forbidden\n\tserver response: No.";
        assert_eq!(refusal(refused), Some("403 Forbidden"));
        assert_eq!(
            refusal("reading https://proxy.example.com: 404 Not Found"),
            Some("404 Not Found")
        );
        for other in
            ["dial tcp: connection refused", "verifying module: checksum mismatch", "500 Oops"]
        {
            assert_eq!(refusal(other), None, "{other}");
        }
    }
}
