//! The words of an expression that minijinja looks up only when it evaluates: filters, tests and methods.

use super::functions::{DIGITS, FILTERS, SHORT_KEY, TESTS, WRONG_DIGITS};
use crate::{located::Place, mistake::Mistake};

/// Words of expressions that stand before a `(` without calling anything.
const KEYWORDS: [&str; 7] = ["and", "else", "if", "in", "is", "not", "or"];

/// Words that are values of their own.
const CONSTANTS: [&str; 6] = ["true", "false", "none", "True", "False", "None"];

const OPENING: [&str; 3] = ["(", "[", "{"];
const CLOSING: [&str; 3] = [")", "]", "}"];
/// What ends an operand of `*`.
const OPERATORS: [&str; 18] = [
    "+", "-", "*", "/", "%", "~", "<", ">", "=", "!", ",", ":", "and", "or", "not", "in", "if",
    "else",
];

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

    /// Checks that each filter, test and function exists, and has as many arguments as it takes. `at` finds the place of a word.
    pub(super) fn check(&self, at: &impl Fn(&str) -> Place) -> Result<(), Mistake> {
        for (index, &word) in self.0.iter().enumerate() {
            // A part of a value may have any name.
            if self.is_part(index) {
                continue;
            }
            match word {
                "|" => self.check_filter(index + 1, at)?,
                "[" => self.check_slice(index, at)?,
                "is" => {
                    let test = index + if self.word(index + 1) == "not" { 2 } else { 1 };
                    if !TESTS.contains(&self.word(test)) {
                        let test = self.word(test);
                        return Err(Mistake::unknown(at(test), "test", test, &TESTS));
                    }
                    self.check_arguments(test, (0, 0), at)?;
                }
                SHORT_KEY => self.check_short_key(index, at)?,
                "(" => self.check_call(index, at)?,
                "=" if self.is_assignment(index) => {
                    let name = self.word(index.saturating_sub(1));
                    return Err(Mistake::new(at(name), "arguments have no names here"));
                }
                "*" if self.word(index + 1) != "*" && !self.is_scaled(index) => {
                    let message = "one side of `*` must be a number that is written out";
                    let help = "a string times a number of the task's would have any size";
                    return Err(Mistake::new(at("*"), message).help(help.to_owned()));
                }
                "*" if self.repeats_a_literal(index) => {
                    let message = "`*` is for numbers and strings: it repeats no list";
                    return Err(Mistake::new(at("*"), message));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn check_filter(&self, index: usize, at: &impl Fn(&str) -> Place) -> Result<(), Mistake> {
        let name = self.word(index);
        let names = FILTERS.map(|(name, ..)| name);
        let known = FILTERS.iter().find(|(known, ..)| *known == name);
        match known {
            // `default.x` would be one name.
            Some((.., count)) if self.word(index + 1) != "." => {
                self.check_arguments(index, *count, at)
            }
            Some(_) => Err(Mistake::new(at(name), format!("`{name}` has no parts"))
                .help("write (value | function).part".to_owned())),
            None => Err(Mistake::unknown(at(name), "function", name, &names)),
        }
    }

    /// Checks the number of arguments after the word at `index`.
    fn check_arguments(
        &self,
        index: usize,
        (least, most): (usize, usize),
        at: &impl Fn(&str) -> Place,
    ) -> Result<(), Mistake> {
        let count = self.arguments(index + 1).len();
        if (least..=most).contains(&count) {
            return Ok(());
        }
        let (name, takes) = (self.word(index), spelled(least, most));
        Err(Mistake::new(at(name), format!("`{name}` takes {takes}, not {count}")))
    }

    fn check_short_key(&self, index: usize, at: &impl Fn(&str) -> Place) -> Result<(), Mistake> {
        self.check_arguments(index, (2, 2), at).map_err(|mistake| {
            mistake.help("write for example short_key('flyte-', 40)".to_owned())
        })?;
        match self.arguments(index + 1).as_slice() {
            [_, [digits, rest @ ..]] if is_written(digits, rest) => {
                match digits.parse().is_ok_and(|digits| DIGITS.contains(&digits) && rest.is_empty())
                {
                    true => Ok(()),
                    false => Err(Mistake::new(at(digits), WRONG_DIGITS)),
                }
            }
            _ => Ok(()),
        }
    }

    /// Checks that the slice which may begin at `index` has a step that is written out: minijinja's arithmetic overflows with the
    /// least number.
    fn check_slice(&self, index: usize, at: &impl Fn(&str) -> Place) -> Result<(), Mistake> {
        let step = match self.step(index).unwrap_or_default() {
            [] => return Ok(()),
            ["-", step] | [step] => step.parse::<i64>(),
            _ => Ok(0),
        };
        match step {
            Ok(1..) => Ok(()),
            _ => {
                let message =
                    "the step of a slice must be a number other than 0 that is written out";
                Err(Mistake::new(at("["), message))
            }
        }
    }

    /// The step of the slice whose `[` is at `index`.
    fn step(&self, index: usize) -> Option<&[&'a str]> {
        let (mut colons, mut depth) = (Vec::new(), 0_usize);
        for at in index..self.0.len() {
            match self.word(at) {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth = depth.saturating_sub(1),
                ":" if depth == 1 => colons.push(at),
                _ => {}
            }
            if depth == 0 {
                return self.0.get(colons.get(1)? + 1..at);
            }
        }
        None
    }

    /// Checks that the `(` at `index` does not call a value.
    fn check_call(&self, index: usize, at: &impl Fn(&str) -> Place) -> Result<(), Mistake> {
        let Some(before) = index.checked_sub(1) else { return Ok(()) };
        let name = self.word(before);
        let names = FILTERS.map(|(name, ..)| name).join(", ");
        let help = format!("functions are: {names}, as value | name(…)");
        if self.is_part(before) {
            let message = format!("values have no methods: `{name}`");
            return Err(Mistake::new(at(name), message).help(help));
        }
        let is_known = KEYWORDS.contains(&name)
            || name == SHORT_KEY
            || before > 0 && self.follows_a_value(before);
        let is_value = name.starts_with(is_name) || [")", "]", "}"].contains(&name);
        if is_value && !is_known {
            return Err(Mistake::new(at(name), format!("`{name}` is no function")).help(help));
        }
        Ok(())
    }

    /// Whether the word at `index` is a function or test of the value before it.
    fn follows_a_value(&self, index: usize) -> bool {
        match self.word(index - 1) {
            "|" | "is" => true,
            "not" => index > 1 && self.word(index - 2) == "is",
            _ => false,
        }
    }

    /// The arguments in the parentheses that open at `index`; none if there are none.
    fn arguments(&self, index: usize) -> Vec<&[&'a str]> {
        let (mut arguments, mut depth, mut start) = (Vec::new(), 0_usize, index + 1);
        if self.word(index) != "(" {
            return arguments;
        }
        for at in index..self.0.len() {
            match self.word(at) {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth = depth.saturating_sub(1),
                "," if depth == 1 => {
                    arguments.push(&self.0[start..at]);
                    start = at + 1;
                }
                _ => {}
            }
            if depth == 0 {
                arguments.extend(self.0.get(start..at).filter(|last| !last.is_empty()));
                break;
            }
        }
        arguments
    }

    fn word(&self, index: usize) -> &'a str {
        self.0.get(index).copied().unwrap_or_default()
    }

    /// The values that are used, with their parts: `custom.table.name`.
    pub(super) fn values(&self) -> impl Iterator<Item = String> {
        let is_value = |index: &usize| {
            let word = self.word(*index);
            word.starts_with(|first: char| first.is_alphabetic() || first == '_')
                && !KEYWORDS.contains(&word)
                && !CONSTANTS.contains(&word)
                && !self.is_part(*index)
                && (*index == 0 || !self.follows_a_value(*index))
        };
        (0..self.0.len()).filter(is_value).map(|index| {
            let parts = (index + 2..).step_by(2).take_while(|part| self.is_part(*part));
            let parts = parts.map(|part| format!(".{}", self.word(part)));
            self.word(index).to_owned() + &parts.collect::<String>()
        })
    }

    /// Whether the word at `index` names a part of a value: `body.is`.
    fn is_part(&self, index: usize) -> bool {
        index > 0 && self.word(index - 1) == "." && self.word(index).starts_with(is_name)
    }

    /// Whether the `=` at `index` is none of `==`, `!=`, `<=` and `>=`.
    fn is_assignment(&self, index: usize) -> bool {
        let before = index.checked_sub(1).map(|before| self.word(before)).unwrap_or_default();
        self.word(index + 1) != "=" && !["=", "!", "<", ">"].contains(&before)
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

    /// Whether the `*` at `index` has a list or mapping that is written out on one of its sides. Lists of repeated lists
    /// are short until somebody looks at them, in a single step.
    fn repeats_a_literal(&self, index: usize) -> bool {
        let before = (0..index).rev();
        let before = before.scan(0_usize, |depth, at| self.goes_on(at, depth, CLOSING, OPENING));
        let after = index + 1..self.0.len();
        let mut after = after.scan(0_usize, |depth, at| self.goes_on(at, depth, OPENING, CLOSING));
        before.chain(&mut after).any(|at| self.begins_a_literal(at))
    }

    /// `at`, if the operand goes on there. `depth` counts brackets.
    fn goes_on(
        &self,
        at: usize,
        depth: &mut usize,
        deeper: [&str; 3],
        back: [&str; 3],
    ) -> Option<usize> {
        let word = self.word(at);
        if deeper.contains(&word) {
            *depth += 1;
        } else if back.contains(&word) {
            *depth = depth.checked_sub(1)?;
        } else if *depth == 0 && OPERATORS.contains(&word) {
            return None;
        }
        Some(at)
    }

    /// Whether a list or mapping begins at `index`. Another `[` follows what it looks up in.
    fn begins_a_literal(&self, index: usize) -> bool {
        let before = index.checked_sub(1).map(|before| self.word(before)).unwrap_or_default();
        let is_value = before.starts_with(|first| is_name(first) || "'\")]}".contains(first));
        match self.word(index) {
            "{" => true,
            "[" => !is_value || KEYWORDS.contains(&before),
            _ => false,
        }
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

/// Whether the argument of the words `first` and `rest` is one number or string that is written out.
fn is_written(first: &str, rest: &[&str]) -> bool {
    let is_number = first.starts_with(|first: char| first.is_ascii_digit());
    match rest {
        [] => is_number || first.starts_with(['\'', '"']),
        [".", _] => is_number,
        _ => false,
    }
}

/// How many arguments there are.
fn spelled(least: usize, most: usize) -> String {
    match (least, most) {
        (0, 0) => "no arguments".to_owned(),
        (1, 1) => "one argument".to_owned(),
        (least, most) if least == most => format!("{most} arguments"),
        (_, 1) => "at most one argument".to_owned(),
        (_, most) => format!("at most {most} arguments"),
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
