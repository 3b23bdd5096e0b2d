//! `outrigger plugin`: plugins that are YAML files.

use anyhow::Result;
use declarative::{
    Mistakes,
    tools::{self, Checked, Wrong},
};
use serde_json::{Value as Json, json};
use xtask::exit::{Exit, usage};

use crate::output::{self, Output};

/// What to do with a plugin's file.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    Check(With<tools::Check>),
    Try(With<tools::Try>),
    /// Prints the JSON Schema of plugins' files, for editors.
    Schema,
}

// The arguments of a command, and the form of its output.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct With<A: clap::Args> {
    #[command(flatten)]
    args: A,

    /// Form of the output.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// Does it.
pub(crate) fn run(verb: &Verb) -> Result<Exit> {
    match verb {
        Verb::Check(With { args, output }) => check(args, *output),
        Verb::Try(With { args, output }) => attempt(args, *output),
        Verb::Schema => output::print(&tools::schema()).map(|()| Exit::Ok),
    }
}

fn check(args: &tools::Check, output: Output) -> Result<Exit> {
    let checked = args.run();
    if let Some(message) = checked.iter().find_map(unreadable) {
        return Err(usage(message));
    }
    let mistaken = checked.iter().filter_map(|one| Some((one, mistakes(one)?)));
    let wrong = mistaken.map(|(_, mistakes)| mistakes.to_string()).collect::<Vec<_>>();
    let right = checked.iter().filter_map(|one| one.result.as_ref().ok());
    output
        .print(&right.cloned().collect::<String>(), &checked.iter().map(row).collect::<Vec<_>>())?;
    if output == Output::Text && !wrong.is_empty() {
        anstream::eprintln!("{}", wrong.join("\n\n"));
    }
    Ok(if wrong.is_empty() { Exit::Ok } else { Exit::Failed })
}

fn unreadable(checked: &Checked) -> Option<&str> {
    match &checked.result {
        Err(Wrong::Unreadable(message)) => Some(message),
        _ => None,
    }
}

fn mistakes(checked: &Checked) -> Option<&Mistakes> {
    match &checked.result {
        Err(Wrong::Mistakes(mistakes)) => Some(mistakes),
        _ => None,
    }
}

/// A file and its mistakes, for programs.
fn row(checked: &Checked) -> Json {
    let mistakes = mistakes(checked).map(Mistakes::list).unwrap_or_default();
    let mistakes = mistakes.iter().map(
        |(line, column, message)| json!({ "line": line, "column": column, "message": message }),
    );
    json!({ "file": checked.file, "mistakes": mistakes.collect::<Vec<_>>() })
}

fn attempt(args: &tools::Try, output: Output) -> Result<Exit> {
    match args.run() {
        Ok(text) => output.print(&text, &json!({ "file": args.file(), "requests": text }))?,
        Err(wrong) if output == Output::Json => {
            let error = wrong.strip_prefix("error: ").unwrap_or(&wrong);
            output.print("", &json!({ "file": args.file(), "error": error }))?;
            return Ok(Exit::Failed);
        }
        Err(wrong) => {
            // What is wrong has its own first line, as in `check`.
            anstream::eprintln!("{wrong}");
            return Ok(Exit::Failed);
        }
    }
    Ok(Exit::Ok)
}
