//! `cargo xtask test`: everything that CI checks, fastest checks first.

mod any_language;
mod interop;

use std::{process::Command, time::Instant};

use anyhow::{Result, bail};

use crate::{
    badges,
    bench::budgets,
    beside::{self, Beside},
    ci::is_ci,
    dependencies, go, image_test, invariants, prepare,
    process::{cargo, run as run_program},
    python::{self, CHARTS, HOSTILE, INTEROP, Python, WORKFLOWS},
    release, root, site, template_notes, template_test,
    times::{End, Times},
};

/// Checks the repository as CI does.
///
/// Prepares what it needs below target/. A step whose tools are missing is reported as skipped; with
/// the variable CI set, tools are installed and nothing is skipped.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Run only this step; may be repeated.
    #[arg(long, value_name = "STEP")]
    only: Vec<String>,

    /// Run only the steps for the template: compile and test plugins created from it.
    #[arg(long)]
    template: bool,

    /// Run only the steps that check the repository's own rules.
    #[arg(long)]
    repo: bool,

    /// List the steps and exit.
    #[arg(long)]
    list: bool,

    /// Be the process that `beside.rs` starts.
    #[arg(long, hide = true)]
    beside: bool,
}

/// One step.
struct Step {
    name: &'static str,
    what: &'static str,
    run: fn(&Environment) -> Result<Outcome>,
}

/// How a step ended, unless it failed.
#[derive(Debug)]
enum Outcome {
    Passed,
    Skipped(String),
    /// A download it needs is refused on this network, and no tool that CI could install changes that:
    /// skipped in CI, too, because otherwise no change could ever pass.
    NotServed(String),
}

/// Settings shared by all steps.
struct Environment {
    ci: bool,
}

/// The step that runs in parallel from the start: it does not depend on the repository's programs.
const PREPARE: &str = "prepare";
/// The steps that run in parallel with the others once the programs are built.
const BESIDE: [&str; 8] = [
    "interop-propeller",
    "interop-flyte2",
    "interop-flytekit",
    "interop-aws",
    "plugins",
    "hostile",
    "charts",
    "cluster",
];
/// The steps of `--template`.
const TEMPLATE: [&str; 4] = ["template", "standalone", "parity", "guide"];
/// The steps of `--repo`.
const REPO: [&str; 2] = ["invariants", "generated"];

const STEPS: [Step; 28] = [
    Step { name: PREPARE, what: "tools that other steps need", run: prepare_tools },
    Step { name: "fmt", what: "rustfmt has nothing to change", run: fmt },
    Step { name: "invariants", what: "repository rules that no lint covers", run: house_rules },
    Step {
        name: "generated",
        what: "plugins match what the template renders, badges their facts",
        run: generated,
    },
    Step { name: "clippy", what: "lints, as errors", run: clippy },
    Step { name: "build", what: "every program", run: build },
    Step { name: "python", what: "a Python environment for interop", run: python_environment },
    Step { name: "rust", what: "unit, conformance and integration tests", run: rust },
    Step { name: "doc", what: "rustdoc, warnings as errors", run: doc },
    Step { name: "site", what: "the documentation's site, and every link", run: documentation },
    Step { name: "interop-python", what: "Flyte's published Python stubs", run: interop::python },
    Step {
        name: "interop-propeller",
        what: "Flyte 1's own plugin and executor",
        run: interop::propeller,
    },
    Step { name: "interop-flyte2", what: "Flyte 2's own executor, in Go", run: interop::flyte2 },
    Step { name: "interop-flytekit", what: "Flyte's SDKs and connectors", run: interop::flytekit },
    Step { name: "interop-aws", what: "AWS's own client, and moto with IAM on", run: interop::aws },
    Step {
        name: "plugins",
        what: "plugins in any language, behind the bridge",
        run: any_language::check,
    },
    Step { name: "hostile", what: "callers, vendors and networks that mean harm", run: hostile },
    Step { name: "dependencies", what: "licences, sources, duplicates, unused", run: dependencies },
    Step {
        name: "workflows",
        what: "GitHub's workflows, and every command that they run, dry",
        run: workflows,
    },
    Step { name: "template", what: "plugins created in a workspace pass", run: template },
    Step { name: "standalone", what: "plugins in separate repositories pass", run: standalone },
    Step { name: "parity", what: "cargo-generate renders the same bytes", run: parity },
    Step { name: "guide", what: "docs/writing-a-plugin.md, run from top to bottom", run: guide },
    Step { name: "charts", what: "charts, with Helm's and Kubernetes' own programs", run: charts },
    Step { name: "cluster", what: "charts on a real control plane", run: cluster },
    Step { name: "image", what: "an image is reproducible, small and unprivileged", run: image },
    Step { name: "instructions", what: "no call costs more than its budget", run: instructions },
    Step { name: "demo", what: "the README's first command", run: demo },
];

