//! Several plugins served by one process, for who wants one deployment of them.

use std::process::ExitCode;

use clap::{
    Arg, ArgAction, ArgMatches, Command,
    builder::PossibleValuesParser,
    error::ErrorKind::{InvalidUtf8, ValueValidation},
};
use server_core::ServiceInfo;

use crate::{
    plugin::{Plugin, SyncPlugin},
    run::{
        command::{self, lenient_environment},
        registration::{Configured, Registration},
        run_program,
    },
};

const PLUGINS: &str = "plugins";

/// Several plugins in one program, of either kind. Which of them it serves is a setting of its.
///
/// What all share is a flag and a variable, as in a service of one plugin. What is a plugin's own, its
/// endpoint among it, is read from its environment variables alone, because flags of two may have one
/// name. Only those of plugins that are served are read.
///
/// ```text
/// fn main() -> std::process::ExitCode {
///     plugin_core::Bundle::new(plugin_core::service_info!())
///         .plugin::<bigquery::BigQuery>("bigquery")
///         .plugin::<snowflake::Snowflake>("snowflake")
///         .run()
/// }
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Bundle {
    info: ServiceInfo,
    plugins: Vec<Registration>,
}

impl Bundle {
    /// A program without plugins.
    pub fn new(info: ServiceInfo) -> Self {
        Self { info, plugins: Vec::new() }
    }

    /// Adds `P`. `name` is what it is called as a service of its own: by `--plugins`, in discovery and in
    /// `<NAME>_ENDPOINT`.
    pub fn plugin<P: Plugin>(mut self, name: &'static str) -> Self {
        self.plugins.push(Registration::of::<P>(name));
        self
    }

    /// [`plugin`](Self::plugin) for one that answers at once.
    pub fn sync_plugin<P: SyncPlugin>(mut self, name: &'static str) -> Self {
        self.plugins.push(Registration::of_sync::<P>(name));
        self
    }

    /// Serves the plugins that are chosen until SIGTERM or SIGINT: a whole `main`.
    ///
    /// Exit codes are those of [`run()`](crate::run()): a plugin's wrong variable is one of the command
    /// line's.
    #[must_use]
    pub fn run(self) -> ExitCode {
        run_program(self.info, self.command(), |matches| self.configure(matches, |_| &[]))
    }

    /// Which program it is.
    #[cfg(feature = "testing")]
    pub(crate) fn info(&self) -> ServiceInfo {
        self.info
    }

    /// The command line: what plugins share, and which of them are served.
    #[must_use]
    pub fn command(&self) -> Command {
        let names = self.plugins.iter().map(|plugin| plugin.name);
        let plugins = Arg::new(PLUGINS)
            .long(PLUGINS)
            .env("PLUGIN_BUNDLE_PLUGINS")
            .value_name("PLUGIN,…")
            .value_delimiter(',')
            .action(ArgAction::Append)
            .value_parser(PossibleValuesParser::new(names))
            .help_heading("Bundle")
            .help(
                "Which plugins are served; all, unless some are named. Settings of a plugin are read \
                 from its environment variables alone, and only if it is served",
            );
        let command = command::named(self.info, "Runs the tasks of several of Flyte's plugins");
        command::finished(command::with_shared(command.arg(plugins)))
    }

    /// Reads the settings of the plugins that `matches` chooses. `arguments` are what a test gives a
    /// plugin in place of variables.
    pub(crate) fn configure<'a>(
        &self,
        matches: &ArgMatches,
        arguments: impl Fn(&str) -> &'a [&'a str],
    ) -> Result<Vec<Configured>, clap::Error> {
        let chosen = matches.get_many::<String>(PLUGINS).map(Iterator::collect::<Vec<_>>);
        let is_chosen = |plugin: &&Registration| match &chosen {
            Some(names) => names.iter().any(|name| *name == plugin.name),
            None => true,
        };
        let read = |plugin: &Registration| {
            let error =
                |why| self.command().error(ValueValidation, format!("{}: {why}", plugin.name));
            configure(*plugin, arguments(plugin.name)).map_err(error)
        };
        self.plugins.iter().filter(is_chosen).map(read).collect()
    }
}

/// Reads a plugin's own settings.
///
/// # Errors
/// What is wrong, by the names of variables.
fn configure(plugin: Registration, arguments: &[&str]) -> Result<Configured, String> {
    let command = Command::new(plugin.name).no_binary_name(true);
    let command = plugin.with_endpoint(plugin.with_settings(command));
    let mut command = command.mut_args(lenient_environment);
    let matches = command.try_get_matches_from_mut(arguments);
    matches.and_then(|matches| plugin.configure(&matches)).map_err(|error| {
        if error.kind() == InvalidUtf8 {
            return format!("{} is not UTF-8", unreadable_variables(&command).join(", "));
        }
        in_variables(&error.to_string(), &command)
    })
}

/// The first sentence of what clap says, with variables where it names flags.
fn in_variables(error: &str, command: &Command) -> String {
    let what = error.split("\n\n").next().unwrap_or_default();
    let what = what.strip_prefix("error: ").unwrap_or(what);
    let mut names = command
        .get_arguments()
        .filter_map(|argument| Some((argument.to_string(), argument.get_env()?.to_str()?)))
        .collect::<Vec<_>>();
    // A flag may begin with another's name.
    names.sort_by_key(|(flag, _)| std::cmp::Reverse(flag.len()));
    let what =
        names.iter().fold(what.to_owned(), |what, (flag, variable)| what.replace(flag, variable));
    what.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// clap does not say which it was.
fn unreadable_variables(command: &Command) -> Vec<&str> {
    #[expect(clippy::disallowed_methods, reason = "the names are the arguments' own")]
    let is_unreadable = |name: &&str| std::env::var_os(name).is_some_and(|v| v.to_str().is_none());
    let names = command.get_arguments().filter_map(|argument| argument.get_env()?.to_str());
    names.filter(is_unreadable).collect()
}

#[cfg(test)]
mod tests;
