//! What `outrigger check` has found of a plugin's own server, which listens on a socket of its own: nobody else can see
//! whether the server itself finds the job of a repeated create, because the bridge joins repeats.

use std::{path::Path, time::Duration};

use serde::Deserialize;

use crate::{
    error::StartError,
    report::Finding,
    rules::Rule,
    verdict::{Checked, failed, skipped},
};

/// The most bytes of the file.
const MOST: u64 = 1 << 20;

/// Findings, one for each rule and task.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Given(Vec<One>);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct One {
    rule: String,
    outcome: Verdict,
    reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Verdict {
    Pass,
    Fail,
    Skip,
}

impl Given {
    /// Reads the file of `--plugin-findings`.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn read(path: &Path) -> Result<Self, StartError> {
        let wrong = |reason: String| StartError::File { path: path.to_owned(), reason };
        let size = std::fs::metadata(path).map_err(|error| wrong(error.to_string()))?.len();
        if size > MOST {
            return Err(wrong(format!("has {size} bytes, and {MOST} are read")));
        }
        let json = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
        serde_json::from_slice(&json).map_err(|error| wrong(error.to_string()))
    }

    /// What was found about `rule`: the first failure, or that it holds for one task at least, or why it was not checked.
    /// `None` if nothing was.
    pub(crate) fn of(&self, rule: &Rule) -> Option<Finding> {
        let about = || self.0.iter().filter(|one| one.rule == rule.id);
        let first = |verdict| about().find(|one| one.outcome == verdict);
        let one = first(Verdict::Fail)
            .or_else(|| first(Verdict::Pass))
            .or_else(|| first(Verdict::Skip))?;
        Some(Finding::of(*rule, one.checked(), Duration::ZERO))
    }
}

impl One {
    fn checked(&self) -> Checked {
        match self.outcome {
            Verdict::Pass => Ok(()),
            Verdict::Fail => Err(failed(&*self.reason)),
            Verdict::Skip => Err(skipped(&*self.reason)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{report::Outcome, rules::PLUGIN_RULES};

    #[test]
    fn the_worst_that_was_found_of_a_rule_counts() {
        let [rule, other] = PLUGIN_RULES else { panic!("there are two") };
        let outcome = |found: &[&str]| {
            let one = |outcome: &&str| serde_json::json!({"rule": rule.id, "outcome": outcome, "reason": "why"});
            let json = serde_json::Value::from_iter(found.iter().map(one));
            let given: Given = serde_json::from_value(json).unwrap();
            assert!(given.of(other).is_none());
            given.of(rule).map(|finding| finding.outcome)
        };
        assert_eq!(outcome(&[]), None);
        assert_eq!(outcome(&["SKIP", "PASS"]), Some(Outcome::Pass));
        assert_eq!(outcome(&["SKIP"]), Some(Outcome::Skip));
        assert_eq!(outcome(&["PASS", "FAIL", "SKIP"]), Some(Outcome::Fail));
    }
}
