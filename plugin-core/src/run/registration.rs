//! Plugins that a program can serve, and their settings.

use clap::{ArgMatches, Command, FromArgMatches as _};
use prometheus_client::registry::Registry;
use server_core::{Result, variables::prefix_of};

use super::arguments::with_args;
use crate::{
    erased::AnyPlugin,
    plugin::{Plugin, RawPlugin, SyncPlugin},
    upstream::{Calls, EndpointArgs, HttpBuilder},
};

/// The heading of the settings of calls to vendors.
const UPSTREAM: &str = "Upstream";

/// A plugin that a program can serve.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Registration {
    /// The plugin's name in discovery.
    pub(crate) name: &'static str,
    /// Whether it calls a vendor with the client of this crate, which has settings.
    has_client: bool,
    settings: fn(Command) -> Command,
    read: fn(&ArgMatches) -> Result<Make, clap::Error>,
}

/// Makes a plugin from its settings. Its own metrics are registered.
type Make = Box<dyn FnOnce(HttpBuilder, &mut Registry) -> Result<Vec<AnyPlugin>>>;

/// A plugin with its settings; only the client for the vendor's API is missing.
pub(crate) struct Configured {
    /// The plugin's name in discovery.
    pub(crate) name: &'static str,
    /// The endpoint that replaces the vendor's.
    pub(crate) endpoint: Option<String>,
    pub(crate) make: Make,
}

impl Registration {
    /// The plugin `P` with the name `name`.
    pub(crate) fn of<P: Plugin>(name: &'static str) -> Self {
        Self {
            name,
            has_client: true,
            settings: with_args::<P::Settings>,
            read: |matches| {
                let settings = P::Settings::from_arg_matches(matches)?;
                Ok(Box::new(|http, registry| AnyPlugin::of::<P>(settings, http, registry)))
            },
        }
    }

    /// The sync plugin `P` with the name `name`.
    pub(crate) fn of_sync<P: SyncPlugin>(name: &'static str) -> Self {
        Self {
            name,
            has_client: true,
            settings: with_args::<P::Settings>,
            read: |matches| {
                let settings = P::Settings::from_arg_matches(matches)?;
                Ok(Box::new(|http, _| Ok(vec![AnyPlugin::of_sync::<P>(settings, http)?])))
            },
        }
    }

    /// The raw plugin `P` with the name `name`.
    pub(crate) fn of_raw<P: RawPlugin>(name: &'static str) -> Self {
        Self {
            name,
            has_client: false,
            settings: with_args::<P::Settings>,
            read: |matches| {
                let settings = P::Settings::from_arg_matches(matches)?;
                Ok(Box::new(|http, registry| {
                    AnyPlugin::of_raw::<P>(settings, Calls::register(registry, http.metrics()))
                }))
            },
        }
    }

    /// Adds the plugin's own settings to a command line.
    pub(crate) fn with_settings(self, command: Command) -> Command {
        (self.settings)(command.next_help_heading("Plugin"))
    }

    /// Adds the plugin's endpoint, whose variable contains the plugin's name.
    pub(crate) fn with_endpoint(self, command: Command) -> Command {
        if !self.has_client {
            return command.mut_args(|arg| match arg.get_help_heading() {
                Some(UPSTREAM) => arg.hide(true),
                _ => arg,
            });
        }
        let variable = prefix_of(self.name) + "ENDPOINT";
        with_args::<EndpointArgs>(command).mut_arg("endpoint", |argument| argument.env(variable))
    }

    /// Reads the settings that [`with_settings`](Self::with_settings) and
    /// [`with_endpoint`](Self::with_endpoint) add.
    pub(crate) fn configure(self, matches: &ArgMatches) -> Result<Configured, clap::Error> {
        let endpoint = match self.has_client {
            true => EndpointArgs::from_arg_matches(matches)?.endpoint,
            false => None,
        };
        Ok(Configured { name: self.name, endpoint, make: (self.read)(matches)? })
    }
}
