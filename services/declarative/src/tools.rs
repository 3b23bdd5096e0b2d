//! Commands for those who write files: check one, print the JSON Schema, show what a task makes of it.

mod attempt;
mod recorded;
mod reference;
mod shown;
mod trial;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use plugin_core::{
    TrialArgs, block_on,
    clap::{self, Args, Subcommand},
    serde_json,
};

use self::attempt::Names;
use crate::{Definition, Mistakes, file, settings::Assignment};

pub use self::{
    attempt::{Attempt, attempt},
    reference::reference,
    trial::attempt_against,
};

/// The commands, for every program that has them.
#[derive(Debug, Subcommand)]
pub enum Tools {
    /// Checks files of plugins: prints each mistake with its line and exits with 1, or what is in the files
    Check(Check),

    /// Prints the JSON Schema of plugins' files, for editors
    Schema,

    /// Prints the requests that a plugin's file makes of a task, and what answers mean
    ///
    /// Sends nothing, unless `--against` says where to: then it submits the task, polls its job once and stops it. Secrets are
    /// shown as their names.
    Try(Try),
}

/// Checks files of plugins: prints each mistake with its line and exits with 1, or what is in the files
#[derive(Debug, Args)]
pub struct Check {
    /// Files to check, in YAML.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

/// Prints the requests that a plugin's file makes of a task, and what answers mean
///
/// Sends nothing, unless `--against` says where to: then it submits the task, polls its job once and stops it. Secrets are
/// shown as their names.
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
    #[arg(long, value_name = "FILE", conflicts_with = "against")]
    recorded: Option<PathBuf>,

    /// Settings that the file declares.
    #[arg(long = "set", value_name = "PLUGIN.NAME=VALUE", value_delimiter = ',')]
    set: Vec<Assignment>,

    /// Print what each expression and rule gave.
    #[arg(long)]
    explain: bool,

    #[command(flatten)]
    trial: TrialArgs,
}

impl Tools {
    /// Runs the command.
    #[must_use]
    pub fn run(self) -> ExitCode {
        match self {
            Self::Check(check) => print_checked(check.run()),
            Self::Schema => {
                print(&schema());
                ExitCode::SUCCESS
            }
            Self::Try(arguments) => match arguments.run() {
                Ok(text) => {
                    print(&text);
                    ExitCode::SUCCESS
                }
                Err(error) => {
                    eprintln!("{error}");
                    ExitCode::FAILURE
                }
            },
        }
    }
}

fn print_checked(checked: Vec<Checked>) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for one in checked {
        match one.result {
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
            let source = read(path);
            let result = source.and_then(|source| check(&file, &source).map_err(Wrong::Mistakes));
            Checked { file, result }
        });
        checked.collect()
    }
}

impl Try {
    /// The file, as it was named.
    #[must_use]
    pub fn file(&self) -> String {
        self.file.display().to_string()
    }

    /// Prints the requests of the task, and what the answers mean; with `--against`, sends them.
    ///
    /// # Errors
    /// What is wrong with the file, the task, the settings or the answers.
    pub fn run(&self) -> Result<String, String> {
        let Self { file, request, recorded, set, explain, trial } = self;
        let text = |path: &Path| read(path).map_err(|wrong| wrong.to_string());
        let source = text(file)?;
        let task = request.as_deref().map(text).transpose()?;
        let answers = recorded.as_deref().map(text).transpose()?;
        let shown = |path: &Option<PathBuf>| {
            path.as_deref().map(|path| path.display().to_string()).unwrap_or_default()
        };
        let (name, request, recorded) = (self.file(), shown(request), shown(recorded));
        let tried = Attempt {
            name: &name,
            source: &source,
            request: task.as_deref(),
            recorded: answers.as_deref(),
            names: Names { request: &request, recorded: &recorded },
            set: set.clone(),
            explain: *explain,
        };
        if trial.against.is_none() {
            return attempt(&tried);
        }
        let mut outcome = Ok(String::new());
        let work = async {
            outcome = attempt_against(&tried, trial).await;
            Ok(())
        };
        block_on(work).map_err(|error| error.to_string())?;
        outcome
    }
}

fn read(path: &Path) -> Result<String, Wrong> {
    let name = path.display().to_string();
    let bytes = std::fs::read(path)
        .map_err(|error| Wrong::Unreadable(format!("{name} cannot be read: {error}")))?;
    file::decode(&name, bytes).map_err(Wrong::Mistakes)
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
    text += &definition.limits.summary(task_types);
    for (secret, description) in secrets {
        text += &format!("  secret {secret}: {description}\n");
    }
    Ok(text)
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
