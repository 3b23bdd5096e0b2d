//! Examples for the help of each command, and exit codes.

use clap::Command;
use xtask::exit;

/// After the help of the program.
pub(crate) const AFTER: &str = "\
Colours are for terminals, and none if NO_COLOR is set. Every command has --help with examples, and its exit codes.";

/// Exit codes of commands that check or make something.
const CODES: &str = "\
Exit codes:
  0  success
  1  I/O failed
  2  the command line, or a file that it names, is invalid";

/// Exit codes of commands that serve until they are ended.
const SERVED: &str = "\
Exit codes:
  0  ended by a signal, and no call was cut off
  1  something cannot be started, or has ended by itself; if that has an exit code of its own, that one
  2  the command line is invalid";

/// A command by its path, its examples, and its exit codes.
const EXAMPLES: [(&[&str], &str, &str); 14] = [
    (
        &["flyte-values"],
        "  outrigger flyte-values bigquery --flyte 1.16 --chart core --namespace plugins > values.yaml
  outrigger flyte-values bigquery databricks --flyte 2 --chart binary --proxy --registry registry.example.com/team
  outrigger flyte-values --plugin ../shout/plugin.toml --flyte 1.16 --chart binary --output json",
        CODES,
    ),
    (
        &["new"],
        "  outrigger new shout --language python
  outrigger new trino --kind rust --core ../outrigger --task-type trino --mode async
  outrigger new shout --language go --dry-run --output json",
        exit::HELP,
    ),
    (
        &["sync"],
        "  outrigger sync
  outrigger sync --check
  outrigger sync --dry-run --diff",
        exit::HELP,
    ),
    (
        &["status"],
        "  outrigger status
  outrigger status --output json",
        exit::HELP,
    ),
    (
        &["check"],
        "  outrigger check my_plugin:app --task task.json
  outrigger check --url http://127.0.0.1:8000 --admin-url http://127.0.0.1:9090 --task task.json
  outrigger check --token-file token --only discovery,health --output json
  outrigger check --list",
        "\
Exit codes:
  0  every MUST of the contract holds
  1  one does not
  2  the service does not answer, or the command line, or a file that it names, is invalid",
    ),
    (
        &["serve"],
        "  outrigger serve my_plugin:app --insecure-no-auth --reload
  outrigger serve my_plugin:app --auth auth.yaml --handle-keys handle.key -- --drain-delay 10s
  outrigger serve --command run.sh --insecure-no-auth
  outrigger serve --connectors my_connectors --task-types my_task --insecure-no-auth",
        SERVED,
    ),
    (
        &["listen"],
        "  outrigger listen plugin:app
  outrigger listen plugin:app --socket /run/outrigger/plugin.sock",
        SERVED,
    ),
    (
        &["plugin", "check"],
        "  outrigger plugin check acme.yaml
  outrigger plugin check plugins/*/plugin.yaml --output json",
        "\
Exit codes:
  0  the files have no mistakes
  1  one has, or I/O failed
  2  the command line is invalid, or a file cannot be read",
    ),
    (
        &["plugin", "try"],
        "  outrigger plugin try acme.yaml --set acme.address=https://api.acme.example
  outrigger plugin try acme.yaml --request task.json --recorded recorded.json",
        "\
Exit codes:
  0  the requests were printed
  1  the file, the task, the settings or the answers are wrong",
    ),
    (
        &["plugin", "schema"],
        "  outrigger plugin schema > plugin.schema.json",
        "\
Exit codes:
  0  success
  1  I/O failed",
    ),
    (
        &["token", "mint"],
        "  outrigger token mint --key-file issuer.secret --issuer https://dev.example.com --audience connectors --subject you
  outrigger token mint --key-file key.pem --key-id k1 --issuer https://dev.example.com --audience connectors \\
    --subject ci --claim team=data --claim admin=true --expires-in 15m --output json",
        CODES,
    ),
    (
        &["token", "show"],
        "  outrigger token show token.txt
  kubectl create token flytepropeller --audience=flyte-connectors | outrigger token show
  outrigger token show --auth auth.yaml token.txt",
        "\
Exit codes:
  0  the token was shown and, with --auth, is accepted
  1  the service would refuse the token, or I/O failed
  2  what was given is no token, or the command line or the authentication file is invalid",
    ),
    (
        &["token", "new-key"],
        "  outrigger token new-key issuer.secret handle.key
  outrigger token new-key --keep handle.key",
        "\
Exit codes:
  0  success
  1  I/O failed
  2  the command line is invalid
  5  refused: a file exists",
    ),
    (
        &["health-check"],
        "  outrigger health-check http://bigquery.plugins:8000
  outrigger health-check http://127.0.0.1:8000 http://127.0.0.1:9090/readyz --wait 30s
  outrigger health-check https://bigquery.plugins:8000 --ca-file ca.crt --output json",
        "\
Exit codes:
  0  all are healthy
  1  one is not, or does not answer
  2  the command line, or a file that it names, is invalid",
    ),
];

const COMPLETION: &str = "\
Examples:
  outrigger completion bash > /etc/bash_completion.d/outrigger
  outrigger completion zsh > ~/.zfunc/_outrigger
  outrigger completion fish > ~/.config/fish/completions/outrigger.fish";

/// Adds the examples to the help of the commands.
pub(crate) fn add_to(top: Command) -> Command {
    let top = top.mut_subcommand("completion", |command| command.after_help(COMPLETION));
    EXAMPLES.iter().fold(top, |top, (path, examples, codes)| {
        let help = format!("Examples:\n{examples}\n\n{codes}");
        with_help(top, path, &help)
    })
}

fn with_help(command: Command, path: &[&str], help: &str) -> Command {
    match path.split_first() {
        None => command.after_help(help.to_owned()),
        Some((first, rest)) => command.mut_subcommand(*first, |below| with_help(below, rest, help)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::command;

    #[test]
    fn every_example_is_a_valid_command_line() {
        for (path, examples, _) in EXAMPLES {
            let examples = examples.replace("\\\n", " ");
            for line in examples.lines() {
                let line = line.rsplit(" | ").next().unwrap();
                let words = line.split(" > ").next().unwrap().split_whitespace();
                let words = words.collect::<Vec<_>>();
                assert!(words[1..].starts_with(path), "{line}");
                if let Err(error) = command().try_get_matches_from(words) {
                    panic!("{line}: {error}");
                }
            }
        }
    }

    #[test]
    fn the_page_has_every_command_and_every_exit_code() {
        let page = include_str!("../../docs/outrigger.md");
        for (path, _, codes) in EXAMPLES {
            let command = format!("`outrigger {}`", path.join(" "));
            assert!(page.contains(&command), "docs/outrigger.md lacks {command}");
            let codes =
                codes.lines().filter_map(|line| line.strip_prefix("  ")?.split("  ").next());
            for code in codes {
                assert!(page.contains(&format!("| {code} | ")), "docs/outrigger.md lacks {code}");
            }
        }
    }

    #[test]
    fn every_command_has_examples() {
        fn check(command: &Command, path: &str) {
            for below in command.get_subcommands().filter(|it| !it.is_hide_set()) {
                let path = format!("{path} {}", below.get_name());
                if below.has_subcommands() {
                    check(below, &path);
                    continue;
                }
                let help = below.get_after_help().map(ToString::to_string).unwrap_or_default();
                assert!(help.contains(&format!("  outrigger{path}")), "{path}: {help}");
            }
        }
        check(&command(), "");
    }
}
