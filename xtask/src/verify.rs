//! Compiles and tests a plugin, and reports each check that passed.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context as _, Result, bail};

use crate::{
    process::{cargo, program, works},
    scaffold::{
        kind::{Kind, Language},
        project::{Member, Project},
    },
    tool,
};

/// Verifies the plugin `member` of `project`.
///
/// # Errors
/// If a check fails; the error contains the tool's output.
pub(crate) fn plugin(project: &Project, member: &Member) -> Result<()> {
    match member.file.plugin.language {
        None if member.file.plugin.kind == Kind::Declarative => declarative(project, member)?,
        None => in_rust(project, member.name())?,
        Some(language) => in_language(project, member, language)?,
    }
    lint_chart(project, member)
}

/// The tests of a plugin behind the bridge, if its language's tools are installed.
fn in_language(project: &Project, member: &Member, language: Language) -> Result<()> {
    let directory = project.directory(&member.file.plugin);
    let found = language
        .needs()
        .iter()
        .all(|(tool, args)| works(program(tool).args(*args).current_dir(&directory)));
    if !found {
        let (tool, _) = language.needs()[0];
        eprintln!("skipped:  {} ({tool} or its packages are not installed)", language.test());
        return Ok(());
    }
    eprintln!("verifying: testing {} …", member.name());
    let mut shell = program("sh");
    shell.args(["-c", language.test()]).env("PYTHONDONTWRITEBYTECODE", "1");
    passes_in(&directory, language.test(), &mut shell).map(drop)
}

/// The tests of a plugin that is a file, if the program is there that reads it.
fn declarative(project: &Project, member: &Member) -> Result<()> {
    const TESTS: &str = "tests/run.sh";
    let program_itself = std::env::current_exe().ok().filter(|_| tool() == "outrigger");
    let outrigger = program_itself.unwrap_or_else(|| PathBuf::from("outrigger"));
    if !works(program(&outrigger).args(["plugin", "schema"])) {
        eprintln!("skipped:  {TESTS} (outrigger is not installed)");
        return Ok(());
    }
    eprintln!("verifying: testing {} …", member.name());
    let mut shell = program("sh");
    shell.arg(TESTS).env("OUTRIGGER", outrigger);
    passes_in(&project.directory(&member.file.plugin), TESTS, &mut shell).map(drop)
}

fn in_rust(project: &Project, name: &str) -> Result<()> {
    eprintln!("verifying: compiling and testing {name} (the first time takes a few minutes) …");
    passes(project, "cargo metadata", &mut cargo(&["metadata", "--format-version=1"]))?;
    let tested = passes(project, "cargo test", &mut cargo(&["test", "--package", name]))?;
    eprintln!("verified: {} tests passed", passed_tests(&tested));
    Ok(())
}

fn lint_chart(project: &Project, member: &Member) -> Result<()> {
    let chart = project.layout.place(&member.file.plugin).path("chart/Chart.yaml");
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
pub(crate) fn helm() -> PathBuf {
    let own = crate::target("charts/bin/helm");
    if own.exists() { own } else { PathBuf::from("helm") }
}

/// Runs `command` in the project and reports that it passed. If it fails, the error contains its output.
fn passes(project: &Project, what: &str, command: &mut Command) -> Result<String> {
    passes_in(&project.root, what, command)
}

fn passes_in(directory: &Path, what: &str, command: &mut Command) -> Result<String> {
    let started = Instant::now();
    let output = command.current_dir(directory).output();
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