pub(crate) fn run(args: &Args) -> Result<()> {
    if args.list {
        STEPS.iter().for_each(|step| println!("{:<16} {}", step.name, step.what));
        return Ok(());
    }
    if let Some(unknown) = args.only.iter().find(|only| STEPS.iter().all(|s| s.name != **only)) {
        bail!("unknown step {unknown}; --list shows all");
    }
    let mut times = Times::new(args.beside.then(beside::times));
    let environment = Environment { ci: is_ci() };
    let chosen = args.chosen();
    let ended = if args.beside {
        run_beside(&environment, &mut times)
    } else if chosen.is_empty() {
        run_everything(&environment, &mut times)
    } else {
        run_steps(named(&chosen), &environment, &mut times)
    };
    if !args.beside {
        println!("{}", times.table());
    }
    ended?;
    match times.skipped().as_slice() {
        _ if args.beside => {}
        [] => println!("Everything passed."),
        some => println!("Passed, except for skipped steps: {}", some.join(", ")),
    }
    Ok(())
}

/// The steps with these names, in the order of [`STEPS`].
fn named(names: &[&str]) -> impl Iterator<Item = &'static Step> {
    STEPS.iter().filter(|step| names.contains(&step.name))
}

/// Every step, in two lanes: the parallel one prepares tools, then runs the steps that need the built
/// programs, and ends before `demo` builds these again.
fn run_everything(environment: &Environment, times: &mut Times) -> Result<()> {
    let mut beside = Beside::start()?;
    let ended = run_lane(&mut beside, environment, times);
    times.add_saved(&beside::times());
    ended?;
    run_steps(named(&["demo"]), environment, times)
}

/// The steps of this lane, except `demo`.
fn run_lane(beside: &mut Beside, environment: &Environment, times: &mut Times) -> Result<()> {
    let elsewhere = |name: &str| name == PREPARE || name == "demo" || BESIDE.contains(&name);
    for step in STEPS.iter().filter(|step| !elsewhere(step.name)) {
        if step.name == "doc" {
            beside.programs_are_built()?;
        }
        run_steps([step], environment, times)?;
        beside.check()?;
    }
    beside.finish()
}

/// The steps of the parallel lane, in the process that [`Beside`] starts.
fn run_beside(environment: &Environment, times: &mut Times) -> Result<()> {
    let parent = std::os::unix::process::parent_id();
    run_steps(named(&[PREPARE]), environment, times)?;
    beside::wait_for_programs(parent)?;
    run_steps(named(&BESIDE), environment, times)
}

fn run_steps(
    steps: impl IntoIterator<Item = &'static Step>,
    environment: &Environment,
    times: &mut Times,
) -> Result<()> {
    for step in steps {
        println!("── {}: {}", step.name, step.what);
        let started = Instant::now();
        times.step(step.name, || match (step.run)(environment)? {
            Outcome::Passed => {
                println!("── {} passed in {:.0?}\n", step.name, started.elapsed());
                Ok(End::Passed)
            }
            Outcome::Skipped(why) if environment.ci => bail!("{} cannot run: {why}", step.name),
            Outcome::Skipped(why) | Outcome::NotServed(why) => {
                println!("── {} skipped: {why}\n", step.name);
                Ok(End::Skipped)
            }
        })?;
    }
    Ok(())
}

impl Args {
    /// The names of the steps to run; none for all.
    fn chosen(&self) -> Vec<&str> {
        let template = self.template.then_some(TEMPLATE).into_iter().flatten();
        let repo = self.repo.then_some(REPO).into_iter().flatten();
        self.only.iter().map(String::as_str).chain(template).chain(repo).collect()
    }
}

fn passed(mut command: Command) -> Result<Outcome> {
    run_program(&mut command)?;
    Ok(Outcome::Passed)
}

fn prepare_tools(environment: &Environment) -> Result<Outcome> {
    prepare::everything(environment.ci)?;
    Ok(Outcome::Passed)
}

fn fmt(_: &Environment) -> Result<Outcome> {
    passed(cargo(&["fmt", "--all", "--check"]))
}

fn house_rules(_: &Environment) -> Result<Outcome> {
    invariants::check()?;
    Ok(Outcome::Passed)
}

fn generated(_: &Environment) -> Result<Outcome> {
    template_notes::check()?;
    release::check_charts(root())?;
    badges::check()?;
    passed(cargo(&["xtask", "sync", "--all", "--check"]))
}

fn clippy(_: &Environment) -> Result<Outcome> {
    passed(cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--quiet",
        "--",
        "-Dwarnings",
    ]))
}

