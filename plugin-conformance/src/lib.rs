//! Checks a running plugin service against the plugin contract, over REST and both of Flyte's gRPC dialects.
//!
//! [`RULES`] is the table of what is checked; [`run`] checks it, and [`main`] is the program. A run trusts nothing
//! that the service sends: every call and every answer is bounded.

mod args;
mod custom;
mod discovery;
mod error;
mod given;
mod grpc;
mod junit;
mod outputs;
mod report;
mod rest;
mod rules;
mod session;
mod status;
mod target;
mod task;
mod verdict;
mod watch;

use std::{
    io::{IsTerminal as _, Write as _},
    process::ExitCode,
};

use clap::Parser as _;
use tokio::{
    runtime::Builder,
    time::{Instant, timeout_at},
};

pub use self::{
    args::{Args, Output, Protocol},
    error::StartError,
    report::{Finding, Outcome, Report},
    rules::{CONTRACT, Level, PLUGIN_RULES, RULES, Rule},
};
use self::{
    given::Given,
    session::Session,
    verdict::{failed, skipped},
};

/// The exit code of a check that could not begin.
const UNUSABLE: u8 = 2;

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    execute("plugin-conformance", &Args::parse())
}

/// Does what `args` ask for, and returns the exit code. Errors are printed after `name`.
#[must_use]
pub fn execute(name: &str, args: &Args) -> ExitCode {
    if args.list {
        return printed(&report::list(), 0);
    }
    let report = match Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(run(args)),
        Err(error) => {
            Err(StartError::Unreachable { url: args.url.to_string(), reason: error.to_string() })
        }
    };
    let written = report.and_then(|report| {
        write_junit(&report, args)?;
        Ok(report)
    });
    match written {
        Ok(report) => {
            let text = match args.output {
                Output::Text => report.text(),
                Output::Json => report.json(),
            };
            printed(&text, u8::from(report.has_failed()))
        }
        Err(error) => {
            anstream::eprintln!("{name}: {error}");
            ExitCode::from(UNUSABLE)
        }
    }
}

/// Writes the file of `--junit`.
fn write_junit(report: &Report, args: &Args) -> Result<(), StartError> {
    let Some(path) = &args.junit else { return Ok(()) };
    let written = junit::xml(report).and_then(|xml| std::fs::write(path, xml));
    written.map_err(|error| StartError::File { path: path.clone(), reason: error.to_string() })
}

/// Prints `text`, in colours only to a terminal.
fn printed(text: &str, code: u8) -> ExitCode {
    match anstream::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::from(code),
        // Who closed the pipe does not read what is wrong.
        Err(_) => ExitCode::from(UNUSABLE),
    }
}

/// Checks the service that `args` names.
///
/// # Errors
/// When nothing can be checked: the service does not answer, or a flag or file is wrong.
pub async fn run(args: &Args) -> Result<Report, StartError> {
    let given = args.plugin_findings.as_deref().map(Given::read).transpose()?;
    let rules = chosen(&args.only, given.is_some())?;
    let until = Instant::now() + args.max_time;
    let session = Session::start(args).await?;
    let mut findings = Vec::new();
    for rule in rules {
        progress(&format!("checking {}", rule.id));
        let known = given.as_ref().and_then(|given| given.of(rule));
        findings.push(match known {
            Some(finding) => finding,
            None => check(rule, &session, until).await,
        });
    }
    progress("");
    let types = session.types.iter().map(ToString::to_string).collect();
    Ok(Report { url: args.url.to_string(), types, has_task: !args.task.is_empty(), findings })
}

/// Shows on a terminal what is being done, in a line that the next one replaces: a check may take minutes.
fn progress(what: &str) {
    const REPLACE: &str = "\r\x1b[K";
    let mut stderr = std::io::stderr();
    if stderr.is_terminal() {
        // Nothing depends on it.
        let _ = write!(stderr, "{REPLACE}{what}");
    }
}

/// Checks a rule until `until`: a service that is slow enough could otherwise keep the checks from ending.
async fn check(rule: &Rule, session: &Session, until: Instant) -> Finding {
    let started = Instant::now();
    let checked = if started < until {
        let checked = timeout_at(until, (rule.check)(session)).await;
        checked.unwrap_or_else(|_| Err(failed("the check did not end within --max-time")))
    } else {
        Err(skipped("--max-time has passed"))
    };
    Finding::of(*rule, checked, started.elapsed())
}

