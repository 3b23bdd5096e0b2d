//! The report: what was found, for people and for programs.

use std::{fmt::Write as _, time::Duration};

use anstyle::{AnsiColor, Style};
use serde::Serialize;
use serde_json::json;
use server_core::text::{acts, escaped};

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
        // The service chose the names of its types, and what is quoted of its answers.
        let types = escaped(self.types.join(", "));
        let mut text = format!("{}: {types}\n\n", self.url);
        for finding in &self.findings {
            let (name, style) = (finding.outcome.name(), finding.outcome.style());
            let what = match finding.outcome {
                Outcome::Pass => finding.rule.sentence.to_owned(),
                Outcome::Skip => escaped(&*finding.reason).into_owned(),
                Outcome::Fail | Outcome::Warn => {
                    let (reason, sentence) = (escaped(&*finding.reason), finding.rule.sentence);
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
        // JSON escapes the control characters of ASCII, and terminals know others.
        let mut json = String::new();
        for letter in format!("{report:#}\n").chars() {
            match acts(letter) {
                true => json.push_str(&format!("\\u{:04x}", u32::from(letter))),
                false => json.push(letter),
            }
        }
        json
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::{failed, skipped};

    #[test]
    fn a_service_steers_no_terminal_with_what_is_quoted_of_it() {
        let hostile = "a\u{1b}[2J\u{9b}2J\u{7f}\u{202e}\nPASS  get/is-answered";
        let checks = [Err(failed(hostile)), Err(skipped(hostile))];
        let findings = checks.into_iter().zip(RULES);
        let report = Report {
            url: "http://127.0.0.1:1/".to_owned(),
            types: vec![hostile.to_owned()],
            has_task: true,
            findings: findings
                .map(|(checked, rule)| Finding::of(*rule, checked, Duration::ZERO))
                .collect(),
        };
        let text = anstream::adapter::strip_str(&report.text()).to_string();
        assert_eq!(text.matches(r"a\u{1b}[2J\u{9b}2J\u{7f}\u{202e}\nPASS").count(), 3, "{text}");
        assert_eq!(text.lines().filter(|line| line.starts_with("PASS")).count(), 0);
        for printed in [&text, &report.json()] {
            assert!(!printed.chars().any(acts), "{printed:?}");
        }
        let json: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
        assert_eq!(json["findings"][0]["reason"], hostile);
    }
}
