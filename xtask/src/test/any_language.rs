//! The step for plugins in other languages: the package for authors in Python, what the template makes in
//! each language, the plugins of this repository, and the page about them.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use super::{Environment, Outcome};
use crate::{
    go, guide,
    process::{program, run, works},
    python::{self, PLUGINS, PLUGINS_PYTHONS, Python},
    root,
    scaffold::{self, project::Project},
    target, wheel,
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
            &["mypy", "--strict", "--cache-dir=/dev/null", "--exclude=^tasks/", "."],
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

/// The pages for readers of these languages.
const PAGES: [&str; 3] =
    ["docs/plugins-in-any-language.md", "clients/python/README.md", "docs/outrigger.md"];

/// Runs the step.
pub(super) fn check(environment: &Environment) -> Result<Outcome> {
    let Some(python) = Python::prepare(PLUGINS)? else {
        return Ok(Outcome::Skipped(python::MISSING.to_owned()));
    };
    package(&python)?;
    package_on_other_pythons()?;
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
    for mode in ["async", "sync"] {
        new_file(mode, &directory)?;
    }
    for member in Project::at(root()).members()? {
        if let Some(language) = member.file.plugin.language {
            let directory = Project::at(root()).directory(&member.file.plugin);
            println!("   {}", member.name());
            own_checks(member.name(), language, &directory)?;
        }
    }
    pages(&python)?;
    Ok(Outcome::Passed)
}

/// The checks of a plugin of this repository.
fn own_checks(name: &str, language: scaffold::kind::Language, directory: &Path) -> Result<()> {
    let word = format!("{language:?}").to_lowercase();
    let language = LANGUAGES.iter().find(|it| it.name == word).context("a known language")?;
    let python = match language.serves {
        None => Some(environment_of(name, directory)?),
        Some(_) => None,
    };
    for check in language.checks {
        run(&mut command(python.as_deref(), check, directory))?;
    }
    Ok(())
}

/// The Python of an environment with what a plugin needs, and its tests.
fn environment_of(name: &str, directory: &Path) -> Result<PathBuf> {
    let environment = target("plugins").join(format!("{name}-venv"));
    let python = environment.join("bin/python");
    let tools = root().join(PLUGINS.requirements());
    let files = ["requirements.txt", "tests/requirements.txt"].map(|file| directory.join(file));
    let files = files.into_iter().filter(|file| file.exists()).collect::<Vec<_>>();
    let texts = files.iter().chain([&tools]).map(std::fs::read_to_string);
    let wanted = texts.collect::<std::io::Result<Vec<_>>>()?.join("\n");
    let stamp = environment.join("requirements.txt");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    println!("   installing what {name} needs into {} …", environment.display());
    run(program("python3").args(["-m", "venv", "--clear"]).arg(&environment))?;
    let mut install = program(&python);
    install.args(["-m", "pip", "install", "--quiet", "--constraint"]).arg(&tools);
    install.current_dir(directory);
    install.args(["mypy", "pytest", "ruff"]);
    // In the same command as what requires it: pip then asks no index for it.
    install.arg("--editable").arg(root().join("clients/python"));
    files.iter().for_each(|file| {
        install.arg("--requirement").arg(file);
    });
    run(&mut install)?;
    std::fs::write(stamp, wanted)?;
    Ok(python)
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

/// The package's tests on each other Python that it supports. On a laptop they are on `PATH` under these names, or they are
/// not run.
fn package_on_other_pythons() -> Result<()> {
    let own = python::own_name();
    for suite in PLUGINS_PYTHONS {
        let name = suite.python;
        if name == own {
            continue;
        }
        match Python::prepare(suite)? {
            None => println!("   {name} is not installed: the package was not tested on it"),
            Some(python) => {
                let tests = ["pytest", "-q", "-p", "no:cacheprovider"];
                run(python.module_in("clients/python", &tests).env("PYTHONPATH", "src"))?;
            }
        }
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
    let its_python = language.serves.is_none().then(|| python.program("python"));
    for check in language.checks {
        run(command(its_python.as_deref(), check, &directory).env("PYTHONPATH", package_path()))?;
    }
    conforms(python, language, &directory)
}

/// Makes a plugin that is a YAML file, in `mode`, and runs its own tests.
fn new_file(mode: &str, above: &Path) -> Result<()> {
    let name = format!("{mode}-file");
    println!("   a new plugin of one file, {mode}");
    let mut generator = program(target("debug/cargo-outrigger"));
    generator.args(["outrigger", "new-plugin", &name, "--kind=declarative", "--mode", mode]);
    generator.args(["--no-input", "--no-verify"]);
    generator.arg("--template").arg(root().join("template")).arg("--root").arg(above);
    run(generator.stdout(std::process::Stdio::null()))?;
    let mut tests = program("sh");
    tests.arg("tests/run.sh").env("PATH", path()).current_dir(above.join(name));
    run(&mut tests)
}

/// A check's command in the plugin's `directory`; Python's are modules.
fn command(python: Option<&Path>, words: &[&str], directory: &Path) -> Command {
    let (first, others) = words.split_first().unwrap_or((&"true", &[]));
    let mut command = match python {
        Some(python) => program(python),
        None => program(first),
    };
    match python {
        Some(_) => command.arg("-m").args(words),
        None => command.args(others),
    };
    command.env("PYTHONDONTWRITEBYTECODE", "1").current_dir(directory);
    go::with_caches(command)
}

/// `outrigger check` on the plugin, with its own task.
fn conforms(python: &Python, language: &Language, directory: &Path) -> Result<()> {
    let mut check = go::with_caches(python.command());
    check.args(["-m", "outrigger_plugin", "check", "--task", "task.json"]);
    match language.serves {
        None => check.arg("plugin:app"),
        Some(command) => check.args(["--command", command]),
    };
    check.env("PYTHONPATH", package_path()).env("PATH", path()).current_dir(directory);
    run(&mut check)
}

/// Runs the pages as their readers do, each in a folder that has the wheel.
fn pages(python: &Python) -> Result<()> {
    let wheel = wheel::of_debug_programs(python, &target("plugins/wheel"))?;
    let name = wheel.file_name().context("a wheel has a name")?;
    for (number, page) in PAGES.iter().enumerate() {
        println!("   {page}");
        let directory = target("plugins").join(format!("page-{number}"));
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory)?;
        std::fs::copy(&wheel, directory.join(name))?;
        guide::run(page, &directory, go::with_caches(program("bash")))?;
    }
    Ok(())
}

fn package_path() -> PathBuf {
    root().join("clients/python/src")
}

/// `PATH` with this repository's programs.
fn path() -> String {
    format!("{}:{}", target("debug").display(), std::env::var("PATH").unwrap_or_default())
}
