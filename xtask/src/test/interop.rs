//! The steps with the callers' own code.

use anyhow::Result;

use super::{Environment, Outcome};
use crate::{
    flyte2, go, prepare,
    process::run,
    python::{self, AWS, FLYTE2_CLIENTS, FLYTEKIT, INTEROP, Python},
    target,
};

/// Flyte's published Python stubs.
pub(super) fn python(_: &Environment) -> Result<Outcome> {
    match Python::prepare(INTEROP)? {
        Some(python) => {
            python.install_discovery()?;
            run(&mut python.pytest())?;
            Ok(Outcome::Passed)
        }
        None => Ok(Outcome::Skipped(python::MISSING.to_owned())),
    }
}

/// Propeller's own plugin, executor and versions.
pub(super) fn propeller(_: &Environment) -> Result<Outcome> {
    if !go::is_installed() {
        return Ok(Outcome::Skipped(
            "go is not installed: it builds propeller's plugin".to_owned(),
        ));
    }
    prepare::propeller()?;
    let artefacts = target("interop/propeller");
    std::fs::create_dir_all(&artefacts)?;
    for check in [
        // The tests wait for propeller's polls and use little CPU. `prepare` has vetted them.
        &["test", "-count=1", "-parallel=24", "-timeout=5m", "-vet=off", "./..."][..],
        &["run", "./versions"],
    ] {
        run(go::propeller(check).env("TMPDIR", &artefacts))?;
    }
    Ok(Outcome::Passed)
}

/// Flyte 2's own executor.
pub(super) fn flyte2(_: &Environment) -> Result<Outcome> {
    if !go::is_installed() {
        return Ok(Outcome::Skipped("go is not installed: it builds Flyte's executor".to_owned()));
    }
    if let Some(refused) = flyte2::refused()? {
        return Ok(Outcome::NotServed(refused));
    }
    flyte2::check()?;
    Ok(Outcome::Passed)
}

/// Local runs of Flyte's SDKs, and their connectors behind the bridge.
pub(super) fn flytekit(_: &Environment) -> Result<Outcome> {
    if !python::suits_flytekit() {
        return Ok(Outcome::Skipped(python::FLYTEKITS_PYTHON.to_owned()));
    }
    let Some(python) = Python::prepare(FLYTEKIT)? else {
        return Ok(Outcome::Skipped(python::MISSING.to_owned()));
    };
    python.install_checkout("clients/flytekit")?;
    run(&mut python.pytest())?;
    run(&mut python.pytest_on("tests/interop/connectors"))?;
    for suite in FLYTE2_CLIENTS {
        let name = suite.python;
        let Some(python) = Python::prepare(suite)? else {
            println!("   {name} is not installed: the client was not run on it");
            continue;
        };
        python.install_checkout("clients/flytekit")?;
        run(&mut python.pytest_on_ctrl_c())?;
    }
    Ok(Outcome::Passed)
}

/// AWS's own client at the fakes, and the services at a server that verifies signatures and policies.
pub(super) fn aws(_: &Environment) -> Result<Outcome> {
    match Python::prepare(AWS)? {
        Some(python) => {
            run(&mut python.pytest())?;
            Ok(Outcome::Passed)
        }
        None => Ok(Outcome::Skipped(python::MISSING.to_owned())),
    }
}
