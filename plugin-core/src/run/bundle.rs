//! Several plugins served by one process, for those who prefer a single deployment.

use std::process::ExitCode;

use clap::{
    Arg, ArgAction, ArgMatches, Command,
    builder::PossibleValuesParser,
    error::ErrorKind::{InvalidUtf8, ValueValidation},
};
use server_core::{ServiceInfo, variables::Variables};

use super::{
    arguments::lenient_environment,
    command,
    registration::{Configured, Registration},
    run_program, variables,
};
use crate::plugin::{Plugin, SyncPlugin};

const PLUGINS: &str = "plugins";

/// A program that serves several plugins, of either kind; a setting chooses which of them.
///
/// Settings that all plugins share are flags and variables, as in a service with one plugin. A plugin's
/// own settings, its endpoint among them, are read from environment variables only, because the flags of
/// two plugins may have the same name. They are read only if the plugin is served.
///
/// ```no_run
/// # use plugin_core::{
/// #     Context, HttpBuilder, Phase, Result, Status, SyncPlugin, Task, TaskType, clap, schemars,
/// # };
/// # macro_rules! plugin { ($name:ident, $task_type:literal) => {
/// #     struct $name;
/// #     impl SyncPlugin for $name {
/// #         const TASK_TYPES: &'static [TaskType] = &[TaskType::new($task_type, 0)];
/// #         type Settings = Settings;
/// #         type Custom = Custom;
/// #         fn new(_: Settings, _: HttpBuilder) -> Result<Self> { Ok(Self) }
/// #         async fn execute(&self, _: &Context, _: Task<Custom>) -> Result<Status> {
/// #             Ok(Status::new(Phase::Succeeded))
/// #         }
/// #     }
/// # } }
/// # #[derive(clap::Args)]
/// # struct Settings {}
/// # #[derive(serde::Deserialize, schemars::JsonSchema)]
/// # struct Custom {}
/// # plugin!(Chat, "acme_chat");
/// # plugin!(Search, "acme_search");
/// fn main() -> std::process::ExitCode {
///     plugin_core::Bundle::new(plugin_core::service_info!())
///         .sync_plugin::<Chat>("acme-chat")
///         .sync_plugin::<Search>("acme-search")
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
    /// A program without plugins yet.
    pub fn new(info: ServiceInfo) -> Self {
        Self { info, plugins: Vec::new() }
    }

    /// Adds `P`. `name` is the name of its own service, used by `--plugins`, in discovery and in
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

    /// Serves the chosen plugins until SIGTERM or SIGINT: a whole `main`.
    ///
    /// Exit codes are those of [`run()`](crate::run()); a wrong variable of a plugin counts as a wrong
    /// command line.
    #[must_use]
    pub fn run(self) -> ExitCode {
        let variables = self.variables();
        run_program(self.info, self.command(), variables, |matches| {
            self.configure(matches, |_| &[])
        })
    }

    /// The variables of all plugins, whether or not they are served.
    fn variables(&self) -> Variables {
        let variables = variables(self.plugins.iter().map(|plugin| plugin.name));
        let own = self.plugins.iter().map(|plugin| own_command(*plugin));
        own.fold(variables.read_by(&self.command()), |all, command| all.read_by(&command))
    }

    /// The program's name and version.
    #[cfg(feature = "testing")]
    pub(crate) fn info(&self) -> ServiceInfo {
        self.info
    }

    /// The command line: the shared settings, and the choice of plugins.
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
                "Plugins to serve; all of them by default. A plugin's own settings are read from \
                 environment variables only, and only if it is served",
            );
        let command = command::named(self.info, "several Flyte backend plugins");
        command::finished(command::with_shared(command.arg(plugins)))
    }

    /// Reads the settings of the plugins that `matches` chooses. `arguments` takes the place of
    /// environment variables in tests.
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

/// The command line of a plugin's own settings.
fn own_command(plugin: Registration) -> Command {
    let command = Command::new(plugin.name).no_binary_name(true);
    plugin.with_endpoint(plugin.with_settings(command)).mut_args(lenient_environment)
}

/// Reads a plugin's own settings.
///
/// # Errors
/// An error that names the environment variable.
fn configure(plugin: Registration, arguments: &[&str]) -> Result<Configured, String> {
    let mut command = own_command(plugin);
    let matches = command.try_get_matches_from_mut(arguments);
    matches.and_then(|matches| plugin.configure(&matches)).map_err(|error| {
        if error.kind() == InvalidUtf8 {
            return format!("{} is not UTF-8", unreadable_variables(&command).join(", "));
        }
        in_variables(&error.to_string(), &command)
    })
}

/// The first sentence of clap's error, with flags replaced by their environment variables.
fn in_variables(error: &str, command: &Command) -> String {
    let sentence = error.split("\n\n").next().unwrap_or_default();
    let sentence = sentence.strip_prefix("error: ").unwrap_or(sentence).to_owned();
    let mut names = command
        .get_arguments()
        .filter_map(|argument| Some((argument.to_string(), argument.get_env()?.to_str()?)))
        .collect::<Vec<_>>();
    // Longest first: one flag's name may begin with another's.
    names.sort_by_key(|(flag, _)| std::cmp::Reverse(flag.len()));
    let sentence =
        names.iter().fold(sentence, |text, (flag, variable)| text.replace(flag, variable));
    sentence.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The variables that are not UTF-8, which clap's error does not name.
fn unreadable_variables(command: &Command) -> Vec<&str> {
    #[expect(clippy::disallowed_methods, reason = "the names are the arguments' own")]
    let is_unreadable = |name: &&str| std::env::var_os(name).is_some_and(|v| v.to_str().is_none());
    let names = command.get_arguments().filter_map(|argument| argument.get_env()?.to_str());
    names.filter(is_unreadable).collect()
}

#[cfg(test)]
mod tests;
