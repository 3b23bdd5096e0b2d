//! Charts that were released do not change: what another content needs is another version.
//!
//! `released.toml` has the digest of each released version's files. A package's own digest would not do: Helm's archives
//! hold times, and packages have registry and digests stamped in.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};
use toml_edit::{DocumentMut, Item, Table, value};

use super::tree::{Finding, RELEASED, Tree};

/// The table in it.
const CHARTS: &str = "charts";
/// What a new record begins with.
const PREAMBLE: &str = "\
# The digests of released charts' files, by chart and version: `cargo xtask release --record` adds those of a release.
# A chart that differs from its record needs a new version.
";

/// Charts that differ from what was released under their version.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let text = tree.text(RELEASED).unwrap_or_default();
    let record = match parse(text) {
        Ok(record) => record,
        Err(error) => return vec![Finding::new(RELEASED, 0, format!("{error:#}"))],
    };
    let mut found = Vec::new();
    for (name, version) in charts(tree) {
        let released = recorded(&record, &name, &version);
        if released.is_some_and(|released| released != digest(tree, &name)) {
            let line = line_of(text, &name, &version);
            let record = line.map_or_else(String::new, |line| format!(":{line}"));
            let message = format!(
                "{version} was released with other files ({RELEASED}{record}; `git diff v{version} -- charts/{name}` shows them): raise workspace.package.version in Cargo.toml, then run `cargo xtask sync --all`"
            );
            found.push(Finding::new(&format!("charts/{name}"), 0, message));
        }
    }
    found
}

/// Charts whose version is not in the record.
pub(crate) fn unrecorded(tree: &Tree) -> Vec<Finding> {
    let record = parse(tree.text(RELEASED).unwrap_or_default()).unwrap_or_default();
    let missing = charts(tree).into_iter();
    missing
        .filter(|(name, version)| recorded(&record, name, version).is_none())
        .map(|(name, version)| {
            let message = format!(
                "has no digest of {name} {version}: run `cargo xtask release --record` and commit it before the tag"
            );
            Finding::new(RELEASED, 0, message)
        })
        .collect()
}

/// The record with the present version of each chart. What it has already stays.
///
/// # Errors
/// If the record is invalid.
pub(crate) fn record(tree: &Tree) -> Result<String> {
    let known = tree.text(RELEASED).unwrap_or_default();
    let mut record = parse(known)?;
    for (name, version) in charts(tree) {
        if recorded(&record, &name, &version).is_none() {
            let charts = table(record.as_table_mut(), CHARTS)?;
            charts.set_implicit(true);
            table(charts, &name)?.insert(&version, value(digest(tree, &name)));
        }
    }
    let preamble = if known.is_empty() { PREAMBLE } else { "" };
    Ok(format!("{preamble}{record}"))
}

/// The line of the record on a chart's version.
fn line_of(text: &str, name: &str, version: &str) -> Option<usize> {
    let lines = text.lines().enumerate();
    let mut table = lines.skip_while(|(_, line)| *line != format!("[{CHARTS}.{name}]"));
    let (at, _) = table.find(|(_, line)| line.starts_with(&format!("\"{version}\"")))?;
    Some(at + 1)
}

fn table<'a>(above: &'a mut Table, name: &str) -> Result<&'a mut Table> {
    let item = above.entry(name).or_insert_with(|| Item::Table(Table::new()));
    item.as_table_mut().with_context(|| format!("{RELEASED}: {name} is no table"))
}

fn parse(text: &str) -> Result<DocumentMut> {
    text.parse().context("invalid TOML")
}

fn recorded<'a>(record: &'a DocumentMut, name: &str, version: &str) -> Option<&'a str> {
    record.get(CHARTS)?.get(name)?.get(version)?.as_str()
}

/// The charts, each with its version.
fn charts(tree: &Tree) -> BTreeMap<String, String> {
    let names = tree.below("charts").filter_map(|(path, _)| Some(path.split_once('/')?.0));
    let names = names.collect::<BTreeSet<_>>();
    let version = |name: &str| {
        let chart = tree.text(&format!("charts/{name}/Chart.yaml"))?;
        chart.lines().find_map(|line| line.strip_prefix("version:").map(str::trim))
    };
    let known = names
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), version(name)?.trim_matches('"').to_owned())));
    known.collect()
}

/// The digest of a chart's files: their paths, lengths and texts.
fn digest(tree: &Tree, name: &str) -> String {
    let mut digest = Sha256::new();
    for (path, text) in tree.below(&format!("charts/{name}")) {
        digest.update(format!("{path}\0{}\0{text}", text.len()));
    }
    let hex = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    format!("sha256:{hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHART: &str = "name: a\nversion: 0.1.0\n";

    fn tree(chart: &str, service: &str, released: &str) -> Tree {
        Tree::of(&[
            ("charts/a/Chart.yaml", chart),
            ("charts/a/templates/service.yaml", service),
            (RELEASED, released),
        ])
    }

    #[test]
    fn a_released_chart_that_changes_needs_a_new_version() {
        assert!(check(&tree(CHART, "port: 1", "")).is_empty(), "nothing was released yet");
        let released = record(&tree(CHART, "port: 1", "")).unwrap();
        assert!(check(&tree(CHART, "port: 1", &released)).is_empty());

        let found = check(&tree(CHART, "port: 2", &released));
        let message = found[0].to_string();
        assert!(message.starts_with("charts/a: 0.1.0 was released with other files"), "{message}");
        assert!(message.contains("raise workspace.package.version"), "{message}");
        assert!(message.contains("released.toml:4"), "{message}\n{released}");
        assert!(released.starts_with("# The digests"), "{released}");

        let raised = CHART.replace("0.1.0", "0.2.0");
        assert!(check(&tree(&raised, "port: 2", &released)).is_empty());
    }

    #[test]
    fn a_file_that_moves_or_appears_is_a_change() {
        let released = record(&tree(CHART, "a", "")).unwrap();
        let moved = Tree::of(&[
            ("charts/a/Chart.yaml", CHART),
            ("charts/a/templates/other.yaml", "a"),
            (RELEASED, &released),
        ]);
        assert_eq!(check(&moved).len(), 1);
    }

    #[test]
    fn what_is_recorded_stays() {
        let first = record(&tree(CHART, "port: 1", "")).unwrap();
        assert_eq!(record(&tree(CHART, "port: 2", &first)).unwrap(), first);
        let raised = CHART.replace("0.1.0", "0.2.0");
        let second = record(&tree(&raised, "port: 2", &first)).unwrap();
        assert!(second.contains("0.1.0") && second.contains("0.2.0"), "{second}");
        assert!(unrecorded(&tree(&raised, "port: 2", &second)).is_empty());
        assert_eq!(unrecorded(&tree(&raised, "port: 2", &first)).len(), 1);
    }

    #[test]
    fn an_invalid_record_is_named() {
        assert!(check(&tree(CHART, "", "charts = ")).len() == 1);
        assert!(record(&tree(CHART, "", "charts = 1\n")).is_err());
    }
}
