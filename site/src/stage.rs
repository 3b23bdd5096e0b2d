//! The pages as mdBook reads them, in the repository's folders: a README is its folder's `index.md`.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context as _, Result};

use crate::{
    contents::Contents,
    markdown::{Link, Markdown},
    pages::{Pages, Target, staged},
};

/// mdBook's configuration.
const BOOK: &str = include_str!("../book.toml");
const STYLE: &str = include_str!("../site.css");
/// The product's icon.
const ICON: &str = "docs/icon.svg";

/// Writes the site's pages, the files that they show or link to, and the contents; returns what to report.
///
/// # Errors
/// If a link is broken or a file cannot be written.
pub(crate) fn write(
    pages: &Pages,
    contents: &Contents,
    directory: &Path,
    repository: &str,
) -> Result<String> {
    if directory.exists() {
        fs::remove_dir_all(directory).with_context(|| directory.display().to_string())?;
    }
    let mut files = BTreeSet::new();
    for path in contents.pages() {
        let page = pages.get(path).with_context(|| format!("there is no {path}"))?;
        let text = rewritten(pages, contents, path, page, repository, &mut files)?;
        save(&directory.join("src").join(staged(path)), text.as_bytes())?;
    }
    for file in &files {
        let content = fs::read(pages.root.join(file)).with_context(|| file.clone())?;
        save(&directory.join("src").join(file), &content)?;
    }
    save(&directory.join("src/SUMMARY.md"), contents.summary().as_bytes())?;
    save(&directory.join("book.toml"), configuration(repository).as_bytes())?;
    save(&directory.join("site.css"), STYLE.as_bytes())?;
    let icon = fs::read(pages.root.join(ICON)).context(ICON)?;
    save(&directory.join("theme/favicon.svg"), &icon)?;
    Ok(format!("{} pages and {} files staged", contents.pages().count(), files.len()))
}

fn configuration(repository: &str) -> String {
    if repository.is_empty() {
        return BOOK.to_owned();
    }
    BOOK.replace(
        "[output.html]\n",
        &format!("[output.html]\ngit-repository-url = \"{repository}\"\n"),
    )
}

fn save(path: &Path, content: &[u8]) -> Result<()> {
    let parent = path.parent().context("a file has a folder")?;
    fs::create_dir_all(parent).with_context(|| parent.display().to_string())?;
    fs::write(path, content).with_context(|| path.display().to_string())
}

/// The text of `page`, whose links go to the site's pages; adds the files that it needs to `files`.
fn rewritten(
    pages: &Pages,
    contents: &Contents,
    path: &str,
    page: &Markdown,
    repository: &str,
    files: &mut BTreeSet<String>,
) -> Result<String> {
    let mut text = page.text.clone();
    // From the end, so that the earlier ranges stay true.
    for link in page.links.iter().rev() {
        let target =
            pages.target(path, &link.to).with_context(|| format!("{path}: {}", link.to))?;
        let to = match target {
            Target::External => continue,
            Target::File(file) => {
                files.insert(file);
                continue;
            }
            Target::Page(page, anchor) if contents.has(&page) => {
                Some(relative(path, &staged(&page), anchor.as_deref()))
            }
            Target::Directory(directory) if pages.in_directory(&directory).next().is_some() => {
                list(&mut text, link, pages, path, &directory);
                continue;
            }
            Target::Page(place, _) | Target::Directory(place) => {
                (!repository.is_empty()).then(|| format!("{repository}/blob/HEAD/{place}"))
            }
        };
        replace(&mut text, link, to.as_deref());
    }
    Ok(text)
}

/// Replaces the link to a directory by links to its pages, which a site cannot list.
fn list(text: &mut String, link: &Link, pages: &Pages, from: &str, directory: &str) {
    let links = pages
        .in_directory(directory)
        .map(|(path, page)| format!("[{}]({})", page.title, relative(from, &staged(path), None)));
    let links = links.collect::<Vec<_>>().join(", ");
    text.replace_range(link.range.clone(), &format!("{} ({links})", link.label));
}

/// Points `link` to `to`, or leaves its label alone.
fn replace(text: &mut String, link: &Link, to: Option<&str>) {
    let written = &text[link.range.clone()];
    let new = match to {
        Some(to) if link.is_html => {
            written.replace(&format!("\"{}\"", link.to), &format!("\"{to}\""))
        }
        Some(to) => written.replacen(&format!("]({}", link.to), &format!("]({to}"), 1),
        None if link.is_html => return,
        None => written.trim_start_matches('[').split("](").next().unwrap_or_default().to_owned(),
    };
    text.replace_range(link.range.clone(), &new);
}

/// The path from the page `from` to `to`, with `anchor`.
fn relative(from: &str, to: &str, anchor: Option<&str>) -> String {
    let (from, to) = (from.split('/').collect::<Vec<_>>(), to.split('/').collect::<Vec<_>>());
    let folders = from.len() - 1;
    let shared =
        from.iter().zip(&to).take(folders.min(to.len() - 1)).take_while(|(a, b)| a == b).count();
    let up = vec![".."; folders - shared];
    let path = [up.as_slice(), &to[shared..]].concat().join("/");
    anchor.map_or_else(|| path.clone(), |anchor| format!("{path}#{anchor}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(repository: &str) -> (String, BTreeSet<String>) {
        let text = "# A\n[r](../README.md#x) ![i](a.svg) [d](values) <img src=\"b.svg\">\n[s](../services/a) `[r](../README.md)`\n## B\n[x](x.md)\n[each](plugins)\n";
        let pages = Pages::of_texts(&[
            ("README.md", "# x\n"),
            ("docs/README.md", text),
            ("docs/x.md", "# X\n"),
            ("docs/a.svg", ""),
            ("docs/b.svg", ""),
            ("docs/values/a.yaml", ""),
            ("docs/plugins/a.md", "# Acme\n"),
            ("docs/plugins/b.md", "# Bcme\n"),
            ("services/a/README.md", "# a\n"),
        ]);
        let contents = Contents::of(&pages).unwrap();
        let page = pages.get("docs/README.md").unwrap();
        let mut files = BTreeSet::new();
        let text = rewritten(&pages, &contents, "docs/README.md", page, repository, &mut files);
        (text.unwrap(), files)
    }

    #[test]
    fn links_go_to_the_sites_pages() {
        let (text, files) = page("");
        assert_eq!(
            text,
            "# A\n[r](../index.md#x) ![i](a.svg) d <img src=\"b.svg\">\n[s](../services/a/index.md) `[r](../README.md)`\n## B\n[x](x.md)\neach ([Acme](plugins/a.md), [Bcme](plugins/b.md))\n"
        );
        assert_eq!(Vec::from_iter(files), ["docs/a.svg", "docs/b.svg"]);
    }

    #[test]
    fn directories_are_shown_where_the_sources_are_published() {
        let (text, _) = page("https://git.example.com/acme/outrigger");
        assert!(
            text.contains("[d](https://git.example.com/acme/outrigger/blob/HEAD/docs/values)"),
            "{text}"
        );
    }
}
