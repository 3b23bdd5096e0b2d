//! The operator's settings.

use std::num::NonZeroUsize;

use plugin_core::{
    TaskType, Unshown,
    clap::{self, Args, ValueEnum},
};

use crate::{
    address::Address,
    dialect::{Dialect, Protocol},
};

/// The settings of a [`Bridge`](crate::Bridge).
#[derive(Debug, Args)]
pub struct Settings {
    /// Where the connectors or the plugin listen: unix:/path/to/socket or http://127.0.0.1:PORT. Only this machine is
    /// accepted, because requests carry secrets.
    #[arg(long, value_name = "ADDRESS", env = "BRIDGE_UPSTREAM", value_parser = Unshown(Address::parse), required = true)]
    pub(crate) upstream: Option<Address>,

    /// What is spoken there: the gRPC of Flyte's connectors, or REST with plain JSON. By default each is tried.
    #[arg(long, value_name = "PROTOCOL", env = "BRIDGE_PROTOCOL")]
    pub(crate) protocol: Option<Wanted>,

    /// Task types to serve as jobs, separated by commas: NAME, or NAME:VERSION. A connector process offers
    /// everything that is installed in it; nothing is served that is not named here.
    #[arg(long, value_name = "NAME,…", env = "BRIDGE_TASK_TYPES", value_delimiter = ',', value_parser = task_type)]
    pub(crate) task_types: Vec<TaskType>,

    /// Task types to answer within the call, separated by commas: NAME, or NAME:VERSION.
    #[arg(long, value_name = "NAME,…", env = "BRIDGE_SYNC_TASK_TYPES", value_delimiter = ',', value_parser = task_type)]
    pub(crate) sync_task_types: Vec<TaskType>,

    /// Task types of --task-types, separated by commas, whose connectors look for the job that has the metadata
    /// x-idempotency-key before they start one. A repeated create then finds its job at every replica.
    #[arg(
        long,
        value_name = "NAME,…",
        env = "BRIDGE_IDEMPOTENT_TASK_TYPES",
        value_delimiter = ',',
        value_parser = task_type
    )]
    pub(crate) idempotent_task_types: Vec<TaskType>,

    /// How many calls the connectors or the plugin get at once; others wait. Python's connectors run ten threads.
    #[arg(long, value_name = "CALLS", env = "BRIDGE_CONNECTOR_CONCURRENCY", default_value = "10")]
    pub(crate) connector_concurrency: NonZeroUsize,

    /// Delete jobs that succeeded, too. Flyte 2 deletes each job an hour after its task has ended, which would
    /// take away an endpoint that a task made.
    #[arg(long, env = "BRIDGE_DELETE_SUCCEEDED")]
    pub(crate) delete_succeeded: bool,
}

/// A protocol, as an operator names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Wanted {
    /// Connectors of Flyte 1: `pyflyte serve connector`.
    Flyte1,
    /// Connectors of Flyte 2: `c0`.
    Flyte2,
    /// A server of plugins in any language.
    Rest,
}

impl Wanted {
    /// Every protocol, in the order in which they are tried.
    pub(crate) const ALL: [Self; 3] = [Self::Flyte1, Self::Flyte2, Self::Rest];

    pub(crate) fn protocol(self) -> Protocol {
        match self {
            Self::Flyte1 => Protocol::Grpc(Dialect::Flyte1),
            Self::Flyte2 => Protocol::Grpc(Dialect::Flyte2),
            Self::Rest => Protocol::Rest,
        }
    }
}

/// Reads NAME or NAME:VERSION.
fn task_type(text: &str) -> Result<TaskType, String> {
    let (name, version) = text.split_once(':').unwrap_or((text, "0"));
    let is_name = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    let version = version.parse().ok().filter(|version| *version >= 0);
    match version {
        Some(version) if !name.is_empty() && name.chars().all(is_name) => {
            // Read once, at start-up, and served until the end.
            Ok(TaskType::new(String::leak(name.to_owned()), version))
        }
        _ => Err("expected NAME or NAME:VERSION, for example openai-batch or spark:1".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use plugin_core::clap::Command;

    use super::*;

    #[test]
    fn a_password_in_the_address_is_refused_and_not_shown() {
        let command = Settings::augment_args(Command::new("bridge"));
        for host in ["127.0.0.1", "10.0.0.1"] {
            let upstream = format!("--upstream=http://user:hunter2@{host}:8001");
            let line = ["bridge", &upstream, "--task-types=a"];
            let error = command.clone().try_get_matches_from(line).unwrap_err().to_string();
            assert!(error.contains("--upstream"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_task_type_has_version_0_unless_it_says_so() {
        assert_eq!(task_type("openai-batch"), Ok(TaskType::new("openai-batch", 0)));
        assert_eq!(task_type("spark:1"), Ok(TaskType::new("spark", 1)));
        for text in ["", ":0", "a b", "a:b", "a:-1", "a:1:2"] {
            assert!(task_type(text).is_err(), "{text}");
        }
    }
}
