//! The repository's files, its pages, and where their links go.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::markdown::Markdown;

/// Pages of the template: their links are right where they are rendered.
const TEMPLATES: [&str; 2] = ["template/", ".scaffold/"];

/// Every file that git tracks or would add, and the text of those that are pages.
#[derive(Debug, Default)]
pub(crate) struct Pages {
    pub(crate) root: PathBuf,
    files: BTreeSet<String>,
    pages: BTreeMap<String, Markdown>,
}

/// Where a link goes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A page, by its path in the repository, and an anchor in it.
    Page(String, Option<String>),
    /// Another file, by its path.
    File(String),
    /// A directory without a page of its own, by its path.
    Directory(String),
    /// Another site.
    External,
}

impl Pages {
    /// Reads the repository at `root`.
    ///
    /// # Errors
    /// Without git, or if a page cannot be read.
    pub(crate) fn of_repository(root: &Path) -> Result<Self> {
        let list = ["ls-files", "--cached", "--others", "--exclude-standard"];
        let output = Command::new("git").args(list).current_dir(root).output();
        let output = output.context("cannot run git")?;
        if !output.status.success() {
            bail!("git ls-files: {}", String::from_utf8_lossy(&output.stderr));
        }
        let names = String::from_utf8(output.stdout)?;
        let files = names.lines().filter(|file| root.join(file).is_file()).map(str::to_owned);
        let mut all = Self { root: root.to_owned(), files: files.collect(), ..Self::default() };
        for file in all.files.iter().filter(|file| is_page(file)) {
            let text = std::fs::read_to_string(root.join(file)).with_context(|| file.clone())?;
            all.pages.insert(file.clone(), Markdown::read(text));
        }
        Ok(all)
    }

    /// Every page, by its path.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Markdown)> {
        self.pages.iter().map(|(path, page)| (path.as_str(), page))
    }

    /// The page at `path`.
    pub(crate) fn get(&self, path: &str) -> Option<&Markdown> {
        self.pages.get(path)
    }

    /// Where `link` on the page `from` goes.
    ///
    /// # Errors
    /// If there is nothing.
    pub(crate) fn target(&self, from: &str, link: &str) -> Result<Target> {
        if link.contains(':') {
            return external(link);
        }
        let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
        let path = if path.is_empty() { from.to_owned() } else { joined(from, path)? };
        let anchor = (!anchor.is_empty()).then(|| anchor.to_owned());
        let readme = format!("{path}/README.md").trim_start_matches('/').to_owned();
        let page = [path.clone(), readme].into_iter().find(|page| self.pages.contains_key(page));
        match page {
            Some(page) => {
                self.check_anchor(&page, anchor.as_deref())?;
                Ok(Target::Page(page, anchor))
            }
            None if self.files.contains(&path) => Ok(Target::File(path)),
            None if self.is_directory(&path) => Ok(Target::Directory(path)),
            None => bail!("there is no {path}"),
        }
    }

    /// The pages in a directory, without those in directories below it.
    pub(crate) fn in_directory(&self, directory: &str) -> impl Iterator<Item = (&str, &Markdown)> {
        let inside = format!("{directory}/");
        self.iter().filter(move |(path, _)| {
            path.strip_prefix(&inside).is_some_and(|name| !name.contains('/'))
        })
    }

    fn check_anchor(&self, page: &str, anchor: Option<&str>) -> Result<()> {
        let anchors = self.get(page).map(|page| &page.anchors);
        match anchor {
            Some(anchor) if !anchors.is_some_and(|anchors| anchors.contains(anchor)) => {
                bail!("{page} has no heading #{anchor}")
            }
            _ => Ok(()),
        }
    }

    fn is_directory(&self, path: &str) -> bool {
        let inside = format!("{path}/");
        self.files.range(inside.clone()..).next().is_some_and(|file| file.starts_with(&inside))
    }

    #[cfg(test)]
    pub(crate) fn of_texts(texts: &[(&str, &str)]) -> Self {
        let files = texts.iter().map(|(path, _)| (*path).to_owned()).collect();
        let pages = texts.iter().filter(|(path, _)| is_page(path));
        let pages =
            pages.map(|(path, text)| ((*path).to_owned(), Markdown::read((*text).to_owned())));
        Self { root: PathBuf::new(), files, pages: pages.collect() }
    }
}