/// The rules that `only` names, by id or by group; those of a plugin's own server are among them if it was looked at.
fn chosen(only: &[String], with_plugin: bool) -> Result<Vec<&'static Rule>, StartError> {
    let rules = || RULES.iter().chain(PLUGIN_RULES.iter().filter(|_| with_plugin));
    let names = |name: &String, rule: &Rule| *name == rule.id || *name == rule.group();
    if let Some(unknown) = only.iter().find(|name| !rules().any(|rule| names(name, rule))) {
        let reason = format!("{unknown:?} is neither a rule nor a group; --list prints them");
        return Err(StartError::Flag { flag: "--only", reason });
    }
    let is_chosen = |rule: &&Rule| only.is_empty() || only.iter().any(|name| names(name, rule));
    Ok(rules().filter(is_chosen).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_are_unique_and_sentences_end() {
        let all = [RULES, PLUGIN_RULES].concat();
        let ids = all.iter().map(|rule| rule.id).collect::<BTreeSet<_>>();
        assert_eq!(ids.len(), all.len());
        for rule in all {
            assert!(rule.sentence.ends_with('.'), "{}", rule.id);
            let plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
            assert!(rule.id.chars().all(|letter| plain(letter) || "-/".contains(letter)));
        }
    }

    /// What stands between `(conformance: ` and `)` in the contract.
    fn marks() -> BTreeSet<&'static str> {
        let marks = CONTRACT.split("*(conformance:").skip(1);
        // The introduction has an ellipsis in place of ids.
        let marks =
            marks.filter_map(|rest| rest.split(")*").next()).filter(|ids| ids.contains('`'));
        marks.flat_map(|ids| ids.split(',').map(|id| id.trim().trim_matches('`'))).collect()
    }

    #[test]
    fn the_contract_and_the_table_have_the_same_rules() {
        let ids = RULES.iter().map(|rule| rule.id).collect::<BTreeSet<_>>();
        let difference = ids.symmetric_difference(&marks()).copied().collect::<Vec<_>>();
        assert_eq!(difference, [""; 0], "in only one of docs/plugin-contract.md and RULES");
    }

    #[test]
    fn the_contract_has_each_rule_under_the_heading_of_its_group() {
        for rule in RULES {
            let line = rule.line().unwrap();
            let above = CONTRACT.lines().take(line).filter(|line| line.starts_with("## "));
            let heading = above.last().unwrap();
            assert!(heading.contains(rule.group()), "{} stands under {heading:?}", rule.id);
            let from = CONTRACT.lines().skip(line.saturating_sub(8)).take(9).collect::<String>();
            assert!(from.contains(&rule.level.to_string()), "{}: {from}", rule.id);
        }
    }

    #[test]
    fn the_contract_says_what_outrigger_check_sees_of_a_plugins_server() {
        assert!(PLUGIN_RULES.iter().all(|rule| rule.line().is_some()));
    }

    #[test]
    fn the_page_has_every_rule_and_every_flag() {
        let page = include_str!("../../docs/conformance.md");
        let all = [RULES, PLUGIN_RULES].concat();
        for rule in &all {
            let row = format!("| `{}` | {} | {} |", rule.id, rule.level, rule.sentence);
            assert!(page.contains(&row), "docs/conformance.md lacks\n{row}");
        }
        let rows = page.lines().filter(|line| line.starts_with("| `") && line.contains('/'));
        assert_eq!(
            rows.filter(|row| row.contains(" | MUST | ") || row.contains(" | SHOULD | ")).count(),
            all.len()
        );
        for arg in <Args as clap::CommandFactory>::command().get_arguments() {
            let Some(flag) = arg.get_long() else { continue };
            assert!(page.contains(&format!("`--{flag}")), "docs/conformance.md lacks --{flag}");
        }
    }

    #[test]
    fn the_task_of_the_page_is_one() {
        let page = include_str!("../../docs/conformance.md");
        let block = page.split("```json\n").nth(1).unwrap().split("```").next().unwrap();
        let task = task::Task::of(serde_json::from_str(block).unwrap()).unwrap();
        assert_eq!(task.type_name(), "shout");
    }

    #[test]
    fn rules_are_chosen_by_id_and_by_group() {
        let count = |only: &[&str]| {
            let only = only.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
            chosen(&only, false).map(|rules| rules.len()).ok()
        };
        assert_eq!(count(&["plugin"]), None);
        assert_eq!(chosen(&["plugin".to_owned()], true).unwrap().len(), PLUGIN_RULES.len());
        assert_eq!(count(&[]), Some(RULES.len()));
        assert_eq!(count(&["get/phase-is-set"]), Some(1));
        assert!(count(&["get", "leaks"]) > Some(5));
        assert_eq!(count(&["get/nothing"]), None);
    }
}
