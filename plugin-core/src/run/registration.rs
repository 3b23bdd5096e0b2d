//! A plugin before it is created: its settings on the command line, and those settings once parsed.

use clap::{ArgMatches, Args, Command, FromArgMatches as _};
use server_core::Result;

use crate::{
    erased::AnyPlugin,
    plugin::{Plugin, SyncPlugin},
    upstream::{EndpointArgs, HttpBuilder},
};

/// A plugin that a program can serve.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Registration {
    /// Its name in discovery.
    pub(crate) name: &'static str,
    settings: fn(Command) -> Command,
    read: fn(&ArgMatches) -> Result<Make, clap::Error>,
}

/// Creates a plugin from parsed settings.
type Make = Box<dyn FnOnce(HttpBuilder) -> Result<AnyPlugin>>;

/// A plugin whose settings are parsed. It lacks only the client for its vendor.
pub(crate) struct Configured {
    /// Its name in discovery.
    pub(crate) name: &'static str,
    /// The URL to call instead of the vendor's.
    pub(crate) endpoint: Option<String>,
    pub(crate) make: Make,
}

impl Registration {
    /// `P`, called `name`.
    pub(crate) fn of<P: Plugin>(name: &'static str) -> Self {
        Self {
            name,
            settings: P::Settings::augment_args,
            read: |matches| {
                let settings = P::Settings::from_arg_matches(matches)?;
                Ok(Box::new(|http| AnyPlugin::of::<P>(settings, http)))
            },
        }
    }

    /// The sync `P`, called `name`.
    pub(crate) fn of_sync<P: SyncPlugin>(name: &'static str) -> Self {
        Self {
            name,
            settings: P::Settings::augment_args,
            read: |matches| {
                let settings = P::Settings::from_arg_matches(matches)?;
                Ok(Box::new(|http| AnyPlugin::of_sync::<P>(settings, http)))
            },
        }
    }

    /// Adds the plugin's own settings to a command line.
    pub(crate) fn with_settings(self, command: Command) -> Command {
        (self.settings)(command.next_help_heading("Plugin"))
    }

    /// Adds `--endpoint`, whose variable has the plugin's name.
    pub(crate) fn with_endpoint(self, command: Command) -> Command {
        let variable = format!("{}_ENDPOINT", self.name.to_uppercase().replace('-', "_"));
        EndpointArgs::augment_args(command).mut_arg("endpoint", |argument| argument.env(variable))
    }

    /// Parses the settings that both added.
    pub(crate) fn configure(self, matches: &ArgMatches) -> Result<Configured, clap::Error> {
        let EndpointArgs { endpoint } = EndpointArgs::from_arg_matches(matches)?;
        Ok(Configured { name: self.name, endpoint, make: (self.read)(matches)? })
    }
}
