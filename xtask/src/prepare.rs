//! What the steps of `cargo xtask test` need and nothing of this repository changes: tools, Python
//! environments, and Go's and Kubernetes' programs. All of it is kept below `target/`, by version.

use anyhow::Result;

use crate::{
    dependencies, flyte2, go,
    process::{nicely, run},
    python::{self, CHARTS, FLYTEKIT, Python},
    target,
};

/// Makes all that can be made here, with a lower priority than builds and tests. The steps make what
/// is still missing, and say why it cannot be had.
///
/// # Errors
/// A download or a build that failed.
pub(crate) fn everything(install: bool) -> Result<()> {
    let charts = Python::prepare(CHARTS)?;
    if let Some(python) = &charts {
        chart_tools(python)?;
    }
    if python::suits_flytekit() {
        Python::prepare(FLYTEKIT)?;
    }
    if go::is_installed() {
        propeller()?;
        charts.as_ref().map_or(Ok(()), control_plane)?;
        if flyte2::refused()?.is_none() {
            flyte2::compile()?;
        }
    }
    dependencies::tools(install).map(drop)
}

/// Helm, kubectl and promtool.
pub(crate) fn chart_tools(python: &Python) -> Result<()> {
    run(python.command().arg("tests/charts/tools.py").arg(target("charts")))
}

/// Compiles what the tests with propeller are built of, by vetting them.
pub(crate) fn propeller() -> Result<()> {
    run(&mut nicely(&go::propeller(&["vet", "./..."])))
}

/// etcd, and Kubernetes' API server and controller manager.
pub(crate) fn control_plane(python: &Python) -> Result<()> {
    let mut build = go::with_caches(python.command());
    run(&mut nicely(build.arg("tests/cluster/build.py").arg(target("cluster"))))
}
