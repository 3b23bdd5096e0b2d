//! What somebody must do at an upgrade stands in docs/upgrading.md.

use serde::Deserialize;

use super::{
    changelog::{self, BREAKING, CHANGELOG},
    tree::{Finding, Tree},
    versions::numbers,
};

/// The page for operators and authors.
const UPGRADING: &str = "docs/upgrading.md";
/// The notes on the template's versions.
const CHANGES: &str = "template/changes";

/// The part of a note that is used here.
#[derive(Deserialize)]
struct Note {
    version: usize,
    #[serde(default)]
    migration: String,
}

/// Migrations that the page leaves out, and notes without a number of their own.
pub(crate) fn check(tree: &Tree, version: &str) -> Vec<Finding> {
    let mut found = notes(tree);
    let text = tree.text(CHANGELOG).unwrap_or_default();
    let breaks = changelog::notes(text, version).is_some_and(|notes| notes.contains(BREAKING));
    let to = numbers(version)[..2].iter().map(u64::to_string).collect::<Vec<_>>().join(".");
    let is_told = headings(tree)
        .any(|heading| heading.starts_with("From ") && heading.ends_with(&format!(" to {to}")));
    if breaks && !is_told {
        let message = format!(
            "has no section `## From … to {to}`, but the changes of {version} in {CHANGELOG} break something"
        );
        found.push(Finding::new(UPGRADING, 0, message));
    }
    found
}

fn notes(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for (at, (name, text)) in tree.below(CHANGES).enumerate() {
        let path = format!("{CHANGES}/{name}");
        let (wanted, number) = (at + 1, name.split('-').next().unwrap_or_default());
        if number.len() != 4 || number.parse() != Ok(wanted) {
            let message = format!("is note {wanted}: its name must begin with {wanted:04}-");
            found.push(Finding::new(&path, 0, message));
        }
        let note: Note = match toml_edit::de::from_str(text) {
            Ok(note) => note,
            Err(error) => {
                found.push(Finding::new(&path, 0, error.to_string()));
                continue;
            }
        };
        if note.version != wanted {
            let message = format!("version is {}, but the file is note {wanted}", note.version);
            found.push(Finding::new(&path, line_of(text, "version"), message));
        }
        let heading = format!("Template version {wanted}");
        if !note.migration.is_empty() && !headings(tree).any(|text| text == heading) {
            let message = format!(
                "somebody must act, but {UPGRADING} has no section `### {heading}` that says how"
            );
            found.push(Finding::new(&path, line_of(text, "migration"), message));
        }
    }
    found
}

fn headings(tree: &Tree) -> impl Iterator<Item = &str> {
    let lines = tree.text(UPGRADING).unwrap_or_default().lines();
    lines.filter_map(|line| Some(line.strip_prefix('#')?.trim_start_matches('#').trim()))
}

/// The line that sets `key`; 0 if none does.
fn line_of(text: &str, key: &str) -> usize {
    text.lines().position(|line| line.starts_with(key)).map_or(0, |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: (&str, &str) = ("template/changes/0001-a.toml", "version = 1\n");
    const SECOND: (&str, &str) =
        ("template/changes/0002-b.toml", "version = 2\nmigration = \"Rename a to b.\"\n");

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        check(&Tree::of(files), "0.2.0").iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_migration_has_a_section() {
        let told = (UPGRADING, "# Upgrading\n\n### Template version 2\n\nRename it.\n");
        assert_eq!(found(&[FIRST, SECOND, told]), Vec::<String>::new());
        let untold = found(&[FIRST, SECOND, (UPGRADING, "### Template version 20\n")]);
        assert!(untold[0].starts_with("template/changes/0002-b.toml:2: somebody"), "{untold:?}");
    }

    #[test]
    fn notes_are_numbered_without_gaps() {
        let third = ("template/changes/0003-c.toml", "version = 3\n");
        let gap = found(&[FIRST, third]);
        assert!(
            gap[0].contains("0003-c.toml: is note 2: its name must begin with 0002-"),
            "{gap:?}"
        );
        assert!(gap[1].contains(":1: version is 3, but the file is note 2"), "{gap:?}");
    }

    #[test]
    fn breaking_changes_have_a_section() {
        let log = (CHANGELOG, "## [0.2.0] - 2026-12-01\n\n* **Breaking:** a is gone.\n");
        let untold = found(&[log]);
        assert!(untold[0].contains("`## From … to 0.2`"), "{untold:?}");
        assert!(found(&[log, (UPGRADING, "## From 0.1 to 0.2\n")]).is_empty());
    }
}
