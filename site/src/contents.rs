//! The site's table of contents: sections and links of `docs/README.md`, the plugins, and what those pages
//! link to.

use std::{collections::BTreeSet, fmt::Write as _};

use anyhow::{Context as _, Result};

use crate::{
    markdown::Link,
    pages::{Pages, Target, staged},
};

/// The front page, and the page whose links are the contents.
const FRONT: &str = "README.md";
const INDEX: &str = "docs/README.md";
/// Where each plugin has a page. No list names them: a new plugin edits no file that exists.
const PLUGINS: &str = "docs/plugins";
/// The last section: pages of the site that the index does not name.
const MORE: &str = "More";

/// The pages of the site, in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Contents {
    sections: Vec<Section>,
}

#[derive(Debug, PartialEq, Eq)]
struct Section {
    title: String,
    entries: Vec<Entry>,
}

#[derive(Debug, PartialEq, Eq)]
struct Entry {
    title: String,
    page: String,
    /// How deep it is below the pages of its section.
    depth: usize,
}

impl Contents {
    /// The contents of the site of `pages`.
    ///
    /// # Errors
    /// Without `docs/README.md`, or if its links are broken.
    pub(crate) fn of(pages: &Pages) -> Result<Self> {
        let mut contents = Self::default();
        let index = pages.get(INDEX).with_context(|| format!("there is no {INDEX}"))?;
        for link in index.links.iter().filter(|link| !link.section.is_empty()) {
            contents.add_link(pages, link)?;
        }
        let linked = contents.reached(pages);
        let rest = linked.iter().map(|page| entry(pages, page, 0)).collect::<Vec<_>>();
        contents.section(MORE).extend(rest);
        contents.sections.retain(|section| !section.entries.is_empty());
        Ok(contents)
    }

    fn add_link(&mut self, pages: &Pages, link: &Link) -> Result<()> {
        let target =
            pages.target(INDEX, &link.to).with_context(|| format!("{INDEX}: {}", link.to))?;
        match target {
            Target::Directory(directory) if directory == PLUGINS => {
                let entries = plugins(pages);
                self.section(&link.section).extend(entries);
            }
            Target::Page(page, _) if !self.has(&page) && page != INDEX => {
                let title = link.label.clone();
                self.section(&link.section).push(Entry { title, page, depth: 0 });
            }
            _ => {}
        }
        Ok(())
    }

    fn section(&mut self, title: &str) -> &mut Vec<Entry> {
        let at = self.sections.iter().position(|section| section.title == title);
        let at = at.unwrap_or_else(|| {
            self.sections.push(Section { title: title.to_owned(), entries: Vec::new() });
            self.sections.len() - 1
        });
        &mut self.sections[at].entries
    }

    /// Whether the site has `page`.
    pub(crate) fn has(&self, page: &str) -> bool {
        page == FRONT || page == INDEX || self.entries().any(|entry| entry.page == page)
    }

    /// Whether the index names `page`, or it is the index.
    pub(crate) fn is_listed(&self, page: &str) -> bool {
        let named = self.sections.iter().filter(|section| section.title != MORE);
        page == INDEX || named.flat_map(|section| &section.entries).any(|entry| entry.page == page)
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.sections.iter().flat_map(|section| &section.entries)
    }

    /// Every page of the site, by its path.
    pub(crate) fn pages(&self) -> impl Iterator<Item = &str> {
        [FRONT, INDEX].into_iter().chain(self.entries().map(|entry| entry.page.as_str()))
    }

    /// Pages that are not in the contents, and that a chain of links reaches from one that is.
    fn reached(&self, pages: &Pages) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut open = self.pages().map(str::to_owned).collect::<Vec<_>>();
        while let Some(from) = open.pop() {
            let links = pages.get(&from).into_iter().flat_map(|page| &page.links);
            for link in links {
                if let Ok(Target::Page(page, _)) = pages.target(&from, &link.to)
                    && !self.has(&page)
                    && found.insert(page.clone())
                {
                    open.push(page);
                }
            }
        }
        found
    }

    /// The contents as mdBook reads them: <https://rust-lang.github.io/mdBook/format/summary.html>.
    pub(crate) fn summary(&self) -> String {
        let mut text = format!(
            "# Summary\n\n[Outrigger]({})\n[All pages]({})\n",
            staged(FRONT),
            staged(INDEX)
        );
        for Section { title, entries } in &self.sections {
            let _ = write!(text, "\n# {title}\n\n");
            for Entry { title, page, depth } in entries {
                let _ = writeln!(text, "{:1$}- [{title}]({2})", "", depth * 2, staged(page));
            }
        }
        text
    }
}

fn entry(pages: &Pages, page: &str, depth: usize) -> Entry {
    let title = pages.get(page).map(|page| page.title.clone()).unwrap_or_default();
    Entry { title, page: page.to_owned(), depth }
}

/// The page of each plugin; below it, its author's page, that of its tasks and that of its chart.
fn plugins(pages: &Pages) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (path, _) in pages.in_directory(PLUGINS) {
        entries.push(entry(pages, path, 0));
        let name = path.rsplit('/').next().unwrap_or_default().trim_end_matches(".md");
        for (page, title) in [
            (format!("services/{name}/README.md"), "Settings and tasks"),
            (format!("plugins/{name}/README.md"), "Settings and tasks"),
            (format!("services/{name}/tasks/README.md"), "In workflows"),
            (format!("plugins/{name}/tasks/README.md"), "In workflows"),
            (format!("charts/{name}/README.md"), "Chart"),
        ] {
            if pages.get(&page).is_some() {
                entries.push(Entry { title: title.to_owned(), page, depth: 1 });
            }
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents() -> Contents {
        let pages = Pages::of_texts(&[
            ("README.md", "# Front\n"),
            (
                "docs/README.md",
                "# All\n[not listed](../LICENSE.md)\n## Start\n* [Operators](operate.md): how\n## Plugins\n[each](plugins)\n",
            ),
            ("LICENSE.md", "# Licence\n"),
            ("docs/operate.md", "# Operating\n[more](../tests/README.md)\n"),
            ("docs/plugins/acme.md", "# Acme\n"),
            ("services/acme/README.md", "# acme\n"),
            ("charts/acme/README.md", "# acme\n"),
            ("tests/README.md", "# Tests\n"),
            ("tests/other/README.md", "# Not linked\n"),
        ]);
        Contents::of(&pages).unwrap()
    }

    #[test]
    fn contents_follow_the_index_and_add_plugins_and_linked_pages() {
        assert_eq!(
            contents().summary(),
            "# Summary\n\n[Outrigger](index.md)\n[All pages](docs/index.md)\n\n\
             # Start\n\n- [Operators](docs/operate.md)\n\n\
             # Plugins\n\n- [Acme](docs/plugins/acme.md)\n  - [Settings and tasks](services/acme/index.md)\n  - [Chart](charts/acme/index.md)\n\n\
             # More\n\n- [Licence](LICENSE.md)\n- [Tests](tests/index.md)\n"
        );
    }

    #[test]
    fn pages_that_nothing_links_to_are_not_on_the_site() {
        assert!(!contents().has("tests/other/README.md"));
    }
}
