//! The step of `cargo xtask test` that runs Flyte 2's own executor, a Go module: `tests/interop/flyte2`.

use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::{
    go::go_in,
    process::{nicely, run},
};

const DIRECTORY: &str = "tests/interop/flyte2";
/// The template for `go list -m`: a module and its version.
const VERSION: &str =
    "   upstream: {{.Path}} {{.Version}}{{with .Replace}} => {{.Path}} {{.Version}}{{end}}";
/// Flyte's own modules: the executor and the storage library it is built with.
const FLYTE: [&str; 2] = ["github.com/flyteorg/flyte/v2", "github.com/flyteorg/stow"];
/// Other modules whose versions affect the result.
const BESIDES: [&str; 2] = ["google.golang.org/grpc", "sigs.k8s.io/controller-runtime"];

/// One module in the output of `go mod download -json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Download {
    path: String,
    version: String,
    error: Option<String>,
}

/// The first of Flyte's modules that the Go proxy refuses to serve, with the proxy's message; `None` if
/// it serves them all.
///
/// # Errors
/// If this cannot be determined: no network, or a checksum differs from go.sum's.
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
        return Ok(Some(format!("the Go proxy does not serve {path} {version}: {words}")));
    }
    Ok(None)
}

/// The proxy's message, if it answered that it does not serve the module.
fn refusal(error: &str) -> Option<&str> {
    // https://go.dev/ref/mod#goproxy-protocol defines 404 and 410; a proxy with access rules answers 403.
    let statuses = ["403 Forbidden", "404 Not Found", "410 Gone"];
    let at = statuses.iter().find_map(|status| error.find(status))?;
    error.get(at..)?.lines().next()
}

/// Prints the versions in use, then vets and runs the tests.
///
/// # Errors
/// If vetting or a test fails.
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
    fn only_403_404_and_410_are_refusals() {
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