fn build(_: &Environment) -> Result<Outcome> {
    passed(cargo(&["build", "--workspace", "--bins", "--locked", "--quiet"]))
}

fn python_environment(_: &Environment) -> Result<Outcome> {
    match Python::prepare(INTEROP)? {
        Some(python) => {
            python.install_discovery()?;
            Ok(Outcome::Passed)
        }
        None => Ok(Outcome::Skipped(python::MISSING.to_owned())),
    }
}

fn rust(_: &Environment) -> Result<Outcome> {
    let mut command = cargo(&["test", "--workspace", "--locked", "--quiet"]);
    // It is a separate step.
    command.args(["--exclude", "template-parity"]);
    // A missing snapshot must fail the test, not be written.
    command.env("INSTA_UPDATE", "no");
    passed(command)
}

fn doc(_: &Environment) -> Result<Outcome> {
    let mut command = cargo(&["doc", "--workspace", "--no-deps", "--locked", "--quiet"]);
    command.arg("--document-private-items");
    command.env("RUSTDOCFLAGS", "-D warnings");
    passed(command)
}

fn documentation(environment: &Environment) -> Result<Outcome> {
    let missing = site::check(environment.ci)?;
    Ok(missing.map_or(Outcome::Passed, Outcome::Skipped))
}

fn hostile(_: &Environment) -> Result<Outcome> {
    match Python::prepare(HOSTILE)? {
        Some(python) => passed(python.pytest()),
        None => Ok(Outcome::Skipped(python::MISSING.to_owned())),
    }
}

fn dependencies(environment: &Environment) -> Result<Outcome> {
    let missing = dependencies::check(environment.ci)?;
    Ok(missing.map_or(Outcome::Passed, Outcome::Skipped))
}

fn workflows(_: &Environment) -> Result<Outcome> {
    if !go::is_installed() {
        return Ok(Outcome::Skipped("go is not installed: it builds actionlint".to_owned()));
    }
    let Some(python) = Python::prepare(WORKFLOWS)? else {
        return Ok(Outcome::Skipped(python::MISSING.to_owned()));
    };
    // Helm, which packages and pushes charts.
    prepare::chart_tools(&python)?;
    prepare::actionlint()?;
    passed(python.pytest())
}

fn template(_: &Environment) -> Result<Outcome> {
    template_test::in_a_workspace()?;
    Ok(Outcome::Passed)
}

fn standalone(_: &Environment) -> Result<Outcome> {
    template_test::in_a_repository_of_its_own()?;
    Ok(Outcome::Passed)
}

fn parity(_: &Environment) -> Result<Outcome> {
    let mut command = cargo(&["test", "--package", "template-parity", "--locked", "--quiet"]);
    if std::env::var_os("USER").is_none() {
        // cargo-generate requires a user name.
        command.env("USER", "nobody");
    }
    passed(command)
}

fn guide(_: &Environment) -> Result<Outcome> {
    template_test::guide()?;
    Ok(Outcome::Passed)
}

fn charts(_: &Environment) -> Result<Outcome> {
    let Some(python) = Python::prepare(CHARTS)? else {
        return Ok(Outcome::Skipped(python::MISSING.to_owned()));
    };
    prepare::chart_tools(&python)?;
    run_program(&mut cargo(&["build", "--quiet", "--package", "cargo-outrigger"]))?;
    passed(go::with_caches(python.pytest()))
}

fn cluster(_: &Environment) -> Result<Outcome> {
    if !go::is_installed() {
        return Ok(Outcome::Skipped(
            "go is not installed: it builds Kubernetes' programs".to_owned(),
        ));
    }
    let Some(python) = Python::prepare(CHARTS)? else {
        return Ok(Outcome::Skipped(python::MISSING.to_owned()));
    };
    prepare::chart_tools(&python)?;
    prepare::control_plane(&python)?;
    passed(python.pytest_on("tests/cluster"))
}

fn image(_: &Environment) -> Result<Outcome> {
    if let Some(missing) = image_test::missing() {
        return Ok(Outcome::Skipped(missing.to_owned()));
    }
    image_test::check()?;
    Ok(Outcome::Passed)
}

fn instructions(_: &Environment) -> Result<Outcome> {
    if let Some(missing) = budgets::missing() {
        return Ok(Outcome::Skipped(missing));
    }
    budgets::check()?;
    Ok(Outcome::Passed)
}

fn demo(_: &Environment) -> Result<Outcome> {
    let demo = ["run", "--quiet", "--package", "xtask", "--", "demo"];
    passed(cargo(&[&demo[..], &["--check-svg", "docs/demo.svg"]].concat()))
}
