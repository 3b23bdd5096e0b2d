//! Compiles and tests a plugin, and reports each check that passed.

use std::{path::PathBuf, process::Command, time::Instant};

use anyhow::{Context as _, Result, bail};

use crate::{
    process::{cargo, program, works},
    scaffold::project::Project,
};

/// Verifies the plugin `name` of `project`.
///
/// # Errors
/// If a check fails; the error contains the tool's output.
pub(crate) fn plugin(project: &Project, name: &str) -> Result<()> {
    eprintln!("verifying: compiling and testing {name} (the first time takes a few minutes) …");
    passes(project, "cargo metadata", &mut cargo(&["metadata", "--format-version=1"]))?;
    let tested = passes(project, "cargo test", &mut cargo(&["test", "--package", name]))?;
    eprintln!("verified: {} tests passed", passed_tests(&tested));
    lint_chart(project, name)
}

fn lint_chart(project: &Project, name: &str) -> Result<()> {
    let chart = project.layout.path(name, "chart/Chart.yaml");
    let chart = PathBuf::from(chart);
    let Some(chart) = chart.parent().filter(|chart| project.root.join(chart).is_dir()) else {
        return Ok(());
    };
    let helm = helm();
    if !works(program(&helm).arg("version")) {
        eprintln!("skipped:  helm lint (helm is not installed)");
        return Ok(());
    }
    passes(project, "helm lint", program(helm).args(["lint", "--strict"]).arg(chart)).map(drop)
}

/// The helm that the tests install, or else the one on the path.
fn helm() -> PathBuf {
    let own = crate::target("tools/bin/helm");
    if own.exists() { own } else { PathBuf::from("helm") }
}

/// Runs `command` in the project and reports that it passed. If it fails, the error contains its output.
fn passes(project: &Project, what: &str, command: &mut Command) -> Result<String> {
    let started = Instant::now();
    let output = command.current_dir(&project.root).output();
    let output = output.with_context(|| format!("cannot run {what}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!("{what} failed:\n{text}{}", String::from_utf8_lossy(&output.stderr));
    }
    eprintln!("verified: {what} in {:.1?}", started.elapsed());
    Ok(text)
}

/// The number of passed tests in the output of `cargo test`.
fn passed_tests(output: &str) -> u32 {
    let counts = output.lines().filter_map(|line| {
        let rest = line.strip_prefix("test result: ok. ")?;
        rest.split_once(" passed")?.0.parse::<u32>().ok()
    });
    counts.sum()
}

#[cfg(test)]
mod tests {
    #[test]
    fn passed_tests_of_all_binaries_are_counted() {
        let output =
            "test result: ok. 2 passed; 0 failed\nx\ntest result: ok. 14 passed; 0 failed\n";
        assert_eq!(super::passed_tests(output), 16);
    }
}
