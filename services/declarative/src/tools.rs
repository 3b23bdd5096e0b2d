//! Commands for those who write files: check one, print the JSON Schema, show what a task makes of it.

mod attempt;
mod reference;

use std::{path::PathBuf, process::ExitCode};

use plugin_core::{
    Tool,
    clap::{self, ArgMatches, Args, Command, FromArgMatches},
    serde_json,
};

use crate::{Definition, file};

pub use self::{
    attempt::{Attempt, attempt},
    reference::reference,
};
use crate::settings::Assignment;

/// The commands.
pub const TOOLS: [Tool; 3] = [
    Tool { command: check_command, run: check_matches },
    Tool { command: schema_command, run: schema_matches },
    Tool { command: try_command, run: try_matches },
];

/// The arguments of `check`.
#[derive(Debug, Args)]
struct Check {
    /// Files to check, in YAML.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

fn check_command() -> Command {
    let about = "Checks files of plugins: prints each mistake with its line and exits with 1, or what is in the files";
    Check::augment_args(Command::new("check")).about(about)
}

fn check_matches(matches: &ArgMatches) -> ExitCode {
    let Check { files } = match Check::from_arg_matches(matches) {
        Ok(check) => check,
        Err(error) => error.exit(),
    };
    let mut code = ExitCode::SUCCESS;
    for path in files {
        let name = path.display().to_string();
        let checked = std::fs::read_to_string(&path).map_err(|error| format!("{name}: {error}"));
        match checked.and_then(|source| check(&name, &source)) {
            Ok(summary) => print(&summary),
            Err(mistakes) => {
                eprintln!("{mistakes}");
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}

/// Checks `source`, the file `name`: what is in it.
///
/// # Errors
/// Every mistake with its line.
pub fn check(name: &str, source: &str) -> Result<String, String> {
    let definition = Definition::read(name, source).map_err(|mistakes| mistakes.to_string())?;
    let Definition { name: plugin, description, task_types, settings, secrets, .. } = &definition;
    let mut text = format!("{name}: no mistakes\n  {plugin}: {description}\n");
    for (task_type, version) in task_types {
        text += &format!("  task type {task_type}, version {version}\n");
    }
    for setting in settings {
        let default = match &setting.default {
            Some(default) => format!("default {default}"),
            None => "required".to_owned(),
        };
        text += &format!(
            "  setting --set {plugin}.{}=… ({default}): {}\n",
            setting.name, setting.description
        );
    }
    for (secret, description) in secrets {
        text += &format!("  secret {secret}: {description}\n");
    }
    Ok(text)
}

fn schema_command() -> Command {
    Command::new("schema").about("Prints the JSON Schema of plugins' files, for editors")
}

fn schema_matches(_: &ArgMatches) -> ExitCode {
    print(&schema());
    ExitCode::SUCCESS
}

/// The arguments of `try`.
#[derive(Debug, Args)]
struct Try {
    /// File of a plugin, in YAML.
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// File with a task in the short form of REST: `custom`, `sql` and `inputs`, in JSON or YAML. By default the file's own
    /// example.
    #[arg(long, value_name = "FILE")]
    request: Option<PathBuf>,

    /// File with the vendor's answers, step by step, as the conformance suite takes it: prints what each of them means.
    #[arg(long, value_name = "FILE")]
    recorded: Option<PathBuf>,

    /// Settings that the file declares.
    #[arg(long = "set", value_name = "PLUGIN.NAME=VALUE", value_delimiter = ',')]
    set: Vec<Assignment>,
}

fn try_command() -> Command {
    let about = "Prints the requests that a plugin's file makes of a task, and what answers mean, without sending anything";
    Try::augment_args(Command::new("try")).about(about)
}

fn try_matches(matches: &ArgMatches) -> ExitCode {
    let Try { file, request, recorded, set } = match Try::from_arg_matches(matches) {
        Ok(arguments) => arguments,
        Err(error) => error.exit(),
    };
    let read = |path: &PathBuf| {
        std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
    };
    let run = || {
        let source = read(&file)?;
        let request = request.as_ref().map(read).transpose()?;
        let recorded = recorded.as_ref().map(read).transpose()?;
        let name = file.display().to_string();
        let (request, recorded) = (request.as_deref(), recorded.as_deref());
        attempt(&Attempt { name: &name, source: &source, request, recorded, set })
    };
    match run() {
        Ok(text) => {
            print(&text);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// The JSON Schema of a plugin's file.
#[must_use]
pub fn schema() -> String {
    let schema = serde_json::to_string_pretty(&file::schema()).unwrap_or_default();
    schema + "\n"
}

/// Prints to standard output; one that is closed is nobody's loss.
fn print(text: &str) {
    use std::io::Write as _;
    let _ = std::io::stdout().write_all(text.as_bytes());
}
