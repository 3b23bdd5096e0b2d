//! YAML as files and tasks are written in it: without what it has beside data.

use serde::de::DeserializeOwned;
use serde_saphyr::{
    DuplicateKeyPolicy, Options, budget,
    granit_parser::{Marker, Scanner, StrInput, TokenType},
    options,
};

use crate::{located::Place, mistake::Mistake};

/// The deepest nesting.
const DEEPEST: usize = 40;

/// Reads `source`.
///
/// # Errors
/// What YAML or the form of `T` does not allow: the first mistake.
pub(crate) fn from_yaml<T: DeserializeOwned>(source: &str) -> Result<T, Mistake> {
    if let Some(mistake) = carriage_return(source).or_else(|| tag_or_directive(source)) {
        return Err(mistake);
    }
    serde_saphyr::from_str_with_options(source, yaml())
        .map_err(|error| Mistake::of_yaml(&error, source))
}

fn yaml() -> Options {
    options! {
        budget: budget! { max_depth: DEEPEST, max_nodes: 20_000 },
        duplicate_keys: DuplicateKeyPolicy::Error,
        strict_booleans: true,
        reject_unsupported_tags: true,
    }
}

/// The first carriage return that ends a line for YAML, but not for those who count lines.
fn carriage_return(source: &str) -> Option<Mistake> {
    let alone = |(at, _): &(usize, &str)| !source[at + 1..].starts_with('\n');
    let (at, _) = source.match_indices('\r').find(alone)?;
    let mistake =
        Mistake::new(Place { start: at, end: at }, "a carriage return alone ends no line");
    Some(mistake.help("save the file with line feeds".to_owned()))
}

/// The first tag or directive. YAML's own tags would be read in silence.
fn tag_or_directive(source: &str) -> Option<Mistake> {
    for token in Scanner::new(StrInput::new(source)) {
        // What is wrong with the rest, the reader says.
        let token = token.ok()?;
        let start = place_of(token.span().start, source);
        let what = match token.token_type() {
            TokenType::Tag(..) => "tag",
            TokenType::VersionDirective(1, 2) => continue,
            TokenType::VersionDirective(..)
            | TokenType::TagDirective(..)
            | TokenType::ReservedDirective(..) => "directive",
            _ => continue,
        };
        let text = source[start..].split(char::is_whitespace).next().unwrap_or_default();
        let text = text.trim_end_matches([',', ']', '}']);
        let place = Place { start, end: start + text.len() };
        return Some(Mistake::new(place, format!("the {what} `{text}` has no meaning here")));
    }
    None
}

/// Where `marker` is in `source`, in bytes.
fn place_of(marker: Marker, source: &str) -> usize {
    let at = marker
        .byte_offset()
        .unwrap_or_else(|| Place::at(marker.line(), marker.col() + 1, source).start);
    Place { start: at, end: at }.range_in(source).start
}
