//! What is read from a page: its title, its anchors, its links and where they are.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

/// A page of Markdown.
#[derive(Debug, Default)]
pub(crate) struct Markdown {
    pub(crate) text: String,
    /// The text of its first heading.
    pub(crate) title: String,
    /// What `#…` may name: the ids that GitHub gives to headings.
    pub(crate) anchors: BTreeSet<String>,
    pub(crate) links: Vec<Link>,
}

/// A link or an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    /// Where it goes, as it is written.
    pub(crate) to: String,
    /// What is shown.
    pub(crate) label: String,
    /// The bytes of the page from `[` to `)`, or of an HTML element.
    pub(crate) range: Range<usize>,
    /// The heading above it, of level two.
    pub(crate) section: String,
    /// Whether it is written in HTML.
    pub(crate) is_html: bool,
}

impl Markdown {
    pub(crate) fn read(text: String) -> Self {
        let mut reader = Reader::default();
        let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
        for (event, range) in Parser::new_ext(&text, options).into_offset_iter() {
            reader.take(event, range);
        }
        let Reader { mut page, .. } = reader;
        page.text = text;
        page
    }

    /// The number of the line in which `link` begins.
    pub(crate) fn line(&self, link: &Link) -> usize {
        self.text[..link.range.start].matches('\n').count() + 1
    }
}

#[derive(Default)]
struct Reader {
    page: Markdown,
    section: String,
    /// The text of the heading that is being read, and its level.
    heading: Option<(HeadingLevel, String)>,
    /// Links that are being read: an image may be within a link.
    open: Vec<Link>,
    /// How often an id was given.
    ids: BTreeMap<String, usize>,
}

impl Reader {
    fn take(&mut self, event: Event<'_>, range: Range<usize>) {
        match event {
            Event::Start(Tag::Heading { level, .. }) => self.heading = Some((level, String::new())),
            Event::End(TagEnd::Heading(_)) => self.end_heading(),
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                self.open.push(self.link(&dest_url, range, false));
            }
            Event::End(TagEnd::Link | TagEnd::Image) => self.page.links.extend(self.open.pop()),
            Event::Text(text) | Event::Code(text) => self.add(&text),
            Event::Html(html) | Event::InlineHtml(html) => {
                let links = attributes(&html).map(|to| self.link(to, range.clone(), true));
                let links = links.collect::<Vec<_>>();
                self.page.links.extend(links);
            }
            _ => {}
        }
    }

    fn link(&self, to: &str, range: Range<usize>, is_html: bool) -> Link {
        let section = self.section.clone();
        Link { to: to.to_owned(), label: String::new(), range, section, is_html }
    }

    fn add(&mut self, text: &str) {
        if let Some((_, heading)) = &mut self.heading {
            *heading += text;
        }
        for link in &mut self.open {
            link.label += text;
        }
    }

    fn end_heading(&mut self) {
        let Some((level, text)) = self.heading.take() else { return };
        let id = anchor(&text);
        let times = self.ids.entry(id.clone()).or_default();
        let unique = if *times == 0 { id } else { format!("{id}-{times}") };
        *times += 1;
        self.page.anchors.insert(unique);
        if level == HeadingLevel::H2 {
            self.section.clone_from(&text);
        }
        if self.page.title.is_empty() {
            self.page.title = text;
        }
    }
}

/// The id of a heading on GitHub, which mdBook's equals: lower case, hyphens for spaces, no punctuation.
fn anchor(heading: &str) -> String {
    let legal = |c: &char| c.is_alphanumeric() || " -_".contains(*c);
    heading.to_lowercase().chars().filter(legal).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// The addresses in an element of HTML.
pub(crate) fn attributes(html: &str) -> impl Iterator<Item = &str> {
    ["href=\"", "src=\"", "srcset=\""].into_iter().flat_map(move |name| {
        let starts = html.match_indices(name);
        // `srcset` does not end with `src="`, but `data-href` with `href="`.
        let starts = starts.filter(|(at, _)| html[..*at].ends_with(char::is_whitespace));
        starts.filter_map(move |(at, _)| html[at + name.len()..].split('"').next())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_have_their_section_label_and_place() {
        let text = "# A\n\n## First `x`\n\n[one](a.md#b) and ![two](c.svg)\n\n```\n[no](x.md)\n```\n\n`[no](y.md)`\n";
        let page = Markdown::read(text.to_owned());
        assert_eq!(page.title, "A");
        let found = page.links.iter().map(|link| (link.to.as_str(), link.label.as_str()));
        assert_eq!(found.collect::<Vec<_>>(), [("a.md#b", "one"), ("c.svg", "two")]);
        assert_eq!(page.links[0].section, "First x");
        assert_eq!(&text[page.links[0].range.clone()], "[one](a.md#b)");
        assert_eq!(page.line(&page.links[0]), 5);
    }

    #[test]
    fn addresses_in_html_are_links() {
        let html = "<p>\n<picture><source srcset=\"dark.svg\"><img src=\"a.svg\" data-href=\"no\"></picture>\n</p>\n";
        let page = Markdown::read(html.to_owned());
        let found = page.links.iter().map(|link| link.to.as_str()).collect::<Vec<_>>();
        assert_eq!(found, ["a.svg", "dark.svg"]);
    }

    #[test]
    fn anchors_are_githubs() {
        let page = Markdown::read("# Flyte's `x`, y\n## Same\n## Same\n".to_owned());
        assert_eq!(Vec::from_iter(page.anchors), ["flytes-x-y", "same", "same-1"]);
    }
}
