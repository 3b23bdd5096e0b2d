//! `cargo xtask site`: the documentation as a site with search.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::{
    cargo_tools::Tool,
    exit::usage,
    home::Home,
    process::{cargo, program, run as run_program, works},
    root, target,
};

/// Builds the documentation site from the repository's pages, and checks every link.
///
/// `docs/README.md` is the table of contents; each plugin's pages are added by themselves. The site is
/// written to target/site/book and needs no server. Addresses of other sites are checked for their form alone.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Open the site in a browser.
    #[arg(long, conflicts_with = "check")]
    open: bool,

    /// Only check the links of the pages as they are in the repository; needs no mdBook.
    #[arg(long)]
    check: bool,
}

/// What makes the site.
const MDBOOK: Tool = Tool {
    name: "mdbook",
    version: "0.5.4",
    features: &["--no-default-features", "--features=search"],
};
/// The first page, in mdBook's output.
const FRONT: &str = "site/book/index.html";

pub(crate) fn run(args: &Args) -> Result<()> {
    links()?;
    if args.check {
        return Ok(());
    }
    println!("Building the site …");
    // The user asked for a site: what makes it is installed.
    let Some(mdbook) = tool(true)? else { bail!("{}", MDBOOK.advice()) };
    build(&mdbook)?;
    let front = target(FRONT);
    println!("{}", front.display());
    if args.open { open(&front) } else { Ok(()) }
}

/// Checks links and builds the site; returns how to install mdBook if it is missing and `install` is not set.
///
/// # Errors
/// A broken link, or a failed build.
pub(crate) fn check(install: bool) -> Result<Option<String>> {
    links()?;
    let Some(mdbook) = tool(install)? else { return Ok(Some(MDBOOK.advice())) };
    build(&mdbook)?;
    Ok(None)
}

/// mdBook; installed if it is missing and `install` is set.
///
/// # Errors
/// If it cannot be built.
pub(crate) fn tool(install: bool) -> Result<Option<PathBuf>> {
    MDBOOK.built(install)
}

/// Checks the links of the pages as they are in the repository.
fn links() -> Result<()> {
    run_program(&mut cargo(&["build", "--package", "site", "--locked", "--quiet"]))?;
    run_program(program(target("debug/site")).arg("links").arg(root()))
}

/// Builds the site and checks its links. [`links`] has built the program that does.
fn build(mdbook: &PathBuf) -> Result<()> {
    let directory = target("site");
    let repository = Home::of_release(root())?.repository;
    let mut stage = program(target("debug/site"));
    stage.arg("stage").arg(root()).arg(&directory);
    if !repository.is_empty() {
        stage.arg("--repository").arg(repository.trim_end_matches('/'));
    }
    run_program(&mut stage)?;
    run_program(program(mdbook).arg("build").arg(&directory).env("MDBOOK_LOG", "warn"))?;
    run_program(program(target("debug/site")).arg("rendered").arg(directory.join("book")))
}

fn open(page: &PathBuf) -> Result<()> {
    let openers = ["xdg-open", "open"];
    if openers.iter().any(|opener| works(program(opener).arg(page))) {
        return Ok(());
    }
    Err(usage(format!("no browser can be started: open {} yourself", page.display())))
}
