//! Commands for those who write files: check one, print the JSON Schema, show what a task makes of it.

mod attempt;
mod reference;

use std::{path::PathBuf, process::ExitCode};

use plugin_core::{
    Tool,
    clap::{self, ArgMatches, Args, Command, FromArgMatches},
    serde_json,
};

use crate::{Definition, Mistakes, file};

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

/// Checks files of plugins: prints each mistake with its line and exits with 1, or what is in the files
#[derive(Debug, Args)]
pub struct Check {
    /// Files to check, in YAML.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

fn check_command() -> Command {
    Check::augment_args(Command::new("check"))
}

fn check_matches(matches: &ArgMatches) -> ExitCode {
    let check = match Check::from_arg_matches(matches) {
        Ok(check) => check,
        Err(error) => error.exit(),
    };
    let mut code = ExitCode::SUCCESS;
    for checked in check.run() {
        match checked.result {
            Ok(summary) => print(&summary),
            Err(wrong) => {
                eprintln!("{wrong}");
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}

/// A file that was checked.
#[derive(Debug)]
pub struct Checked {
    /// The file, as it was named.
    pub file: String,
    /// What is in it, or what is wrong.
    pub result: Result<String, Wrong>,
}

/// What is wrong with a file.
#[derive(Debug)]
pub enum Wrong {
    /// It cannot be read, as text that names it.
    Unreadable(String),
    /// It has mistakes.
    Mistakes(Mistakes),
}

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreadable(message) => f.write_str(message),
            Self::Mistakes(mistakes) => mistakes.fmt(f),
        }
    }
}

impl Check {
    /// Checks each file.
    #[must_use]
    pub fn run(&self) -> Vec<Checked> {
        let checked = self.files.iter().map(|path| {
            let file = path.display().to_string();
            let source = std::fs::read_to_string(path)
                .map_err(|error| Wrong::Unreadable(format!("{file}: {error}")));
            let result = source.and_then(|source| check(&file, &source).map_err(Wrong::Mistakes));
            Checked { file, result }
        });
        checked.collect()
    }
}

/// Checks `source`, the file `name`: what is in it.
///
/// # Errors
/// Every mistake with its line.
pub fn check(name: &str, source: &str) -> Result<String, Mistakes> {
    let definition = Definition::read(name, source)?;
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

/// Prints the requests that a plugin's file makes of a task, and what answers mean, without sending anything
#[derive(Debug, Args)]
pub struct Try {
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
    Try::augment_args(Command::new("try"))
}

fn try_matches(matches: &ArgMatches) -> ExitCode {
    let arguments = match Try::from_arg_matches(matches) {
        Ok(arguments) => arguments,
        Err(error) => error.exit(),
    };
    match arguments.run() {
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

impl Try {
    /// The file, as it was named.
    #[must_use]
    pub fn file(&self) -> String {
        self.file.display().to_string()
    }

    /// Prints the requests of the task, and what the answers mean.
    ///
    /// # Errors
    /// What is wrong with the file, the task, the settings or the answers.
    pub fn run(&self) -> Result<String, String> {
        let read = |path: &PathBuf| {
            std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
        };
        let source = read(&self.file)?;
        let request = self.request.as_ref().map(read).transpose()?;
        let recorded = self.recorded.as_ref().map(read).transpose()?;
        attempt(&Attempt {
            name: &self.file(),
            source: &source,
            request: request.as_deref(),
            recorded: recorded.as_deref(),
            set: self.set.clone(),
        })
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
