//! Prints plans for people, for programs, and as GitHub annotations.

use anyhow::Result;
use serde_json::json;

use super::{
    plan::{Plan, State, Step},
    template::{Class, Template},
};
use crate::{exit::Exit, tool};

/// The output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Format {
    /// Human-readable.
    #[default]
    Text,
    /// One JSON document.
    Json,
    /// GitHub Actions annotations.
    Github,
}

/// Whether what is planned has been written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Nothing was written.
    Planned,
    /// Everything that was not refused.
    Written,
}

/// The report on a file.
struct Finding {
    word: &'static str,
    note: String,
    /// The exit code of a check with this finding.
    check: Exit,
}

impl Finding {
    fn of(plan: &Plan, step: &Step) -> Self {
        let label = step.class.label();
        let (name, id, tool) = (&plan.plugin, &step.id, tool());
        let mine = matches!(step.class, Class::ScaffoldOnce | Class::User);
        let drift = if mine { Exit::Ok } else { Exit::Drift };
        let (word, note, check) = match step.state {
            State::InSync => ("in-sync", String::new(), Exit::Ok),
            State::New => ("new", label.to_owned(), drift),
            State::Outdated => ("outdated", label.to_owned(), drift),
            State::Kept => ("kept", label.to_owned(), Exit::Ok),
            State::Behind => {
                ("behind", "yours; the template's changes merge cleanly".to_owned(), Exit::Ok)
            }
            State::BehindInConflict => {
                ("behind", "yours; the template changed the same lines".to_owned(), Exit::Ok)
            }
            State::Conflict(line) => (
                "conflict",
                format!("line {line}: contains merge conflict markers"),
                Exit::Conflicts,
            ),
            State::Edited => (
                "edited",
                format!(
                    "generated, but edited by hand: change plugin.toml instead, or use --eject {id} --reason …, or --force to discard the edit ({tool} sync {name})"
                ),
                Exit::Refused,
            ),
            State::Collision => (
                "collision",
                format!(
                    "not created by the generator: move it away, or manage it with --adopt {id} ({tool} sync {name})"
                ),
                Exit::Refused,
            ),
            State::Dirty => (
                "dirty",
                "has uncommitted changes: commit them first, or use --allow-dirty".to_owned(),
                Exit::Refused,
            ),
            State::Removed => {
                ("removed", "deleted by its owner; --restore creates it again".to_owned(), Exit::Ok)
            }
            State::Dropped => ("dropped", "no longer in the template".to_owned(), Exit::Drift),
            State::Orphan => {
                ("orphan", "no longer in the template; now yours".to_owned(), Exit::Drift)
            }
            State::Ejected => ("ejected", "listed in [unmanaged]".to_owned(), Exit::Ok),
        };
        Self { word, note, check }
    }
}

/// What was done to a file of a plan that was written, and a note.
fn done(step: &Step) -> Option<(&'static str, &'static str)> {
    match step.state {
        State::New => Some(("created", step.class.label())),
        State::Outdated => Some(("updated", step.class.label())),
        State::Behind => Some(("merged", "yours, with the template's changes")),
        State::BehindInConflict => {
            Some(("conflict", "yours; resolve it between the markers, <<<<<<< and >>>>>>>"))
        }
        State::Dropped => Some(("deleted", "no longer in the template")),
        _ => None,
    }
}

/// The exit code of a check of `plans`.
pub(crate) fn verdict(plans: &[Plan]) -> Exit {
    let record = |plan: &Plan| if plan.record_in_sync { Exit::Ok } else { Exit::Drift };
    let of_plan = |plan: &Plan| {
        let steps = plan.steps.iter().map(|step| Finding::of(plan, step).check);
        steps.chain([record(plan)]).max().unwrap_or(Exit::Ok)
    };
    plans.iter().map(of_plan).max().unwrap_or(Exit::Ok)
}

/// The exit code after writing `plans`.
pub(crate) fn outcome(plans: &[Plan]) -> Exit {
    let of_state = |state: State| match state {
        State::Conflict(_) | State::BehindInConflict => Exit::Conflicts,
        state if state.is_refused() => Exit::Refused,
        _ => Exit::Ok,
    };
    let steps = plans.iter().flat_map(|plan| &plan.steps);
    steps.map(|step| of_state(step.state)).max().unwrap_or(Exit::Ok)
}

