//! The check of the site as mdBook wrote it: every link has its page, every `#…` its element, and search finds
//! every page.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Component, Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use crate::markdown::attributes;

/// Pages of mdBook's own: the first is shown at any address, the second in a frame.
const NOT_CHECKED: [&str; 2] = ["404.html", "toc.html"];

/// Checks the site in `directory`; returns what to report.
///
/// # Errors
/// Lists every broken link.
pub(crate) fn check(directory: &Path) -> Result<String> {
    let mut pages = BTreeMap::new();
    read(directory, directory, &mut pages)?;
    let ids = pages.iter().map(|(path, text)| (path.clone(), ids(text))).collect();
    let mut broken = Vec::new();
    let mut links = 0;
    for (path, text) in &pages {
        for link in attributes(text).filter(|link| is_of_the_site(link)) {
            links += 1;
            if let Some(why) = wrong(directory, &ids, path, link) {
                broken.push(format!("{}: {link}: {why}", path.display()));
            }
        }
    }
    if pages.is_empty() {
        bail!("{} has no pages", directory.display());
    }
    let index = search_index(directory)?;
    let not_found = |page: &&PathBuf| !index.contains(&format!("\"{}", page.display()));
    let not_found = pages.keys().filter(not_found);
    broken.extend(not_found.map(|page| format!("{}: search does not find it", page.display())));
    if !broken.is_empty() {
        bail!("the site is broken:\n  {}", broken.join("\n  "));
    }
    Ok(format!("{} rendered pages, {links} links", pages.len()))
}

/// Reads the pages below `folder`, by their path from `root`.
fn read(root: &Path, folder: &Path, pages: &mut BTreeMap<PathBuf, String>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            read(root, &path, pages)?;
        } else if name.ends_with(".html") && !NOT_CHECKED.contains(&name.as_ref()) {
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            pages.insert(path.strip_prefix(root)?.to_owned(), text);
        }
    }
    Ok(())
}

/// The index that the site's search loads, in which pages are named by their address.
fn search_index(directory: &Path) -> Result<String> {
    let mut names = fs::read_dir(directory)?.filter_map(|entry| Some(entry.ok()?.path()));
    let is_index = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("searchindex") && name.ends_with(".js")
    };
    let index = names.find(is_index).context("the site has no search index")?;
    fs::read_to_string(&index).with_context(|| index.display().to_string())
}

fn ids(text: &str) -> BTreeSet<String> {
    let starts = text.match_indices(" id=\"").map(|(at, name)| at + name.len());
    starts.filter_map(|at| text[at..].split('"').next()).map(str::to_owned).collect()
}

fn is_of_the_site(link: &str) -> bool {
    !link.contains("://") && !link.starts_with("data:") && !link.starts_with("mailto:")
}

/// Why `link` on `page` is broken.
fn wrong(
    directory: &Path,
    ids: &BTreeMap<PathBuf, BTreeSet<String>>,
    page: &Path,
    link: &str,
) -> Option<String> {
    let link = link.replace("&amp;", "&");
    let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
    let path = path.split('?').next().unwrap_or_default();
    let target = if path.is_empty() { page.to_owned() } else { joined(page, path)? };
    if !directory.join(&target).is_file() {
        return Some(format!("there is no {}", target.display()));
    }
    let known = ids.get(&target);
    let is_there = anchor.is_empty() || known.is_none_or(|ids| ids.contains(anchor));
    (!is_there).then(|| format!("{} has no #{anchor}", target.display()))
}

/// `path` from the folder of `page`, without `..`.
fn joined(page: &Path, path: &str) -> Option<PathBuf> {
    let mut joined = page.parent()?.to_owned();
    for part in Path::new(path).components() {
        match part {
            Component::ParentDir => drop(joined.pop()),
            Component::Normal(part) => joined.push(part),
            Component::CurDir | Component::Prefix(_) | Component::RootDir => {}
        }
    }
    Some(joined)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(link: &str) -> Result<String> {
        site_in_which_search_finds("docs/x.html", link)
    }

    fn site_in_which_search_finds(found: &str, link: &str) -> Result<String> {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path().join("docs")).unwrap();
        let front = format!("<h1 id=\"top\">x</h1><a href=\"{link}\">x</a> <img src=\"a.svg\">");
        fs::write(directory.path().join("index.html"), front).unwrap();
        fs::write(directory.path().join("a.svg"), "").unwrap();
        let index = format!("{{\"doc_urls\":[\"index.html#top\",\"{found}#x\"]}}");
        fs::write(directory.path().join("searchindex-0.js"), index).unwrap();
        fs::write(
            directory.path().join("docs/x.html"),
            "<h1 id=\"x\"><a href=\"../index.html#top\">",
        )
        .unwrap();
        check(directory.path())
    }

    #[test]
    fn links_to_pages_and_headings_are_followed() {
        for link in ["docs/x.html#x", "#top", "./docs/x.html?a=1", "https://flyte.org"] {
            assert!(site(link).is_ok(), "{link}");
        }
        for (link, why) in [
            ("docs/y.html", "docs/y.html: there is no docs/y.html"),
            ("docs/x.html#y", "docs/x.html#y: docs/x.html has no #y"),
            ("#bottom", "#bottom: index.html has no #bottom"),
        ] {
            let error = site(link).unwrap_err().to_string();
            assert!(error.ends_with(why), "{error}");
        }
    }

    #[test]
    fn search_finds_every_page() {
        let error = site_in_which_search_finds("docs/y.html", "#top").unwrap_err().to_string();
        assert!(error.ends_with("docs/x.html: search does not find it"), "{error}");
    }

    #[test]
    fn a_site_without_pages_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        assert!(check(directory.path()).is_err());
    }
}
