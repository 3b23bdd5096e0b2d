//! Several plugins in one process, for those who prefer a single deployment.

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

/// Several plugins in one program, sync or not. A setting selects those that it serves.
///
/// Shared settings have a flag and a variable, as in a service with one plugin. A plugin's own settings,
/// including its endpoint, are read from environment variables only, because flags of two plugins may
/// have the same name. Only the settings of served plugins are read.
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

    /// Adds `P`. `name` is its name as a service of its own: in `--plugins`, in discovery and in
    /// `<NAME>_ENDPOINT`.
    pub fn plugin<P: Plugin>(mut self, name: &'static str) -> Self {
        self.plugins.push(Registration::of::<P>(name));
        self
    }

    /// [`plugin`](Self::plugin) for a sync plugin.
    pub fn sync_plugin<P: SyncPlugin>(mut self, name: &'static str) -> Self {
        self.plugins.push(Registration::of_sync::<P>(name));
        self
    }

    /// Serves the selected plugins until SIGTERM or SIGINT: a complete `main`.
    ///
    /// Exit codes are those of [`run()`](crate::run()); a plugin's invalid variable counts as an error of
    /// the command line.
    #[must_use]
    pub fn run(self) -> ExitCode {
        run_program(self.info, self.command(), |matches| self.configure(matches, |_| &[]))
    }

    /// The program's name and version.
    #[cfg(feature = "testing")]
    pub(crate) fn info(&self) -> ServiceInfo {
        self.info
    }

    /// The command line: the shared settings, and which plugins are served.
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
                "The plugins to serve; by default all. A plugin's own settings are read from its \
                 environment variables only, and only if it is served",
            );
        let command = command::named(self.info, "Runs the tasks of several of Flyte's plugins");
        command::finished(command::with_shared(command.arg(plugins)))
    }

    /// Reads the settings of the plugins that `matches` selects. `arguments` returns a plugin's settings
    /// as flags, which tests use instead of variables.
    pub(crate) fn configure<'a>(
        &self,
        matches: &ArgMatches,
        arguments: impl Fn(&str) -> &'a [&'a str],
    ) -> Result<Vec<Configured>, clap::Error> {
        let selected = matches.get_many::<String>(PLUGINS).map(Iterator::collect::<Vec<_>>);
        let is_selected = |plugin: &&Registration| match &selected {
            Some(names) => names.iter().any(|name| *name == plugin.name),
            None => true,
        };
        let read = |plugin: &Registration| {
            let error =
                |why| self.command().error(ValueValidation, format!("{}: {why}", plugin.name));
            configure(*plugin, arguments(plugin.name)).map_err(error)
        };
        self.plugins.iter().filter(is_selected).map(read).collect()
    }
}

/// Reads a plugin's own settings.
///
/// # Errors
/// The problem, with variables instead of flags.
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

/// The first sentence of clap's message, with variables instead of flags.
fn in_variables(error: &str, command: &Command) -> String {
    let message = error.split("\n\n").next().unwrap_or_default();
    let message = message.strip_prefix("error: ").unwrap_or(message);
    let mut names = command
        .get_arguments()
        .filter_map(|argument| Some((argument.to_string(), argument.get_env()?.to_str()?)))
        .collect::<Vec<_>>();
    // Longest first, because a flag may begin with the name of another.
    names.sort_by_key(|(flag, _)| std::cmp::Reverse(flag.len()));
    let replace =
        |message: String, (flag, variable): &(String, &str)| message.replace(flag, variable);
    let message = names.iter().fold(message.to_owned(), replace);
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The variables that are not UTF-8; clap's error does not name them.
fn unreadable_variables(command: &Command) -> Vec<&str> {
    #[expect(clippy::disallowed_methods, reason = "the names are the arguments' own")]
    let is_unreadable = |name: &&str| std::env::var_os(name).is_some_and(|v| v.to_str().is_none());
    let names = command.get_arguments().filter_map(|argument| argument.get_env()?.to_str());
    names.filter(is_unreadable).collect()
}

#[cfg(test)]
mod tests;
