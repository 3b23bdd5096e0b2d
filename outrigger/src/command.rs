//! The command line.

use std::process::ExitCode;

use clap::{Arg, ArgMatches, Command, FromArgMatches as _, Subcommand as _};
use xtask::{Generate, exit};

use crate::{completion, examples, health, plugin, python, token, values};

/// The program's name.
pub(crate) const NAME: &str = "outrigger";

/// For people who run and write Flyte backend plugins: values for Flyte, new plugins, checks, tokens and health.
#[derive(Debug, clap::Parser)]
#[command(name = NAME, bin_name = NAME, version, subcommand_required = true, arg_required_else_help = true)]
#[command(styles = styles())]
struct Cli {}

// A doc comment would replace the description of the program; so it is with those below and of their commands.
#[derive(Debug, clap::Subcommand)]
enum Verb {
    FlyteValues(values::Args),
    #[command(name = "new", alias = "new-plugin")]
    New(In<xtask::NewPlugin>),
    Serve(Box<python::Serve>),
    Listen(python::Listen),
    Sync(In<xtask::Sync>),
    Status(In<xtask::Status>),
    Check(Box<Check>),
    /// Checks and tries plugins that are YAML files, without a service and without a vendor.
    #[command(subcommand, arg_required_else_help = true)]
    Plugin(plugin::Verb),
    /// Makes tokens, shows what is in them, and tells whether a service accepts them.
    #[command(subcommand, arg_required_else_help = true)]
    Token(token::Verb),
    HealthCheck(health::Args),
    Completion(completion::Args),
}

/// Checks a running service, or a plugin in another language, against the contract of plugins.
///
/// Calls it over REST and the gRPC of Flyte 1 and Flyte 2, and reports each rule of docs/plugin-contract.md. With
/// MODULE:APP or --command, for which the Python package is needed, the plugin is first served on free ports of this
/// machine, without tokens; and each task is created twice with one key and once with another without the bridge, to see
/// whether a repeated create finds its job. Without a task that succeeds, nothing that takes a job is checked.
#[derive(Debug, clap::Args)]
#[group(skip)]
struct Check {
    #[command(flatten)]
    app: python::App,

    #[command(flatten)]
    args: plugin_conformance::Args,

    // As `serve` takes flags; they could as well stand before it.
    #[arg(last = true, hide = true)]
    more: Vec<String>,
}

// The arguments of a command of the generator, and where it works.
#[derive(Debug, clap::Args)]
#[group(skip)]
struct In<A: clap::Args> {
    #[command(flatten)]
    place: xtask::Place,

    #[command(flatten)]
    args: A,
}

fn styles() -> clap::builder::Styles {
    use anstyle::AnsiColor::{Cyan, Green, Red, Yellow};
    clap::builder::Styles::plain()
        .header(Green.on_default().bold())
        .usage(Green.on_default().bold())
        .literal(Cyan.on_default().bold())
        .placeholder(Cyan.on_default())
        .error(Red.on_default().bold())
        .valid(Green.on_default())
        .invalid(Yellow.on_default())
}

/// The command line, with help and examples.
#[must_use]
pub fn command() -> Command {
    let top = <Cli as clap::CommandFactory>::command();
    let top = Verb::augment_subcommands(top);
    let top = ["new", "sync", "status"].into_iter().fold(top, |top, name| {
        top.mut_subcommand(name, |command| command.mut_arg("format", as_output))
    });
    let top = top.mut_subcommand("flyte-values", values::explained);
    let top = top.mut_subcommand("check", |command| {
        let with_app = ["app", "command"];
        let command = command.disable_version_flag(true);
        ["url", "admin_url", "list"].into_iter().fold(command, |command, name| {
            command.mut_arg(name, |argument| argument.conflicts_with_all(with_app))
        })
    });
    examples::add_to(top.after_help(examples::AFTER))
}

/// Every command calls its form of output the same; the generator's was `--format` first.
fn as_output(argument: Arg) -> Arg {
    argument.long("output").alias("format")
}

/// Runs the command of a matched command line.
pub(crate) fn run(matches: &ArgMatches) -> ExitCode {
    let verb = Verb::from_arg_matches(matches)
        .unwrap_or_else(|error| xtask::without_secrets(error).exit());
    let generate =
        |place, command: Generate| xtask::generate(place, &command, cargo_outrigger::template());
    match verb {
        Verb::New(In { place, args }) => {
            generate(place, Generate::NewPlugin(args.in_python_by_default()))
        }
        Verb::Sync(In { place, args }) => generate(place, Generate::Sync(args)),
        Verb::Status(In { place, args }) => generate(place, Generate::Status(args)),
        Verb::Check(check) if check.app.is_given() => exit::of(|| python::run("check", command())),
        Verb::Check(check) => plugin_conformance::execute(&exit::error_prefix(), &check.args),
        Verb::FlyteValues(args) => exit::of(|| values::run(&args)),
        Verb::Plugin(verb) => exit::of(|| plugin::run(&verb)),
        Verb::Token(verb) => exit::of(|| token::run(&verb)),
        Verb::HealthCheck(args) => exit::of(|| health::run(args)),
        Verb::Completion(args) => exit::of(|| completion::run(&args, command())),
        Verb::Serve(_) => exit::of(|| python::run("serve", command())),
        Verb::Listen(_) => exit::of(|| python::run("listen", command())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn every_command_has_output_as_text_and_as_json() {
        fn leaves(command: &Command) -> Vec<Command> {
            let below = command.get_subcommands().filter(|it| !it.is_hide_set());
            let below = below.flat_map(leaves).collect::<Vec<_>>();
            if below.is_empty() { vec![command.clone()] } else { below }
        }
        for leaf in leaves(&command()) {
            // What they print has a form of its own.
            if ["completion", "schema", "serve", "listen"].contains(&leaf.get_name()) {
                continue;
            }
            let output = leaf.get_arguments().find(|arg| arg.get_long() == Some("output"));
            let output = output.unwrap_or_else(|| panic!("{}", leaf.get_name()));
            let values = output.get_possible_values();
            for wanted in ["text", "json"] {
                assert!(values.iter().any(|it| it.matches(wanted, false)), "{}", leaf.get_name());
            }
        }
    }
}
