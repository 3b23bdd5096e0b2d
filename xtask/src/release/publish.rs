//! `cargo xtask publish`: the steps of a release, each a command, so that a workflow only calls them.

mod build;
mod charts;
mod files;
mod images;
mod login;
mod record;
mod shell;

use std::path::{Path, PathBuf};

use anyhow::Result;

use self::{record::Pushed, shell::Shell};
use super::{artefacts::Artefacts, home_of, tree::Tree};
use crate::{
    exit::{self, Exit, usage},
    home::{self, Home, no_registry},
    process::is_on_path,
    scaffold::generator::Generator,
};

/// Builds, pushes and signs a release, one step at a time.
///
/// .github/workflows/release.yml runs the steps; in a fork they push to the fork's own registry. They need skopeo, cosign, syft,
/// helm and gh, but for `build`. `--dry-run` prints each command that would leave this machine.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::HELP)]
pub(crate) struct Args {
    /// The step to run.
    #[arg(value_enum)]
    step: Step,

    /// Print what would be built, pushed and signed, without doing so.
    #[arg(long, env = "OUTRIGGER_DRY_RUN", value_parser = clap::builder::FalseyValueParser::new())]
    dry_run: bool,

    /// Registry to push to, such as registry.example.com/team [default: the workspace's, or else OUTRIGGER_REGISTRY].
    #[arg(long, value_parser = home::check_registry)]
    registry: Option<String>,

    /// Push over plain HTTP, to a registry on this machine.
    #[arg(long)]
    plain_http: bool,

    /// Directory of what is built [default: target/publish].
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Step {
    /// Build images, wheels and programs for this machine's architecture.
    Build,
    /// Log in to the registry as REGISTRY_USERNAME with REGISTRY_TOKEN or, to ghcr.io alone, with GITHUB_TOKEN.
    Login,
    /// Join the architectures of each image; push and sign it, and attach its SBOMs.
    Images,
    /// Package charts with registry and digests; push and sign them.
    Charts,
    /// Write and sign the checksums of all files.
    Files,
    /// Make the release of the tag, with its notes and files.
    Release,
}

impl Step {
    /// Refuses to begin a step that a missing program would end half-way.
    fn check_tools(self) -> Result<()> {
        let tools = match self {
            Self::Build => &["docker", "tar"][..],
            Self::Login => &["docker"],
            Self::Images => &["skopeo", "cosign", "syft"],
            Self::Charts => &["skopeo", "cosign"],
            Self::Files => &["cosign"],
            Self::Release => &["gh"],
        };
        match tools.iter().find(|tool| !is_on_path(tool)) {
            Some(tool) => {
                Err(usage(format!("{tool} is not installed; --dry-run works without it")))
            }
            None => Ok(()),
        }
    }
}

/// What steps work with.
struct Publisher<'a> {
    generator: &'a Generator,
    home: &'a Home,
    release: &'a Artefacts,
    shell: Shell,
    directory: PathBuf,
    plain_http: bool,
}

pub(crate) fn run(args: &Args, generator: &Generator) -> Result<Exit> {
    let root = &generator.project.root;
    let home = home_of(root, args.registry.as_deref())?;
    let release = Artefacts::of(generator, &home, &Tree::read(root)?)?;
    if release.registry.is_none() {
        return Err(no_registry("a release is pushed somewhere"));
    }
    let shell = Shell { dry: args.dry_run };
    if !shell.dry {
        args.step.check_tools()?;
    }
    let directory = args.directory.as_ref().map_or_else(default_directory, |dir| root.join(dir));
    let plain_http = args.plain_http;
    let (home, release) = (&home, &release);
    let publisher = Publisher { generator, home, release, shell, directory, plain_http };
    match args.step {
        Step::Build => publisher.build()?,
        Step::Login => publisher.log_in()?,
        Step::Images => publisher.images()?,
        Step::Charts => publisher.charts()?,
        Step::Files => publisher.files()?,
        Step::Release => publisher.release()?,
    }
    Ok(Exit::Ok)
}

/// Builds what `release --check --build` tries.
///
/// # Errors
/// If something cannot be built.
pub(super) fn build(generator: &Generator, home: &Home, release: &Artefacts) -> Result<()> {
    let (shell, directory) = (Shell { dry: false }, default_directory());
    let publisher = Publisher { generator, home, release, shell, directory, plain_http: false };
    // The quick part first.
    publisher.package_unpushed()?;
    publisher.build()
}

fn default_directory() -> PathBuf {
    crate::target("publish")
}

impl Publisher<'_> {
    fn root(&self) -> &Path {
        &self.generator.project.root
    }

    /// The archive of an image, for one architecture or joined.
    fn image(&self, name: &str, architecture: Option<&str>) -> PathBuf {
        let architecture = architecture.map_or_else(String::new, |name| format!(".{name}"));
        self.directory.join("images").join(format!("{name}{architecture}.tar"))
    }

    /// Where the files of the release are.
    fn files_directory(&self) -> PathBuf {
        self.directory.join("files")
    }

    /// What was pushed so far.
    fn pushed(&self) -> Pushed {
        Pushed::at(&self.directory)
    }
}
