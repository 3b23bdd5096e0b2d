//! `cargo xtask badges`: the README's badges, drawn from facts of this repository. No service draws them, so
//! that none can be wrong, and a fork has its own.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, bail};
use toml_edit::{DocumentMut, Item};

use crate::{process::write, root};

/// Draws the README's badges from the facts that they state.
///
/// Licence, Rust version and the ban of unsafe code are from Cargo.toml; the versions of Flyte are those
/// whose own code the steps `interop-propeller` and `interop-flyte2` run.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Fail if a badge is out of date, and write nothing.
    #[arg(long)]
    check: bool,
}

const DIRECTORY: &str = "docs/badges";
/// Where the modules of Flyte are pinned.
const FLYTE_1: (&str, &str) =
    ("tests/interop/propeller/go.mod", "github.com/flyteorg/flyte/flytepropeller v");
const FLYTE_2: (&str, &str) = ("tests/interop/flyte2/go.mod", "github.com/flyteorg/flyte/v2 v");

/// A badge: a file's name, and what stands left and right.
#[derive(Debug, PartialEq, Eq)]
struct Badge {
    file: &'static str,
    name: &'static str,
    value: String,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    if args.check { check() } else { draw() }
}

/// Checks that every badge states what the repository has.
///
/// # Errors
/// Names the badges that are out of date.
pub(crate) fn check() -> Result<()> {
    let is_old = |badge: &Badge| {
        let drawn = std::fs::read_to_string(root().join(path(badge)));
        drawn.map_or(true, |drawn| drawn != svg(badge))
    };
    let old = badges()?.into_iter().filter(is_old).map(|badge| path(&badge)).collect::<Vec<_>>();
    if !old.is_empty() {
        bail!("{}: out of date; run `cargo xtask badges`", old.join(", "));
    }
    Ok(())
}

fn draw() -> Result<()> {
    for badge in badges()? {
        write(&root().join(path(&badge)), svg(&badge))?;
        println!("{}: {}", badge.name, badge.value);
    }
    Ok(())
}

fn path(badge: &Badge) -> String {
    format!("{DIRECTORY}/{}.svg", badge.file)
}

fn badges() -> Result<Vec<Badge>> {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml"))?;
    let manifest = manifest.parse::<DocumentMut>()?;
    let fact = |path: &[&str]| string(&manifest, path);
    let badge = |file, name, value| Badge { file, name, value };
    Ok(vec![
        badge("licence", "licence", fact(&["workspace", "package", "license"])?),
        badge("rust", "Rust", format!("{}+", fact(&["workspace", "package", "rust-version"])?)),
        badge("unsafe", "unsafe code", fact(&["workspace", "lints", "rust", "unsafe_code"])?),
        badge("flyte-1", "tested with Flyte", pinned(FLYTE_1)?),
        badge("flyte-2", "tested with Flyte", pinned(FLYTE_2)?),
    ])
}

fn string(manifest: &DocumentMut, path: &[&str]) -> Result<String> {
    let item = path.iter().try_fold(manifest.as_item(), |item, key| item.get(key));
    let text = item.and_then(Item::as_str).map(str::to_owned);
    text.with_context(|| format!("Cargo.toml has no {}", path.join(".")))
}

/// The version of a module in a go.mod.
fn pinned((file, module): (&str, &str)) -> Result<String> {
    let text = std::fs::read_to_string(root().join(file)).with_context(|| file.to_owned())?;
    let version = text.split(module).nth(1).and_then(|rest| rest.split_whitespace().next());
    version.map(str::to_owned).with_context(|| format!("{file} does not require {module}"))
}

/// The widths that letters take do not depend on the reader's fonts: `textLength` sets them.
fn svg(Badge { name, value, .. }: &Badge) -> String {
    let width = |text: &str| text.chars().count() * 7 + 12;
    let (left, right) = (width(name), width(value));
    let all = left + right;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{all}\" height=\"20\" role=\"img\" aria-label=\"{name}: {value}\">\n\
         <title>{name}: {value}</title>\n\
         <clipPath id=\"r\"><rect width=\"{all}\" height=\"20\" rx=\"4\"/></clipPath>\n\
         <g clip-path=\"url(#r)\"><rect width=\"{left}\" height=\"20\" fill=\"#4a5766\"/><rect x=\"{left}\" width=\"{right}\" height=\"20\" fill=\"#0b5c78\"/></g>\n\
         <g fill=\"#fff\" font-family=\"Verdana,DejaVu Sans,sans-serif\" font-size=\"11\">\n"
    );
    for (at, text) in [(6, name as &str), (left + 6, value)] {
        let length = text.chars().count() * 7;
        let _ = writeln!(svg, "<text x=\"{at}\" y=\"14\" textLength=\"{length}\">{text}</text>");
    }
    svg + "</g>\n</svg>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_the_repositorys() {
        let badges = badges().unwrap();
        let value =
            |file: &str| badges.iter().find(|badge| badge.file == file).unwrap().value.as_str();
        assert_eq!((value("licence"), value("unsafe")), ("Apache-2.0", "forbid"));
        assert!(
            value("flyte-1").starts_with("1.") && value("flyte-2").starts_with("2."),
            "{badges:?}"
        );
    }

    #[test]
    fn the_readme_shows_every_badge() {
        let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
        for badge in badges().unwrap() {
            assert!(readme.contains(&path(&badge)), "{}", path(&badge));
        }
        check().unwrap();
    }

    #[test]
    fn missing_fact_is_an_error() {
        let manifest = "[workspace]\n".parse::<DocumentMut>().unwrap();
        let error = string(&manifest, &["workspace", "package"]).unwrap_err();
        assert_eq!(error.to_string(), "Cargo.toml has no workspace.package");
    }
}
