//! Environment variables that look like settings of a program but are none: spelling mistakes, mostly.

use std::collections::BTreeSet;

use clap::Command;

/// The variables that a program reads.
#[derive(Debug, Clone, Default)]
pub struct Variables {
    prefixes: Vec<String>,
    read: BTreeSet<String>,
}

impl Variables {
    /// The settings of a program have names that begin with one of `prefixes`.
    pub fn with_prefixes(prefixes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let prefixes = prefixes.into_iter().map(Into::into).collect();
        Self { prefixes, read: BTreeSet::new() }
    }

    /// Adds the variables of the arguments of `command` and of its subcommands.
    #[must_use]
    pub fn read_by(mut self, command: &Command) -> Self {
        self.add(command);
        self
    }

    fn add(&mut self, command: &Command) {
        let names = command.get_arguments().filter_map(|argument| argument.get_env()?.to_str());
        self.read.extend(names.map(str::to_owned));
        command.get_subcommands().for_each(|each| self.add(each));
    }

    /// Logs a warning for each variable of the environment that has one of the prefixes and that nothing
    /// reads. The names of which `is_other` is true have another purpose. Empty variables count as unset.
    pub fn warn_of_unread(&self, is_other: impl Fn(&str) -> bool) {
        for (name, value) in std::env::vars_os() {
            let (name, value) = (name.to_string_lossy(), value.to_string_lossy());
            if !self.is_unread(&name, &value) || is_other(&name) {
                continue;
            }
            match self.nearest(&name) {
                Some(nearest) => tracing::warn!("nothing reads {name}; did you mean {nearest}?"),
                None => tracing::warn!("nothing reads {name}"),
            }
        }
    }

    fn is_unread(&self, name: &str, value: &str) -> bool {
        let is_read = value.is_empty() || self.read.contains(name);
        self.setting(name).is_some() && !is_read && !is_service_link(name, value)
    }

    /// `name` without its prefix; `None` if it has none of the prefixes.
    fn setting<'a>(&self, name: &'a str) -> Option<&'a str> {
        let settings = self.prefixes.iter().filter_map(|prefix| name.strip_prefix(prefix.as_str()));
        // The longest prefix: one may begin with another.
        settings.min_by_key(|setting| setting.len())
    }

    /// The variable that is spelled most like `name`, whichever prefix it has, if one is similar.
    fn nearest(&self, name: &str) -> Option<&str> {
        let setting = self.setting(name)?;
        let mistakes = |read: &String| {
            let mistakes = strsim::damerau_levenshtein(setting, self.setting(read)?);
            (mistakes <= 1 + setting.len() / 4)
                .then_some((mistakes, strsim::damerau_levenshtein(name, read)))
        };
        let similar = self.read.iter().filter_map(|read| Some((mistakes(read)?, read)));
        similar.min().map(|(_, read)| read.as_str())
    }
}

/// The prefix of the settings of the plugin or program `name`.
#[must_use]
pub fn prefix_of(name: &str) -> String {
    name.to_uppercase().replace('-', "_") + "_"
}

/// Whether Kubernetes may have set `name` for a Service, in the style of
/// <https://kubernetes.io/docs/tutorials/services/connect-applications-service/#environment-variables>.
fn is_service_link(name: &str, value: &str) -> bool {
    let ports = |text: &str| {
        let mut parts = text.split('_');
        let port = parts.next().is_some_and(|port| port.parse::<u16>().is_ok());
        let protocol = matches!(parts.next(), Some("TCP" | "UDP" | "SCTP"));
        let detail = matches!(parts.next(), None | Some("PORT" | "PROTO" | "ADDR"));
        port && protocol && detail && parts.next().is_none()
    };
    let of_a_port = name.match_indices("_PORT_").any(|(at, text)| ports(&name[at + text.len()..]));
    let service = name.ends_with("_SERVICE_HOST") || name.ends_with("_SERVICE_PORT");
    let url = name.ends_with("_PORT") && value.contains("://");
    service || name.contains("_SERVICE_PORT_") || url || of_a_port
}

#[cfg(test)]
mod tests {
    use clap::Arg;

    use super::*;

    fn variables() -> Variables {
        let argument = |name: &'static str| Arg::new(name).long(name).env(name);
        let command = Command::new("acme")
            .args(["ACME_REGION", "ACME_IMPERSONATE", "PLUGIN_MAX_REQUESTS"].map(argument))
            .subcommand(Command::new("check").arg(argument("ACME_CHECKED")));
        Variables::with_prefixes(["PLUGIN_".to_owned(), prefix_of("acme")]).read_by(&command)
    }

    #[test]
    fn variables_with_a_prefix_that_nothing_reads_are_unread() {
        for name in ["ACME_IMPERSONTE", "PLUGIN_REGION", "ACME_", "PLUGIN_SUPPORT"] {
            assert!(variables().is_unread(name, "x"), "{name}");
        }
        for name in
            ["ACME_REGION", "ACME_CHECKED", "PLUGIN_MAX_REQUESTS", "ACMES_X", "PATH", "ACME"]
        {
            assert!(!variables().is_unread(name, "x"), "{name}");
        }
        assert!(!variables().is_unread("ACME_IMPERSONTE", ""), "an empty variable counts as unset");
    }

    #[test]
    fn variables_of_kubernetes_services_are_not_settings() {
        for name in [
            "ACME_SERVICE_HOST",
            "ACME_SERVICE_PORT",
            "ACME_SERVICE_PORT_HTTP_ADMIN",
            "ACME_PORT",
            "ACME_PORT_8000_TCP",
            "ACME_PORT_8000_TCP_ADDR",
            "ACME_PORT_8000_TCP_PORT",
            "ACME_PORT_8000_TCP_PROTO",
            "ACME_CANARY_PORT_53_UDP",
            "PLUGIN_STORE_SERVICE_HOST",
        ] {
            assert!(!variables().is_unread(name, "tcp://10.0.0.1:8000"), "{name}");
        }
        for name in ["ACME_PORT", "ACME_PORT_RANGE", "ACME_PORT_8000_TCP_ADDR_X"] {
            assert!(variables().is_unread(name, "8000"), "{name}");
        }
    }

    #[test]
    fn the_nearest_name_is_suggested() {
        for (name, nearest) in [
            ("ACME_IMPERSONTE", Some("ACME_IMPERSONATE")),
            ("ACME_REGIONS", Some("ACME_REGION")),
            ("ACME_MAX_REQUESTS", Some("PLUGIN_MAX_REQUESTS")),
            ("PLUGIN_MAXREQUEST", Some("PLUGIN_MAX_REQUESTS")),
            ("ACME_SOMETHING_ELSE", None),
            ("ACME_", None),
        ] {
            assert_eq!(variables().nearest(name), nearest, "{name}");
        }
    }
}
