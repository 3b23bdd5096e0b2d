//! The tools of `cargo xtask test` that do not depend on this repository's code: Python environments, Go's
//! and Kubernetes' programs, cargo-deny. All of them are kept below `target/`, by version.

use anyhow::Result;

use crate::{
    dependencies, flyte2, go,
    process::{nicely, run},
    python::{self, AWS, CHARTS, FLYTEKIT, HOSTILE, PLUGINS, Python, WORKFLOWS},
    site, target,
};

/// Prepares all tools, at a lower priority than builds and tests. A step prepares what is still missing, or
/// says why it is unavailable.
///
/// # Errors
/// A failed download or build.
pub(crate) fn everything(install: bool) -> Result<()> {
    let charts = Python::prepare(CHARTS)?;
    if let Some(python) = &charts {
        chart_tools(python)?;
    }
    Python::prepare(AWS)?;
    Python::prepare(HOSTILE)?;
    Python::prepare(PLUGINS)?;
    Python::prepare(WORKFLOWS)?;
    if python::suits_flytekit() {
        Python::prepare(FLYTEKIT)?;
    }
    if go::is_installed() {
        actionlint()?;
        propeller()?;
        charts.as_ref().map_or(Ok(()), control_plane)?;
        if flyte2::refused()?.is_none() {
            flyte2::compile()?;
        }
    }
    site::tool(install)?;
    dependencies::tools(install).map(drop)
}

/// Helm, kubectl, promtool and Prometheus.
pub(crate) fn chart_tools(python: &Python) -> Result<()> {
    run(python.command().arg("tests/charts/tools.py").arg(target("charts")))
}

/// Vets the tests of propeller's plugin, which compiles their dependencies.
pub(crate) fn propeller() -> Result<()> {
    run(&mut nicely(&go::propeller(&["vet", "./..."])))
}

/// actionlint, in the version that tests/workflows/go.mod pins.
pub(crate) fn actionlint() -> Result<()> {
    let output = target("tools/bin/actionlint").display().to_string();
    let tool = "github.com/rhysd/actionlint/cmd/actionlint";
    run(&mut nicely(&go::go_in("tests/workflows", &["build", "-o", &output, tool])))
}

/// etcd, and Kubernetes' API server and controller manager.
pub(crate) fn control_plane(python: &Python) -> Result<()> {
    let mut build = go::with_caches(python.command());
    run(&mut nicely(build.arg("tests/cluster/build.py").arg(target("cluster"))))
}
