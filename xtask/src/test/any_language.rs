//! The step for plugins in other languages: the package for authors in Python, what the template makes in
//! each language, the plugins of this repository, and the page about them.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::{Environment, Outcome};
use crate::{
    go, guide,
    process::{program, run, works},
    python::{self, PLUGINS, Python},
    root, target, wheel,
};

/// A language that the template knows, and the checks of a new plugin in it.
struct Language {
    name: &'static str,
    /// Whether its tools are installed.
    there: fn() -> bool,
    /// Commands in the plugin's directory.
    checks: &'static [&'static [&'static str]],
    /// The command that serves the plugin on `$PLUGIN_SOCKET`; none for an app in Python.
    serves: Option<&'static str>,
}

const LANGUAGES: [Language; 3] = [
    Language {
        name: "python",
        there: || true,
        checks: &[
            &["ruff", "check", "."],
            &["ruff", "format", "--check", "."],
            &["mypy", "--strict", "--cache-dir=/dev/null", "plugin.py"],
            &["pytest", "-q", "-p", "no:cacheprovider"],
        ],
        serves: None,
    },
    Language {
        name: "go",
        there: go::is_installed,
        checks: &[
            &["sh", "-c", "test -z \"$(gofmt -l .)\" || { gofmt -d .; exit 1; }"],
            &["go", "vet", "./..."],
            &["go", "test", "-count=1", "./..."],
        ],
        serves: Some("go run ."),
    },
    Language {
        name: "typescript",
        there: || works(program("npm").arg("--version")),
        checks: &[&["npm", "ci", "--silent"], &["npm", "test", "--silent"]],
        serves: Some("node --enable-source-maps dist/plugin.js"),
    },
];

/// A task of the template's example.
const TASK: &str = r#"{
  "template": {
    "type": "shout",
    "interface": {
      "inputs": {"variables": {"text": {"type": {"simple": "STRING"}}}},
      "outputs": {"variables": {"o0": {"type": {"simple": "STRING"}}}}
    }
  },
  "inputs": {"literals": {"text": {"scalar": {"primitive": {"string_value": "good night"}}}}}
}
"#;

/// The page for readers of these languages.
const PAGE: &str = "docs/plugins-in-any-language.md";

/// Runs the step.
pub(super) fn check(environment: &Environment) -> Result<Outcome> {
    let Some(python) = Python::prepare(PLUGINS)? else {
        return Ok(Outcome::Skipped(python::MISSING.to_owned()));
    };
    package(&python)?;
    let directory = target("plugins/new");
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory)?;
    for language in &LANGUAGES {
        if !(language.there)() {
            if environment.ci {
                bail!("the tools of {} are not installed", language.name);
            }
            println!("   skipped: {} is not installed", language.name);
            continue;
        }
        for mode in ["async", "sync"] {
            new_plugin(&python, language, mode, &directory)?;
        }
    }
    page(&python)?;
    Ok(Outcome::Passed)
}

/// The package for authors in Python: lints, types, and tests with the bridge.
fn package(python: &Python) -> Result<()> {
    for check in [
        &["ruff", "check", "src", "tests"][..],
        &["ruff", "format", "--check", "src", "tests"],
        &["mypy", "--cache-dir=/dev/null"],
        &["pytest", "-q", "-p", "no:cacheprovider"],
    ] {
        run(python.module_in("clients/python", check).env("PYTHONPATH", "src"))?;
    }
    Ok(())
}

/// Makes a plugin in `language`, runs its own checks, and checks it against the contract.
fn new_plugin(python: &Python, language: &Language, mode: &str, above: &Path) -> Result<()> {
    let name = format!("shout-{}-{mode}", language.name);
    println!("   a new plugin in {}, {mode}", language.name);
    let mut generator = program(target("debug/cargo-outrigger"));
    generator.args([
        "outrigger",
        "new-plugin",
        &name,
        "--task-type=shout",
        "--no-input",
        "--no-verify",
    ]);
    generator.args(["--language", language.name, "--mode", mode]);
    generator.arg("--template").arg(root().join("template")).arg("--root").arg(above);
    run(generator.stdout(std::process::Stdio::null()))?;
    let directory = above.join(&name);
    for check in language.checks {
        run(&mut command(python, language, check, &directory))?;
    }
    conforms(python, language, &directory)
}

/// A check's command in the plugin's `directory`; Python's are modules of the environment.
fn command(
    python: &Python,
    language: &Language,
    words: &[&str],
    directory: &Path,
) -> std::process::Command {
    if language.serves.is_none() {
        let mut command = python.command();
        command.arg("-m").args(words).env("PYTHONPATH", package_path());
        command.current_dir(directory);
        return command;
    }
    let (first, others) = words.split_first().unwrap_or((&"true", &[]));
    let mut command = go::with_caches(program(first));
    command.args(others).current_dir(directory);
    command
}

/// `outrigger check` on the plugin.
fn conforms(python: &Python, language: &Language, directory: &Path) -> Result<()> {
    std::fs::write(directory.join("task.json"), TASK)?;
    let mut check = go::with_caches(python.command());
    check.args(["-m", "outrigger_plugin", "check", "--task", "task.json"]);
    match language.serves {
        None => check.arg("plugin:app"),
        Some(command) => check.args(["--command", command]),
    };
    check.env("PYTHONPATH", package_path()).env("PATH", path()).current_dir(directory);
    run(&mut check)
}

/// Runs the page that readers in these languages follow, with the wheel.
fn page(python: &Python) -> Result<()> {
    let directory = target("plugins/page");
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory)?;
    let wheel = wheel::of_debug_programs(python, &directory.join("wheel"))?;
    let name = wheel.file_name().context("a wheel has a name")?;
    std::fs::copy(&wheel, directory.join(name))?;
    guide::run(PAGE, &directory, go::with_caches(program("bash")))
}

fn package_path() -> PathBuf {
    root().join("clients/python/src")
}

/// `PATH` with this repository's programs.
fn path() -> String {
    format!("{}:{}", target("debug").display(), std::env::var("PATH").unwrap_or_default())
}
