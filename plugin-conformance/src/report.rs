//! The report: what was found, for people and for programs.

use std::{fmt::Write as _, time::Duration};

use anstyle::{AnsiColor, Style};
use serde::Serialize;
use serde_json::json;

use crate::{
    rules::{Level, RULES, Rule},
    verdict::{Checked, Problem},
};

/// How a rule fared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Outcome {
    /// It holds.
    Pass,
    /// It must hold, and does not.
    Fail,
    /// It should hold, and does not.
    Warn,
    /// It could not be checked.
    Skip,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Pass, Self::Fail, Self::Warn, Self::Skip];

    fn name(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Fail => "FAIL",
            Self::Warn => "WARN",
            Self::Skip => "SKIP",
        }
    }

    fn style(self) -> Style {
        match self {
            Self::Pass => AnsiColor::Green.on_default(),
            Self::Fail => AnsiColor::Red.on_default().bold(),
            Self::Warn => AnsiColor::Yellow.on_default(),
            Self::Skip => AnsiColor::BrightBlack.on_default(),
        }
    }
}

/// What was found about a rule.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The rule.
    pub rule: Rule,
    /// How it fared.
    pub outcome: Outcome,
    /// Why; empty if it holds.
    pub reason: String,
    /// How long the check took.
    pub took: Duration,
}

impl Finding {
    pub(crate) fn of(rule: Rule, checked: Checked, took: Duration) -> Self {
        let (outcome, reason) = match (checked, rule.level) {
            (Ok(()), _) => (Outcome::Pass, String::new()),
            (Err(Problem::Fail(what)), Level::Must) => (Outcome::Fail, what),
            (Err(Problem::Fail(what)), Level::Should) => (Outcome::Warn, what),
            (Err(Problem::Skip(why)), _) => (Outcome::Skip, why),
        };
        Self { rule, outcome, reason, took }
    }

    /// Where the contract has the rule.
    pub(crate) fn reference(&self) -> String {
        format!("docs/plugin-contract.md:{}", self.rule.line().unwrap_or_default())
    }
}

/// What was found about a service.
#[derive(Debug, Clone)]
pub struct Report {
    /// The URL of its API port.
    pub url: String,
    /// The task types that were checked.
    pub types: Vec<String>,
    /// Whether there was a task to run.
    pub has_task: bool,
    /// Of each rule, in the order of the table.
    pub findings: Vec<Finding>,
}

/// What a report without a task says.
const NO_TASK: &str = "No --task was given, so nothing that takes a job was checked.";

impl Report {
    /// Whether a rule that must hold does not.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.count(Outcome::Fail) > 0
    }

    /// How many rules fared so.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> usize {
        self.findings.iter().filter(|finding| finding.outcome == outcome).count()
    }

    /// A line for each rule, with a terminal's colours.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("{}: {}\n\n", self.url, self.types.join(", "));
        for finding in &self.findings {
            let (name, style) = (finding.outcome.name(), finding.outcome.style());
            let what = match finding.outcome {
                Outcome::Pass => finding.rule.sentence.to_owned(),
                Outcome::Skip => finding.reason.clone(),
                Outcome::Fail | Outcome::Warn => {
                    let (reason, sentence) = (&finding.reason, finding.rule.sentence);
                    format!("{reason} ({}: {sentence})", finding.reference())
                }
            };
            let id = finding.rule.id;
            // Writing to a string does not fail.
            let _ = writeln!(text, "{style}{name}{style:#}  {id}  {what}");
        }
        let counts =
            Outcome::ALL.map(|outcome| format!("{} {}", self.count(outcome), outcome.name()));
        let _ = writeln!(text, "\n{} rules: {}", self.findings.len(), counts.join(", "));
        if !self.has_task {
            let _ = writeln!(text, "{NO_TASK}");
        }
        text
    }

    /// One JSON object.
    #[must_use]
    pub fn json(&self) -> String {
        let findings = self.findings.iter().map(|finding| {
            json!({
                "id": finding.rule.id,
                "level": finding.rule.level,
                "outcome": finding.outcome,
                "reason": finding.reason,
                "sentence": finding.rule.sentence,
                "contract": finding.reference(),
                "seconds": finding.took.as_secs_f64(),
            })
        });
        let counts =
            Outcome::ALL.map(|outcome| (outcome.name().to_lowercase(), self.count(outcome)));
        let report = json!({
            "url": self.url,
            "task_types": self.types,
            "has_task": self.has_task,
            "counts": counts.into_iter().collect::<std::collections::BTreeMap<_, _>>(),
            "findings": findings.collect::<Vec<_>>(),
        });
        format!("{report:#}\n")
    }
}

/// The table of rules, a line for each.
#[must_use]
pub(crate) fn list() -> String {
    let mut text = String::new();
    for rule in RULES {
        let _ = writeln!(text, "{:6}  {}  {}", rule.level.to_string(), rule.id, rule.sentence);
    }
    text
}
