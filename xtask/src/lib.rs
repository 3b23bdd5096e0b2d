//! The repository's development tools, one module per command.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "those rules are for services: these tools have no async runtime to block and no clock to pause"
)]

mod advisories;
mod badges;
mod bench;
mod beside;
mod bundle;
mod cargo_tools;
mod ci;
mod command_line;
mod demo;
mod dependencies;
pub mod exit;
mod floors;
mod flyte2;
mod flyte_values;
mod go;
mod guide;
mod home;
mod image;
mod image_test;
mod invariants;
mod labels;
mod list;
mod local_service;
mod new_plugin;
mod outrigger;
mod package;
mod prepare;
mod process;
mod prompt;
mod python;
mod recording;
mod release;
mod remove_plugin;
mod scaffold;
mod site;
mod status;
mod sync;
mod template_notes;
mod template_test;
mod test;
mod times;
mod token;
mod verify;
mod wheel;
mod workspace;

use std::{collections::BTreeMap, path::PathBuf, process::ExitCode};

use anyhow::Result;

pub(crate) use crate::workspace::{CARGO, root, target, tool};
pub use crate::{
    command_line::{parse, without_secrets},
    flyte_values::Args as FlyteValues,
    list::Args as List,
    new_plugin::Args as NewPlugin,
    outrigger::{Generate, Outrigger, Place},
    status::Args as Status,
    sync::Args as Sync,
};
use crate::{
    exit::Exit,
    scaffold::{
        generator::Generator,
        plugin_toml::PluginToml,
        project::{Layout, Project},
        render::{Renderer, Versions},
        template::Template,
    },
};

/// Development tools for Outrigger: create, sync, check, package and demo plugins.
#[derive(Debug, clap::Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
pub struct Cli {
    /// Repository to work on [default: the one this program was built from].
    #[arg(long, global = true, value_name = "DIR")]
    root: Option<PathBuf>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    NewPlugin(new_plugin::Args),
    Sync(sync::Args),
    Status(status::Args),
    List(list::Args),
    FlyteValues(flyte_values::Args),
    Image(image::Args),
    Package(package::Args),
    Wheel(wheel::Args),
    Release(release::Args),
    Publish(release::publish::Args),
    RemovePlugin(remove_plugin::Args),
    Demo(demo::Args),
    Site(site::Args),
    Badges(badges::Args),
    Test(test::Args),
    Advisories(advisories::Args),
    Labels(labels::Args),
    Bench(bench::Args),
    Token(token::Args),
}

/// Runs the command line.
#[must_use]
pub fn run(cli: Cli) -> ExitCode {
    if let Some(root) = cli.root {
        workspace::work_in(&std::path::absolute(&root).unwrap_or(root));
    }
    exit::of(|| dispatch(cli.command))
}

/// Calls this program `name` in messages. Call it before anything else: the first call counts.
pub fn name_program(name: &'static str) {
    workspace::name_tool(name);
}

/// Runs a command of the generator in `place`, with the template in `files`, keyed by path.
#[must_use]
pub fn generate(place: Place, command: &Generate, files: BTreeMap<String, String>) -> ExitCode {
    exit::of(|| outrigger::run(place, command, files))
}

/// Helm values that make Flyte route task types to `plugins`, as YAML.
///
/// Plugins are the contents of their plugin.toml, each with its name in errors. `options` are those of the command line that are not in `args`, for the values' first lines.
///
/// # Errors
/// If `args` name what is not there or do not fit each other, or a plugin.toml is invalid.
pub fn flyte_values(
    args: &FlyteValues,
    plugins: &[(String, String)],
    options: String,
) -> Result<String> {
    flyte_values::checked_values(args, &flyte_values::Plugins::released(plugins, options)?)
}

fn dispatch(command: Command) -> Result<Exit> {
    let template = || Template::read(&root().join("template"));
    let generator = || Generator::open(Project::at(root()), template()?);
    match command {
        Command::NewPlugin(args) => new_plugin::run(&args, &generator()?),
        Command::Sync(args) => sync::run(&args, &generator()?),
        Command::Status(args) => status::run(&args, &generator()?),
        Command::List(args) => list::run(&args, &generator()?),
        Command::FlyteValues(args) => flyte_values::run(&args, &generator()?),
        Command::Image(args) => image::run(&args, &generator()?),
        Command::Package(args) => package::run(&args, &generator()?),
        Command::Wheel(args) => wheel::run(&args, &generator()?),
        Command::Release(args) => release::run(&args, &generator()?),
        Command::Publish(args) => release::publish::run(&args, &generator()?),
        Command::RemovePlugin(args) => remove_plugin::run(&args, &generator()?),
        Command::Demo(args) => demo::run(&args).map(|()| Exit::Ok),
        Command::Site(args) => site::run(&args).map(|()| Exit::Ok),
        Command::Badges(args) => badges::run(&args).map(|()| Exit::Ok),
        Command::Test(args) => test::run(&args).map(|()| Exit::Ok),
        Command::Advisories(args) => advisories::run(&args),
        Command::Labels(args) => labels::run(&args),
        Command::Bench(args) => bench::run(&args).map(|()| Exit::Ok),
        Command::Token(args) => token::run(&args).map(|()| Exit::Ok),
    }
}

/// What the template of `files` is rendered to for a plugin of its own or, with `core = "workspace"`,
/// of this repository: by path in the plugin's directory, or below `chart/` and `docs/`.
///
/// The plugin is standalone or, with `core = "workspace"`, one of this repository. The result is keyed by
/// path in the plugin's directory, or below `chart/` and `docs/`. Rust files are not yet formatted.
///
/// # Errors
/// If the template or the plugin.toml is invalid.
pub fn render(
    files: BTreeMap<String, String>,
    plugin_toml: &str,
) -> Result<BTreeMap<String, String>> {
    let template = Template::new(files)?;
    let plugin = PluginToml::parse(plugin_toml)?;
    let rendered =
        Renderer::new(&template, Versions::of("0.0.0"))?.render(&plugin, Layout::Standalone)?;
    Ok(rendered.into_iter().map(|file| (file.id, file.text)).collect())
}
