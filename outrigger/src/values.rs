//! `outrigger flyte-values`: Helm values that make Flyte route task types to plugins.

use std::path::PathBuf;

use anyhow::Result;
use serde_json::Value as Json;
use xtask::exit::{Exit, usage};

use crate::{bounded::read_at_most, output, plugins};

/// The longest plugin.toml, in bytes: more than any has.
const MAX_BYTES: u64 = 1 << 20;

// The description is that of the values' own arguments.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Args {
    #[command(flatten)]
    values: xtask::FlyteValues,

    /// The plugin.toml of a plugin that is not one of this release's; may be repeated. Without NAME, the values are
    /// for these plugins alone.
    #[arg(long = "plugin", value_name = "FILE")]
    plugins: Vec<PathBuf>,

    /// Form of the values.
    #[arg(long, value_enum, default_value_t)]
    output: Form,
}

/// The form of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
enum Form {
    /// YAML, with comments.
    #[default]
    #[value(alias = "text")]
    Yaml,
    /// The same values as JSON, which Helm reads, too.
    Json,
}

/// The command with what only this program knows: there is no repository whose plugins could be the default.
pub(crate) fn explained(command: clap::Command) -> clap::Command {
    let names = format!("Installed plugins, of {}", plugins::names().join(", "));
    command.mut_arg("names", |argument| argument.help(names.clone()).long_help(names))
}

/// Prints the values.
pub(crate) fn run(args: &Args) -> Result<Exit> {
    let own = args.plugins.iter().map(read).collect::<Result<Vec<_>>>()?;
    let all = match (args.values.has_names(), own.is_empty()) {
        (false, true) => {
            return Err(usage(format!(
                "name the installed plugins, of {}, or give a --plugin FILE",
                plugins::names().join(", ")
            )));
        }
        (false, false) => own,
        (true, _) => [plugins::released(), own].concat(),
    };
    let files = args.plugins.iter().map(|file| format!(" --plugin {}", file.display()));
    let values = xtask::flyte_values(&args.values, &all, files.collect())?;
    match args.output {
        Form::Yaml => output::print(&values)?,
        Form::Json => {
            let values: Json = serde_saphyr::from_str(&values)?;
            output::print(&format!("{values:#}\n"))?;
        }
    }
    Ok(Exit::Ok)
}

fn read(file: &PathBuf) -> Result<(String, String)> {
    let name = file.display().to_string();
    let about = |why: &str| usage(format!("--plugin {name}: {why}"));
    let read = std::fs::File::open(file).and_then(|file| read_at_most(file, MAX_BYTES));
    let bytes = read.map_err(|error| about(&error.to_string()))?;
    let bytes = bytes.ok_or_else(|| about("is too large for a plugin.toml"))?;
    let text = String::from_utf8(bytes).map_err(|_| about("is no text"))?;
    Ok((name, text))
}
