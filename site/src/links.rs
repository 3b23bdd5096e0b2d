//! The check of the repository's pages as they are, on GitHub and in an editor.

use anyhow::{Result, bail};

use crate::{contents::Contents, pages::Pages};

/// Checks every link of every page, and that the contents name every page of `docs/`; returns what to report.
///
/// # Errors
/// Lists every broken link and every page that is missing in the contents.
pub(crate) fn check(pages: &Pages, contents: &Contents) -> Result<String> {
    let mut broken = Vec::new();
    let mut links = 0;
    for (path, page) in pages.iter() {
        links += page.links.len();
        for link in &page.links {
            if let Err(error) = pages.target(path, &link.to) {
                broken.push(format!("{path}:{}: {}: {error}", page.line(link), link.to));
            }
        }
    }
    let docs = pages.iter().map(|(path, _)| path).filter(|path| path.starts_with("docs/"));
    let missing = docs.filter(|path| !contents.is_listed(path));
    broken.extend(
        missing.map(|path| format!("{path}: not in docs/README.md, the contents of the site")),
    );
    if !broken.is_empty() {
        bail!("links are broken:\n  {}", broken.join("\n  "));
    }
    Ok(format!("{} pages, {links} links", pages.iter().count()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_links_and_unlisted_pages_are_reported() {
        let pages = Pages::of_texts(&[
            ("README.md", "# Front\n\n[x](docs/gone.md)\n[new](docs/new.md)\n"),
            ("docs/README.md", "# All\n## Start\n[a](a.md)\n"),
            ("docs/a.md", "# A\n"),
            ("docs/new.md", "# New\n"),
        ]);
        let error = check(&pages, &Contents::of(&pages).unwrap()).unwrap_err().to_string();
        let lines = error.lines().skip(1).map(str::trim).collect::<Vec<_>>();
        assert_eq!(
            lines,
            [
                "README.md:3: docs/gone.md: there is no docs/gone.md",
                "docs/new.md: not in docs/README.md, the contents of the site",
            ]
        );
    }
}
