//! What is wrong in a file, and where.

use std::fmt;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde_saphyr::{Error as YamlError, UserMessageFormatter};

use crate::located::Place;

/// The most mistakes that are printed.
const MOST: usize = 20;

/// One mistake.
#[derive(Debug, Clone)]
pub(crate) struct Mistake {
    pub(crate) message: String,
    pub(crate) place: Place,
    pub(crate) help: Option<String>,
}

impl Mistake {
    pub(crate) fn new(place: Place, message: impl Into<String>) -> Self {
        Self { message: message.into(), place, help: None }
    }

    pub(crate) fn help(mut self, help: impl Into<Option<String>>) -> Self {
        self.help = help.into();
        self
    }

    /// An unknown name: `what` it is, and the `known` ones, of which the nearest is proposed.
    pub(crate) fn unknown(place: Place, what: &str, name: &str, known: &[&str]) -> Self {
        let known = known.iter().copied();
        let help = match nearest(name, known.clone()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => match known.collect::<Vec<_>>().as_slice() {
                [] => format!("there is no {what} here"),
                known => format!("known are: {}", known.join(", ")),
            },
        };
        Self::new(place, format!("unknown {what} `{name}`")).help(help)
    }

    /// An error of YAML, or of serde.
    pub(crate) fn of_yaml(error: &YamlError, source: &str) -> Self {
        let place = error.location().map(|at| Place::in_source(at, source)).unwrap_or_default();
        match error.without_snippet() {
            YamlError::SerdeUnknownField { field, expected, .. } => {
                Self::unknown(place.of_word(field, source), "key", field, expected)
            }
            YamlError::SerdeUnknownVariant { variant, expected, .. } => {
                Self::unknown(place.of_word(variant, source), "value", variant, expected)
            }
            YamlError::UnsupportedTag { tag, .. } => {
                let message = format!("the tag `{tag}` has no meaning here");
                Self::new(place.of_word(tag, source), message)
            }
            error => {
                let formatter = UserMessageFormatter;
                let mut message = error.render_with_formatter(&formatter);
                // The position is shown beside the line.
                if let Some(at) = message.find(" at line ") {
                    message.truncate(at);
                }
                Self::new(place, plain(message))
            }
        }
    }
}

/// What YAML's reader says, in the words of those who write files.
fn plain(message: String) -> String {
    let plain = match message.as_str() {
        "expected mapping start" => "must be a mapping",
        "expected sequence start" => "must be a list",
        "expected string scalar" => "must be a string",
        "invalid u64" | "invalid usize" | "invalid u16" => "must be a whole number",
        "unexpected end of file" => "the file has nothing in it, or ends too early",
        "expected end of mapping after enum variant value" => "only one of these is possible",
        "reference to unknown value" => "there is no such anchor before",
        text if text.starts_with("YAML document too large") => {
            "the file is too large, or its anchors stand for too much"
        }
        text => match text.strip_prefix("missing field ") {
            Some(field) => return format!("{field} is missing"),
            None => return message,
        },
    };
    plain.to_owned()
}

/// The known name that `name` is probably a misspelling of.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known.map(|one| (strsim::damerau_levenshtein(name, one), one));
    let most = (name.chars().count() / 3).max(1);
    let near = scored.filter(|(distance, _)| *distance <= most);
    near.min_by_key(|(distance, _)| *distance).map(|(_, one)| one)
}

/// The mistakes of a file. Their `Display` shows each with its line.
pub struct Mistakes {
    /// The file's name.
    pub(crate) name: String,
    pub(crate) source: String,
    pub(crate) list: Vec<Mistake>,
}

impl Mistakes {
    /// The one mistake of the file `name` with the text `source`.
    pub(crate) fn one(name: &str, source: &str, mistake: Mistake) -> Self {
        Self { name: name.to_owned(), source: source.to_owned(), list: vec![mistake] }
    }

    /// Each mistake's line and column, from 1, and its message.
    #[must_use]
    pub fn list(&self) -> Vec<(usize, usize, &str)> {
        let mistakes = self.list.iter();
        let at = mistakes.map(|mistake| {
            let (line, column) = mistake.place.line_and_column(&self.source);
            (line, column, mistake.message.as_str())
        });
        at.collect()
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let renderer = Renderer::plain();
        for (index, mistake) in self.list.iter().take(MOST).enumerate() {
            if index > 0 {
                f.write_str("\n\n")?;
            }
            let at = AnnotationKind::Primary.span(mistake.place.range_in(&self.source));
            let snippet = Snippet::source(&self.source).path(&self.name).annotation(at);
            let mut report =
                Group::with_title(Level::ERROR.primary_title(&*mistake.message)).element(snippet);
            if let Some(help) = &mistake.help {
                report = report.element(Level::HELP.message(&**help));
            }
            f.write_str(&renderer.render(&[report]))?;
        }
        match self.list.len().saturating_sub(MOST) {
            0 => Ok(()),
            more => write!(f, "\n\nand {more} more"),
        }
    }
}

impl fmt::Debug for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Mistakes {}
