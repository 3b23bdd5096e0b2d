//! House rules that no lint knows: sizes, names and where things are declared.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use anyhow::{Result, bail};

use crate::{
    process::{cargo, program},
    root,
    scaffold::merge,
};

/// Past this many lines, tests not counted, something is missing that would split a file.
const MAX_LINES: usize = 400;
/// Past this many lines a function does more than one thing.
const MAX_FUNCTION_LINES: usize = 60;
/// How many crates a cold `cargo xtask` may build, itself counted.
const MAX_CRATES: usize = 45;
/// Names that say nothing.
const NAMELESS: [&str; 4] = ["utils", "common", "helpers", "manager"];

/// Checks every rule.
///
/// # Errors
/// All that is broken, a line each.
pub(crate) fn check() -> Result<()> {
    let files = tracked()?;
    let mut broken = Vec::new();
    for file in &files {
        let path = file.to_string_lossy();
        check_markers(file, &mut broken);
        if path.ends_with(".rs") {
            let text = std::fs::read_to_string(root().join(file))?;
            check_rust(file, &text, &mut broken);
        } else if path.ends_with("Cargo.toml") && path != "Cargo.toml" {
            let text = std::fs::read_to_string(root().join(file))?;
            check_manifest(&path, &text, &mut broken);
            check_direction(&path, &text, &mut broken);
        }
    }
    check_weight(&mut broken)?;
    if !broken.is_empty() {
        bail!("house rules are broken:\n  {}", broken.join("\n  "));
    }
    println!("   {} files keep them", files.len());
    Ok(())
}

/// What a merge leaves where somebody has to decide.
fn check_markers(file: &Path, broken: &mut Vec<String>) {
    // What is no text has no markers.
    let text = std::fs::read_to_string(root().join(file)).unwrap_or_default();
    if let Some(line) = merge::marker(&text) {
        broken.push(format!("{}:{line}: a merge's markers are still in it", file.display()));
    }
}

/// Every file that git knows or would add.
fn tracked() -> Result<Vec<PathBuf>> {
    let list = ["ls-files", "--cached", "--others", "--exclude-standard"];
    let output = program("git").args(list).output()?;
    let names = String::from_utf8(output.stdout)?;
    Ok(names.lines().map(PathBuf::from).filter(|file| root().join(file).exists()).collect())
}

fn check_rust(file: &Path, text: &str, broken: &mut Vec<String>) {
    let path = file.display();
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    if stem == "mod" {
        broken.push(format!("{path}: write foo.rs beside foo/, not foo/mod.rs"));
    }
    if NAMELESS.iter().any(|name| stem == *name) {
        broken.push(format!("{path}: the name does not say what is in it"));
    }
    if !text.trim_start().starts_with("//!") && !stem.ends_with("tests") {
        broken.push(format!("{path}: does not say in its first line what it is for"));
    }
    if is_test(file) {
        return;
    }
    let product = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or(text);
    let lines = product.lines().count();
    if lines > MAX_LINES {
        broken.push(format!("{path}: {lines} lines; at most {MAX_LINES}, tests not counted"));
    }
    for (name, lines) in functions(product).filter(|(_, lines)| *lines > MAX_FUNCTION_LINES) {
        broken.push(format!("{path}: {name} has {lines} lines; at most {MAX_FUNCTION_LINES}"));
    }
}

fn is_test(file: &Path) -> bool {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    stem.ends_with("tests")
        || file.starts_with("tests/it")
        || file.components().any(|part| part.as_os_str() == "tests" && !file.starts_with("tests"))
}

/// Functions with their length, as rustfmt lays them out: the closing brace stands under the head.
fn functions(text: &str) -> impl Iterator<Item = (&str, usize)> {
    let lines = text.lines().collect::<Vec<_>>();
    let starts = (0..lines.len()).filter_map({
        let lines = lines.clone();
        move |at| Some((at, function_name(lines[at])?, indentation(lines[at])))
    });
    let starts = starts.collect::<Vec<_>>();
    starts.into_iter().filter_map(move |(at, name, indent)| {
        let closing = format!("{}}}", " ".repeat(indent));
        let length = lines[at..].iter().position(|line| *line == closing)?;
        Some((name, length + 1))
    })
}