/// Prints the findings of `plans`, of which `progress` says what became of them, in a run that ends with `exit`.
///
/// # Errors
/// If JSON serialization fails.
pub(crate) fn print(plans: &[Plan], exit: Exit, format: Format, progress: Progress) -> Result<()> {
    match format {
        Format::Text => print_text(plans, progress),
        Format::Github => print_github(plans),
        Format::Json => println!("{}", serde_json::to_string_pretty(&json(plans, exit))?),
    }
    Ok(())
}

fn is_worth_a_line(step: &Step) -> bool {
    !matches!(step.state, State::InSync | State::Kept | State::Ejected | State::Removed)
}

fn print_text(plans: &[Plan], progress: Progress) {
    let is_written = progress == Progress::Written;
    for plan in plans {
        for step in plan.steps.iter().filter(|step| is_worth_a_line(step)) {
            let Finding { word, note, .. } = Finding::of(plan, step);
            match done(step).filter(|_| is_written) {
                Some((word, note)) => println!("{word:<10} {}  {note}", step.path),
                None => println!("{word:<10} {}  {note}", step.path),
            }
        }
        let nothing_else = plan.steps.iter().all(|step| !is_worth_a_line(step));
        if !plan.record_in_sync && nothing_else {
            print_record(&plan.plugin, is_written);
        }
    }
    print_summary(plans, is_written);
}

/// Prints that a plugin's record of its files, and nothing else, is not as it should be, or is again.
fn print_record(plugin: &str, is_written: bool) {
    if is_written {
        println!("{:<10} {plugin}  .scaffold", "updated");
    } else {
        println!("{:<10} {plugin}  .scaffold does not match the files", "outdated");
    }
}

fn print_summary(plans: &[Plan], is_written: bool) {
    let states = || plans.iter().flat_map(|plan| &plan.steps).map(|step| step.state);
    let count = |wanted: fn(&State) -> bool| states().filter(wanted).count();
    let new_conflicts =
        if is_written { count(|state| *state == State::BehindInConflict) } else { 0 };
    println!(
        "{} {}, {} files: {} in sync, {} owned by authors, {} {}, {} refused, {} in conflict",
        plans.len(),
        if plans.len() == 1 { "plugin" } else { "plugins" },
        states().count(),
        count(|state| *state == State::InSync),
        count(|state| matches!(
            state,
            State::Kept | State::Ejected | State::Removed | State::Orphan
        )),
        count(|state| matches!(
            state,
            State::New | State::Outdated | State::Dropped | State::Behind | State::BehindInConflict
        )),
        if is_written { "written" } else { "to write" },
        count(|state| state.is_refused()),
        count(|state| matches!(state, State::Conflict(_))) + new_conflicts,
    );
}

fn print_github(plans: &[Plan]) {
    for plan in plans {
        for step in plan.steps.iter().filter(|step| is_worth_a_line(step)) {
            let finding = Finding::of(plan, step);
            let level = if finding.check == Exit::Ok { "notice" } else { "error" };
            let line = if let State::Conflict(line) = step.state { line } else { 1 };
            println!(
                "::{level} file={},line={line}::{}: {}",
                step.path, finding.word, finding.note
            );
        }
        if !plan.record_in_sync {
            println!("::error::{}: .scaffold does not match the files", plan.plugin);
        }
    }
}

fn json(plans: &[Plan], exit: Exit) -> serde_json::Value {
    let step = |plan: &Plan, step: &Step| {
        let finding = Finding::of(plan, step);
        json!({
            "file": step.path,
            "class": step.class.letter().to_string(),
            "state": finding.word,
            "note": finding.note,
            "exit": finding.check as u8,
        })
    };
    let plugin = |plan: &Plan| {
        let files = plan.steps.iter().map(|each| step(plan, each)).collect::<Vec<_>>();
        json!({ "name": plan.plugin, "record_in_sync": plan.record_in_sync, "files": files })
    };
    json!({ "exit": exit as u8, "plugins": plans.iter().map(plugin).collect::<Vec<_>>() })
}

/// Prints the change notes of the template versions that `plans` go through.
pub(crate) fn print_changes(plans: &[Plan], template: &Template) {
    let Some(oldest) = plans.iter().filter_map(|plan| plan.from_version).min() else { return };
    for change in template.changes_since(oldest) {
        let breaking = if change.breaking { ", breaking" } else { "" };
        eprintln!(
            "template version {} ({:?}{breaking}): {}",
            change.version, change.kind, change.summary
        );
        if !change.migration.is_empty() {
            eprintln!("  to do: {}", change.migration);
        }
    }
}
