//! CHANGELOG.md, in the format of <https://keepachangelog.com/en/1.1.0/>.

use super::{
    tree::{Finding, Tree},
    versions::{is_version, numbers},
};

/// Its path in the repository.
pub(crate) const CHANGELOG: &str = "CHANGELOG.md";
/// What the section of the next version is called.
const UNRELEASED: &str = "Unreleased";
/// The groups of the format.
const GROUPS: [&str; 6] = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"];
/// How an entry begins after which somebody must act.
pub(crate) const BREAKING: &str = "**Breaking";

/// The changes of one version.
#[derive(Debug)]
struct Section<'a> {
    line: usize,
    version: &'a str,
    /// Year, month and day; none for what is unreleased.
    date: Option<&'a str>,
    lines: Vec<&'a str>,
}

impl Section<'_> {
    fn text(&self) -> String {
        self.lines.join("\n").trim().to_owned()
    }

    fn is_empty(&self) -> bool {
        !self.lines.iter().any(|line| line.starts_with("* ") || line.starts_with("- "))
    }
}

/// What is wrong with the changelog for a release of `version`; `tagged` if the release is being made.
pub(crate) fn check(tree: &Tree, version: &str, tagged: bool) -> Vec<Finding> {
    let Some(text) = tree.text(CHANGELOG) else {
        return vec![Finding::new(CHANGELOG, 0, "is missing")];
    };
    let sections = sections(text);
    let mut found = shape(&sections);
    let wanted = format!("`## [{version}] - YYYY-MM-DD`");
    match sections.iter().find(|section| section.version == version) {
        None => found.push(Finding::new(CHANGELOG, 0, format!("has no section {wanted}"))),
        Some(section) if section.is_empty() => {
            let message = format!("[{version}] lists no changes");
            found.push(Finding::new(CHANGELOG, section.line, message));
        }
        Some(_) => {}
    }
    let pending = sections.iter().find(|one| one.version == UNRELEASED && !one.is_empty());
    if let Some(pending) = pending.filter(|_| tagged) {
        let message = format!("[{UNRELEASED}] has entries: move them to {wanted}");
        found.push(Finding::new(CHANGELOG, pending.line, message));
    }
    found
}

/// Whether changes wait for the next version.
pub(crate) fn has_pending(tree: &Tree) -> bool {
    let sections = sections(tree.text(CHANGELOG).unwrap_or_default());
    sections.iter().any(|section| section.version == UNRELEASED && !section.is_empty())
}

/// The text of the section of `version`, without its heading.
pub(crate) fn notes(text: &str, version: &str) -> Option<String> {
    let sections = sections(text);
    sections.iter().find(|section| section.version == version).map(Section::text)
}

/// Order, headings and groups.
fn shape(sections: &[Section<'_>]) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut say = |line, message: String| found.push(Finding::new(CHANGELOG, line, message));
    if sections.first().is_none_or(|first| first.version != UNRELEASED) {
        let line = sections.first().map_or(0, |first| first.line);
        say(line, format!("the first section must be `## [{UNRELEASED}]`"));
    }
    let released = sections.iter().filter(|section| section.version != UNRELEASED);
    let released = released.collect::<Vec<_>>();
    for section in &released {
        let dated = section.date.is_some_and(is_date);
        if !is_version(section.version) || !dated {
            say(section.line, "a heading is `## [1.2.3] - YYYY-MM-DD`".to_owned());
        }
    }
    for pair in released.windows(2) {
        if numbers(pair[0].version) <= numbers(pair[1].version) {
            say(pair[1].line, format!("{} stands below {}", pair[1].version, pair[0].version));
        }
    }
    for section in sections {
        for (at, line) in section.lines.iter().enumerate() {
            let Some(group) = line.strip_prefix("### ") else { continue };
            if !GROUPS.contains(&group) {
                let known = GROUPS.join(", ");
                say(section.line + 1 + at, format!("unknown group '{group}'; known: {known}"));
            }
        }
    }
    found
}

fn sections(text: &str) -> Vec<Section<'_>> {
    let mut sections = Vec::<Section<'_>>::new();
    for (number, line) in text.lines().enumerate() {
        if let Some(heading) = line.strip_prefix("## ") {
            let (name, date) = heading
                .split_once(" - ")
                .map_or((heading, None), |(name, date)| (name, Some(date.trim())));
            let version = name.trim().trim_matches(['[', ']']);
            sections.push(Section { line: number + 1, version, date, lines: Vec::new() });
        } else if let Some(section) = sections.last_mut() {
            section.lines.push(line);
        }
    }
    sections
}

/// Whether `text` is a date as `2026-11-30`.
fn is_date(text: &str) -> bool {
    let parts = text.split('-').map(|part| (part.len(), part.parse::<u16>().unwrap_or(0)));
    let parts = parts.collect::<Vec<_>>();
    matches!(parts.as_slice(), [(4, _), (2, 1..=12), (2, 1..=31)])
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# Changelog\n\n## [Unreleased]\n\n## [0.2.0] - 2026-12-01\n\n### Added\n\n* Something.\n\n## [0.1.0] - 2026-11-22\n\n* First.\n";

    fn found(text: &str, version: &str, tagged: bool) -> Vec<String> {
        let tree = Tree::of(&[(CHANGELOG, text)]);
        check(&tree, version, tagged).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_section_of_the_version_is_enough() {
        assert_eq!(found(TEXT, "0.2.0", true), Vec::<String>::new());
        let missing = found(TEXT, "0.3.0", false);
        assert!(missing[0].contains("has no section `## [0.3.0] - YYYY-MM-DD`"), "{missing:?}");
        assert_eq!(
            check(&Tree::default(), "0.2.0", false)[0].to_string(),
            "CHANGELOG.md: is missing"
        );
    }

    #[test]
    fn a_release_leaves_nothing_unreleased() {
        let text = TEXT.replace("## [Unreleased]\n", "## [Unreleased]\n\n* More.\n");
        assert!(found(&text, "0.2.0", false).is_empty());
        let pending = found(&text, "0.2.0", true);
        assert!(pending[0].starts_with("CHANGELOG.md:3: [Unreleased] has entries"), "{pending:?}");
        assert!(has_pending(&Tree::of(&[(CHANGELOG, &text)])));
    }

    #[test]
    fn headings_dates_order_and_groups_are_checked() {
        let line = |text: &str| found(text, "0.2.0", false)[0].clone();
        assert!(
            line(&TEXT.replace("- 2026-12-01", "- 2026-13-01")).starts_with("CHANGELOG.md:5: ")
        );
        assert!(
            line(&TEXT.replace("## [0.1.0]", "## [0.2.1]")).contains(":11: 0.2.1 stands below")
        );
        assert!(line(&TEXT.replace("### Added", "### New")).contains(":7: unknown group 'New'"));
        assert!(line(&TEXT.replace("## [Unreleased]\n", "")).contains("the first section must"));
        assert!(line(&TEXT.replace("* Something.", "")).contains(":5: [0.2.0] lists no changes"));
    }

    #[test]
    fn notes_are_the_section_alone() {
        assert_eq!(notes(TEXT, "0.2.0").unwrap(), "### Added\n\n* Something.");
        assert_eq!(notes(TEXT, "0.1.0").unwrap(), "* First.");
        assert!(notes(TEXT, "1.0.0").is_none());
    }
}
