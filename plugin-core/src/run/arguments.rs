//! How arguments are added to a command, and how they read their environment variables.

use std::ffi::OsStr;

use clap::{
    Arg, ArgAction, Args, Command,
    builder::{BoolishValueParser, Resettable},
};
use server_core::address::may_contain_secret;

/// Adds the arguments of `A`. The command keeps its description, which the doc comment of `A` would
/// replace.
pub(super) fn with_args<A: Args>(command: Command) -> Command {
    let about = Resettable::from(command.get_about().cloned());
    let long_about = Resettable::from(command.get_long_about().cloned());
    A::augment_args(command).about(about).long_about(long_about)
}

/// Makes an argument lenient about its environment variable: an empty one counts as unset, and a flag
/// may be `1`, `yes` or `on`. `--help` shows no value that may contain a password.
pub(super) fn lenient_environment(argument: Arg) -> Arg {
    #[expect(clippy::disallowed_methods, reason = "the name is the argument's own")]
    let value = argument.get_env().and_then(std::env::var_os);
    lenient(argument, value.as_deref())
}

/// As [`lenient_environment`], with the value of the variable.
fn lenient(argument: Arg, value: Option<&OsStr>) -> Arg {
    let argument = match argument.get_action() {
        ArgAction::SetTrue => argument.value_parser(BoolishValueParser::new()),
        _ => argument,
    };
    match value {
        Some(value) if value.is_empty() => argument.env(None),
        Some(value) if may_contain_secret(&value.to_string_lossy()) => {
            argument.hide_env_values(true)
        }
        _ => argument,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Settings of a plugin.
    ///
    /// With a second paragraph, which clap takes for a long description.
    #[derive(Debug, Args)]
    struct Documented {
        #[arg(long)]
        region: Option<String>,
    }

    #[test]
    fn help_shows_no_variable_that_may_contain_a_password() {
        let argument = Arg::new("endpoint").long("endpoint").env("ACME_ENDPOINT");
        for (value, hidden) in [("https://h", false), ("https://u:hunter2@h", true)] {
            let argument = lenient(argument.clone(), Some(OsStr::new(value)));
            assert_eq!(argument.is_hide_env_values_set(), hidden, "{value}");
        }
        assert_eq!(lenient(argument, Some(OsStr::new(""))).get_env(), None);
    }

    #[test]
    fn a_doc_comment_on_settings_does_not_describe_the_program() {
        let command = with_args::<Documented>(Command::new("acme").about("Serves acme"));
        assert_eq!(command.get_about().unwrap().to_string(), "Serves acme");
        assert!(command.get_long_about().is_none());
        assert!(command.get_arguments().any(|argument| argument.get_id() == "region"));

        let command = with_args::<Documented>(Command::new("acme").long_about("Serves acme."));
        assert_eq!(command.get_long_about().unwrap().to_string(), "Serves acme.");
        assert!(command.get_about().is_none());
    }
}
