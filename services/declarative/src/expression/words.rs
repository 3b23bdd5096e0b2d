//! The words of an expression that minijinja looks up only when it evaluates: filters, tests and methods.

use super::functions::{FILTERS, TESTS};
use crate::{located::Place, mistake::Mistake};

/// The words and signs of an expression, without its strings.
pub(super) struct Words<'a>(Vec<&'a str>);

impl<'a> Words<'a> {
    /// Those of `source`, which minijinja has read.
    pub(super) fn of(source: &'a str) -> Self {
        let mut words = Vec::new();
        let mut rest = source;
        while let Some(letter) = rest.chars().next() {
            let length = match letter {
                '\'' | '"' => string_length(rest),
                _ if is_name(letter) => rest.find(|each| !is_name(each)).unwrap_or(rest.len()),
                _ => letter.len_utf8(),
            };
            let (word, after) = rest.split_at(length);
            if !letter.is_whitespace() {
                words.push(word);
            }
            rest = after;
        }
        Self(words)
    }

    /// Checks that each filter and test exists, and that there are no methods. `at` finds the place of a word.
    pub(super) fn check(&self, at: &impl Fn(&str) -> Place) -> Result<(), Mistake> {
        let filters = FILTERS.map(|(name, _)| name);
        for (index, &word) in self.0.iter().enumerate() {
            let next = |ahead: usize| self.0.get(index + ahead).copied().unwrap_or_default();
            match word {
                "|" if !filters.contains(&next(1)) => {
                    return Err(Mistake::unknown(at(next(1)), "function", next(1), &filters));
                }
                "is" => {
                    let test = if next(1) == "not" { next(2) } else { next(1) };
                    if !TESTS.contains(&test) {
                        return Err(Mistake::unknown(at(test), "test", test, &TESTS));
                    }
                }
                "." if next(2) == "(" => {
                    let message = format!("values have no methods: `{}`", next(1));
                    let help = format!("functions are: {}", filters.join(", "));
                    return Err(Mistake::new(at(next(1)), message).help(help));
                }
                "*" if next(1) != "*" && !self.is_scaled(index) => {
                    let message = "one side of `*` must be a number that is written out";
                    let help = "a string times a number of the task's would have any size";
                    return Err(Mistake::new(at("*"), message).help(help.to_owned()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The names that are looked up with a written string, as in `custom['a-b']`, and the string.
    pub(super) fn subscripts(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let places = self.0.windows(4).enumerate();
        places.filter_map(|(index, words)| match words {
            [name, "[", text, "]"] if is_name(name.chars().next()?) => {
                let is_part = index.checked_sub(1).is_some_and(|before| self.0[before] == ".");
                let inner = text.strip_prefix(['\'', '"'])?.strip_suffix(['\'', '"'])?;
                (!is_part).then_some((*name, inner))
            }
            _ => None,
        })
    }

    /// Whether the `*` at `index` has a written number beside it, or is the second of `**`.
    fn is_scaled(&self, index: usize) -> bool {
        let is_number = |word: Option<&&str>| {
            word.is_some_and(|word| word.starts_with(|first: char| first.is_ascii_digit()))
        };
        let before = index.checked_sub(1).and_then(|before| self.0.get(before));
        before == Some(&"*") || is_number(before) || is_number(self.0.get(index + 1))
    }
}

fn is_name(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// The length of the string that `text` begins with, in bytes.
fn string_length(text: &str) -> usize {
    let mut letters = text.char_indices();
    let Some((_, quote)) = letters.next() else { return 0 };
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => drop(letters.next()),
            letter if letter == quote => return at + letter.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

/// Where the `}` is that ends the expression which `text` begins with, in bytes.
pub(super) fn end_of_braces(text: &str) -> Option<usize> {
    let (mut at, mut depth) = (0, 0);
    while let Some(letter) = text[at..].chars().next() {
        match letter {
            '\'' | '"' => {
                at += string_length(&text[at..]);
                continue;
            }
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
        at += letter.len_utf8();
    }
    None
}