fn function_name(line: &str) -> Option<&str> {
    let (head, rest) = line.split_once("fn ")?;
    let is_head = head
        .split_whitespace()
        .all(|word| ["async", "const", "unsafe"].contains(&word) || word.starts_with("pub"));
    let name = rest.split(['(', '<']).next()?;
    (is_head && !line.trim_end().ends_with(';')).then_some(name)
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

fn check_manifest(path: &str, text: &str, broken: &mut Vec<String>) {
    if !text.contains("[lints]\nworkspace = true") {
        broken.push(format!("{path}: does not inherit the workspace's lints"));
    }
    let mut section = "";
    for line in text.lines() {
        if line.starts_with('[') {
            section = line;
        }
        let on_itself = line.contains("path = \".\"");
        let declares = section.contains("dependencies") && line.contains('=') && !on_itself;
        if declares && !line.contains("workspace = true") && !line.contains("workspace=true") {
            broken.push(format!("{path}: {line}: versions live in the workspace's manifest"));
        }
    }
}

/// Dependencies point one way: services know the core, the core knows no service, and xtask builds all
/// of them and so needs none. The bundle is made of services.
fn check_direction(path: &str, text: &str, broken: &mut Vec<String>) {
    let ours = |line: &str| {
        let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
        name == "plugin-core" || root().join("services").join(name).is_dir() && !name.is_empty()
    };
    let allowed = |name: &str| match path.split('/').next() {
        Some("services") if path.starts_with("services/bundle/") => true,
        Some("services") => name.starts_with("plugin-core"),
        Some("plugin-core") => name.starts_with("plugin-core = { path = \".\""),
        Some("xtask") => false,
        _ => true,
    };
    let package = |line: &&str| !line.starts_with("name") && ours(line);
    for line in text.lines().filter(package).filter(|line| !allowed(line)) {
        broken.push(format!("{path}: {line}: must not depend on this"));
    }
}

/// What everybody who runs `cargo xtask` waits for must not grow unnoticed.
fn check_weight(broken: &mut Vec<String>) -> Result<()> {
    let tree = ["tree", "--package", "xtask", "--edges", "normal,build", "--prefix", "none"];
    let output = cargo(&tree).args(["--format", "{p}", "--locked"]).output()?;
    let tree = String::from_utf8(output.stdout)?;
    let words = |line: &'_ str| line.split(' ').take(2).collect::<Vec<_>>().join(" ");
    let crates = tree.lines().map(words).filter(|line| !line.is_empty()).collect::<BTreeSet<_>>();
    if !output.status.success() || crates.len() > MAX_CRATES {
        let count = crates.len();
        broken.push(format!("xtask/Cargo.toml: {count} crates to build; at most {MAX_CRATES}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_measured() {
        let text = "impl X {\n    pub(crate) async fn long(\n        a: u8,\n    ) {\n        b();\n    }\n\n    fn declared();\n}\nfn short() {\n}\n";
        assert_eq!(functions(text).collect::<Vec<_>>(), [("long", 5), ("short", 2)]);
    }

    #[test]
    fn broken_rules_are_named() {
        let mut broken = Vec::new();
        check_rust(Path::new("a/src/utils.rs"), "fn x() {}\n", &mut broken);
        check_rust(Path::new("a/src/mod.rs"), &"//! x\n".repeat(500), &mut broken);
        check_manifest("a/Cargo.toml", "[dependencies]\nserde = \"1\"\n", &mut broken);
        assert_eq!(broken.len(), 6, "{broken:#?}");
        check_direction("services/x/Cargo.toml", "plugin-core.workspace = true\n", &mut broken);
        check_direction("services/bundle/Cargo.toml", "bigquery.workspace = true\n", &mut broken);
        assert_eq!(broken.len(), 6, "{broken:#?}");
        check_direction("services/x/Cargo.toml", "bigquery.workspace = true\n", &mut broken);
        check_direction("plugin-core/Cargo.toml", "bigquery.workspace = true\n", &mut broken);
        check_direction("xtask/Cargo.toml", "plugin-core.workspace = true\n", &mut broken);
        assert_eq!(broken.len(), 9, "{broken:#?}");
    }
}
