//! Scans a statement from start to end.

use std::collections::BTreeSet;

use plugin_core::{
    Error, Result,
    task::placeholder::{Placeholder, find_at},
};

use super::{
    Parts, Piece, Place, begins_transaction, bounds_a_frame, is_one_of, opened, takes_a_literal,
    word,
};

pub(super) struct Scanner<'a, 'f> {
    text: &'a str,
    /// The bytes that were read, and how many of them are in `parts`.
    at: usize,
    pending: usize,
    place: Place,
    some_inputs: bool,
    is_input: &'f dyn Fn(&str) -> bool,
    /// How many parentheses are open.
    depth: usize,
    /// The last token, if it was a word.
    last: &'a str,
    /// The depth of the row that has begun and not ended.
    row: Option<usize>,
    within_statement: bool,
    /// Whether strings are run as code, these or those in variables.
    immediate: bool,
    /// Whether a block of Snowflake Scripting has begun, in which `:x` is a variable of the block.
    scripting: bool,
    /// The variables that `LET` declared, in upper case.
    variables: BTreeSet<String>,
    /// A word after which it is ambiguous where strings start and end.
    ambiguous: Option<&'a str>,
    parts: Parts<'a>,
}

impl<'a, 'f> Scanner<'a, 'f> {
    pub(super) fn new(
        text: &'a str,
        some_inputs: bool,
        is_input: &'f dyn Fn(&str) -> bool,
    ) -> Self {
        Self {
            text,
            at: 0,
            pending: 0,
            place: Place::Open,
            some_inputs,
            is_input,
            depth: 0,
            last: "",
            row: None,
            within_statement: false,
            immediate: false,
            scripting: false,
            variables: BTreeSet::new(),
            ambiguous: None,
            parts: Parts::default(),
        }
    }

    pub(super) fn scan(mut self) -> Result<Parts<'a>> {
        while self.at < self.text.len() {
            self.step()?;
        }
        self.flush(self.text.len());
        if self.immediate {
            self.parts.pieces.iter_mut().for_each(treat_as_code);
        }
        Ok(self.parts)
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn step(&mut self) -> Result<()> {
        if let Some((filling, length)) = self.hole_at(self.at) {
            return self.hole(filling, length);
        }
        if self.some_inputs && self.rest().starts_with("%%") {
            // pyformat's escape for one percent sign.
            self.flush(self.at + 1);
            self.at += 2;
            self.pending = self.at;
            return Ok(());
        }
        match self.place {
            Place::Open => self.open(),
            inside => self.inside(inside)?,
        }
        Ok(())
    }

    fn hole(&mut self, filling: Placeholder<'a>, length: usize) -> Result<()> {
        let end = self.at + length;
        if let Some(word) = self.ambiguous {
            return Err(Error::invalid(format!(
                "template.sql.statement: {} follows {word}, which may or may not open a string; put a \
                 space before $$",
                &self.text[self.at..end]
            )));
        }
        let literal = takes_a_literal(self.last) || bounds_a_frame(&self.text[end..]);
        let place = if self.place == Place::Open && literal { Place::Constant } else { self.place };
        self.flush(self.at);
        self.parts.pieces.push(Piece::Hole { place, filling });
        if self.place == Place::Open {
            self.token("");
        }
        self.at = end;
        self.pending = end;
        Ok(())
    }

    /// The placeholder at byte `at`, and its length.
    fn hole_at(&self, at: usize) -> Option<(Placeholder<'a>, usize)> {
        let rest = &self.text[at..];
        if rest.starts_with("{{") {
            let found = find_at(self.text, at)?;
            return Some((found.placeholder, found.range.len()));
        }
        if !self.some_inputs {
            return None;
        }
        if let Some(inner) = rest.strip_prefix("%(") {
            let name = word(inner);
            let closed = !name.is_empty() && inner[name.len()..].starts_with(")s");
            return closed.then_some((Placeholder::Input(name), name.len() + "%()s".len()));
        }
        self.named_at(at)
    }

    /// `:x` outside of quotes that is neither a cast, nor a path into a VARIANT, nor a variable.
    fn named_at(&self, at: usize) -> Option<(Placeholder<'a>, usize)> {
        let rest = self.text[at..].strip_prefix(':').filter(|_| self.place == Place::Open)?;
        let name = word(rest);
        let before = self.text[..at].chars().next_back();
        let is_free = before.is_none_or(|c| c.is_whitespace() || "(,=<>+-*/|!%".contains(c));
        let is_variable = || self.scripting || self.variables.contains(&name.to_uppercase());
        let is_placeholder = is_free && !is_variable() && (self.is_input)(name);
        is_placeholder.then_some((Placeholder::Input(name), name.len() + 1))
    }

