//! `cargo outrigger`: the generator for plugins outside this repository.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::{
    exit::{Exit, usage},
    list, new_plugin,
    scaffold::{generator::Generator, plugin_toml, project::Project, template::Template},
    status, sync,
};

/// Creates Outrigger plugins in separate repositories and keeps them in sync with the template.
#[derive(Debug, clap::Args)]
#[command(version)]
pub struct Outrigger {
    #[command(flatten)]
    place: Place,

    #[command(subcommand)]
    command: Generate,
}

impl Outrigger {
    /// Where to work, and what to do.
    #[must_use]
    pub fn into_parts(self) -> (Place, Generate) {
        (self.place, self.command)
    }
}

/// Where the generator works.
#[derive(Debug, clap::Args)]
pub struct Place {
    /// Directory to work in [default: the current directory].
    #[arg(long, global = true, value_name = "DIR")]
    root: Option<PathBuf>,

    /// Directory of the template [default: the template built into this program].
    #[arg(long, global = true, value_name = "DIR")]
    template: Option<PathBuf>,
}

/// A command of the generator.
#[derive(Debug, clap::Subcommand)]
#[expect(missing_docs, reason = "a variant's would replace that of its arguments in the help")]
pub enum Generate {
    #[command(visible_alias = "new")]
    NewPlugin(new_plugin::Args),
    Sync(sync::Args),
    Status(status::Args),
    List(list::Args),
}

pub(crate) fn run(
    place: Place,
    command: &Generate,
    files: BTreeMap<String, String>,
) -> Result<Exit> {
    let template = match &place.template {
        Some(directory) => Template::read(directory)
            .map_err(|error| usage(format!("--template {}: {error:#}", directory.display())))?,
        None => Template::new(files)?,
    };
    let here = match place.root {
        Some(root) => std::path::absolute(root)?,
        None => std::env::current_dir()?,
    };
    if let Generate::NewPlugin(args) = command {
        crate::workspace::work_in(&here);
        return new_plugin::run_standalone(args, &here, |project| {
            Generator::open(project, template.clone())
        });
    }
    let root = repository(&here)?;
    crate::workspace::work_in(root);
    let generator = Generator::open(Project::at(root), template)?;
    match command {
        Generate::NewPlugin(_) => Ok(Exit::Ok),
        Generate::Sync(args) => sync::run(args, &generator),
        Generate::Status(args) => status::run(args, &generator),
        Generate::List(args) => list::run(args, &generator),
    }
}

/// The repository around `here`.
fn repository(here: &Path) -> Result<&Path> {
    let is_plugin = |directory: &&Path| directory.join(plugin_toml::FILE).is_file();
    here.ancestors()
        .find(is_plugin)
        .ok_or_else(|| usage(format!("no {} in this directory or its parents", plugin_toml::FILE)))
        .with_context(|| here.display().to_string())
}