fn is_page(file: &str) -> bool {
    file.ends_with(".md") && !TEMPLATES.iter().any(|template| file.contains(template))
}

/// Where the page at `path` is on the site.
pub(crate) fn staged(path: &str) -> String {
    match path.strip_suffix("README.md") {
        Some(folder) => format!("{folder}index.md"),
        None => path.to_owned(),
    }
}

/// `path`, relative to the directory of the page `from`, without `..`.
fn joined(from: &str, path: &str) -> Result<String> {
    let mut parts = from.split('/').collect::<Vec<_>>();
    parts.pop();
    for part in path.trim_end_matches('/').split('/') {
        match part {
            "." => {}
            ".." if parts.pop().is_none() => bail!("{path} leaves the repository"),
            ".." => {}
            "" => bail!("{path} is not relative"),
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

/// Checks the form of an address outside the repository. Whether it answers is not checked: that depends on the day.
fn external(link: &str) -> Result<Target> {
    let host = link.strip_prefix("https://").or_else(|| link.strip_prefix("http://"));
    let host = host.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    let is_legal = |c: char| c.is_ascii_alphanumeric() || ".-:".contains(c);
    let is_host = |host: &str| {
        host.chars().all(is_legal) && (host.contains('.') || host.starts_with("localhost"))
    };
    let ends_well = !link.ends_with(['.', ',', ';']) && !link.contains(char::is_whitespace);
    match host {
        Some(host) if is_host(host) && ends_well => Ok(Target::External),
        _ => bail!("not a relative path, and not https://HOST/PATH"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages() -> Pages {
        Pages::of_texts(&[
            ("README.md", "# A\n## B c\n"),
            ("docs/x.md", "# X\n"),
            ("charts/a/README.md", "# Chart\n"),
            ("docs/values/1.yaml", ""),
            ("LICENSE", ""),
            ("template/y.md", "# <[ name ]>\n"),
        ])
    }

    #[test]
    fn links_are_followed_through_directories() {
        let pages = pages();
        let page = |path: &str, anchor: Option<&str>| {
            Target::Page(path.to_owned(), anchor.map(str::to_owned))
        };
        for (from, link, target) in [
            ("README.md", "docs/x.md", page("docs/x.md", None)),
            ("docs/x.md", "../README.md#b-c", page("README.md", Some("b-c"))),
            ("README.md", "#b-c", page("README.md", Some("b-c"))),
            ("docs/x.md", "../charts/a/", page("charts/a/README.md", None)),
            ("docs/x.md", "values", Target::Directory("docs/values".to_owned())),
            ("docs/x.md", "../LICENSE", Target::File("LICENSE".to_owned())),
            ("docs/x.md", "https://flyte.org/a?b#c", Target::External),
        ] {
            assert_eq!(pages.target(from, link).unwrap(), target, "{link}");
        }
    }

    #[test]
    fn broken_links_say_what_is_missing() {
        let pages = pages();
        for (from, link, message) in [
            ("README.md", "docs/y.md", "there is no docs/y.md"),
            ("README.md", "docs/x.md#z", "docs/x.md has no heading #z"),
            ("docs/x.md", "../../y", "../../y leaves the repository"),
            ("docs/x.md", "/LICENSE", "/LICENSE is not relative"),
            ("docs/x.md", "https://flyte", "not a relative path, and not https://HOST/PATH"),
            ("docs/x.md", "https://flyte.org.", "not a relative path, and not https://HOST/PATH"),
        ] {
            assert_eq!(pages.target(from, link).unwrap_err().to_string(), message, "{link}");
        }
    }
}