    /// One token outside of quotes.
    fn open(&mut self) {
        let rest = self.rest();
        let (place, length) = opened(rest);
        if place == Place::Open {
            match word(rest) {
                "" => self.sign(rest),
                word => self.word(word),
            }
            return;
        }
        self.place = if place == Place::Quoted && is_one_of(self.last, &["AS"]) {
            Place::Code
        } else {
            place
        };
        if !matches!(place, Place::LineComment | Place::BlockComment) {
            self.token("");
        }
        self.at += length;
    }

    fn word(&mut self, word: &'a str) {
        let is = |known: &str| word.eq_ignore_ascii_case(known);
        let starts_code = !self.within_statement || is_one_of(self.last, &["AS"]);
        let begins = is("BEGIN") && !begins_transaction(self.rest());
        self.scripting |= starts_code && (is("DECLARE") || begins);
        self.immediate |= is("IMMEDIATE");
        if is_one_of(self.last, &["LET"]) {
            self.variables.insert(word.to_uppercase());
        }
        if word.contains("$$") {
            self.ambiguous.get_or_insert(word);
        }
        self.token(word);
        self.parts.first_word.get_or_insert(word);
        self.at += word.len();
    }

    fn sign(&mut self, rest: &str) {
        let Some(sign) = rest.chars().next() else { return };
        if sign.is_whitespace() {
            self.at += sign.len_utf8();
            return;
        }
        match sign {
            ';' => {
                self.within_statement = false;
                self.last = "";
            }
            '(' => self.opening_parenthesis(),
            _ => self.token(""),
        }
        self.at += sign.len_utf8();
        match sign {
            ')' => self.closing_parenthesis(),
            '?' => self.parts.has_binds = true,
            _ => {}
        }
    }

    fn opening_parenthesis(&mut self) {
        let starts_row = is_one_of(self.last, &["VALUES"]) && self.row.is_none();
        self.token("");
        if starts_row {
            self.flush(self.at);
            self.parts.pieces.push(Piece::RowStart);
            self.row = Some(self.depth);
        }
        self.depth += 1;
    }

    fn closing_parenthesis(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        if self.row == Some(self.depth) {
            self.flush(self.at);
            self.parts.pieces.push(Piece::RowEnd);
            self.row = None;
        }
    }

    /// A token of a statement; `word` is empty for all but words.
    fn token(&mut self, word: &'a str) {
        self.last = word;
        self.parts.statements += usize::from(!self.within_statement);
        self.within_statement = true;
    }

    /// One character within quotes or a comment.
    fn inside(&mut self, place: Place) -> Result<()> {
        let rest = self.rest();
        if matches!(place, Place::Quoted | Place::Code) && rest.starts_with('\\') {
            return self.escaped(rest);
        }
        let end = match place {
            Place::Quoted | Place::Code => "'",
            Place::Name => "\"",
            Place::Dollars => "$$",
            Place::LineComment => "\n",
            Place::BlockComment => "*/",
            Place::Open | Place::Constant => "",
        };
        if place == Place::Code && rest.starts_with("''") {
            // A string within the code, which continues after it.
            self.at += 2;
        } else if rest.starts_with(end) {
            self.place = Place::Open;
            self.at += end.len();
        } else {
            self.at += rest.chars().next().map_or(0, char::len_utf8);
        }
        Ok(())
    }

    /// A backslash escapes the next character, which must not be a value's first one.
    fn escaped(&mut self, rest: &str) -> Result<()> {
        if self.hole_at(self.at + 1).is_some() {
            let hole = rest.chars().skip(1).take(40).take_while(|c| !c.is_whitespace());
            let hole = hole.collect::<String>();
            return Err(Error::invalid(format!(
                "template.sql.statement: {hole} must not follow a backslash"
            )));
        }
        self.at += 1 + rest[1..].chars().next().map_or(0, char::len_utf8);
        Ok(())
    }

    /// Adds the text before byte `until` to the parts.
    fn flush(&mut self, until: usize) {
        if self.pending < until {
            self.parts.pieces.push(Piece::Text(&self.text[self.pending..until]));
            self.pending = until;
        }
    }
}

fn treat_as_code(piece: &mut Piece<'_>) {
    if let Piece::Hole { place: place @ Place::Quoted, .. } = piece {
        *place = Place::Code;
    }
}
