//! Takes a statement apart by Snowflake's lexical structure: where inputs go, and what stands there.
//!
//! Placeholders are `{{ .inputs.x }}`, and, when the task has inputs, `%(x)s`, `%%` and `:x`.

use plugin_core::{
    Error, Result,
    task::placeholder::{Placeholder, find},
};

/// Where in a statement something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Between other tokens.
    Open,
    /// Within `'…'`.
    Quoted,
    /// Within `"…"`.
    Name,
    /// Within `$$…$$`, where nothing can be escaped.
    Dollars,
    LineComment,
    BlockComment,
}

/// A part of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    Text(&'a str),
    Hole {
        place: Place,
        filling: Placeholder<'a>,
    },
    /// Before the bracket that opens the first row after `VALUES`.
    RowStart,
    /// After the bracket that closes it.
    RowEnd,
}

/// A statement, taken apart.
#[derive(Debug)]
pub(crate) struct Parts<'a> {
    pub(crate) pieces: Vec<Piece<'a>>,
    /// How many statements there are.
    pub(crate) statements: usize,
    /// Whether it has bind variables of its own.
    has_binds: bool,
    first_word: Option<&'a str>,
}

impl Parts<'_> {
    /// Whether Snowflake takes bind variables here, and the numbers of ours are not mixed up with
    /// others.
    pub(crate) fn can_bind(&self) -> bool {
        const BINDING: [&str; 7] =
            ["CALL", "DELETE", "INSERT", "MERGE", "SELECT", "UPDATE", "WITH"];
        let first = self.first_word.unwrap_or_default();
        let binds = BINDING.iter().any(|word| word.eq_ignore_ascii_case(first));
        binds && !self.has_binds && self.statements == 1
    }
}

/// Takes `statement` apart; `inputs` says which names are inputs, of which the task has `some` or none.
///
/// # Errors
/// `InvalidArgument` for a placeholder that cannot be filled safely.
pub(crate) fn take_apart<'a>(
    statement: &'a str,
    some: bool,
    inputs: &dyn Fn(&str) -> bool,
) -> Result<Parts<'a>> {
    let mut scanner = Scanner {
        text: statement,
        at: 0,
        pending: 0,
        place: Place::Open,
        some_inputs: some,
        is_input: inputs,
        depth: 0,
        after_values: false,
        row: None,
        within_statement: false,
        parts: Parts { pieces: Vec::new(), statements: 0, has_binds: false, first_word: None },
    };
    while scanner.at < statement.len() {
        scanner.step()?;
    }
    scanner.flush(statement.len());
    Ok(scanner.parts)
}

struct Scanner<'a, 'f> {
    text: &'a str,
    /// What was read so far, and up to where it is in `parts`.
    at: usize,
    pending: usize,
    place: Place,
    some_inputs: bool,
    is_input: &'f dyn Fn(&str) -> bool,
    /// How many brackets are open.
    depth: usize,
    /// Whether `VALUES` was the last word.
    after_values: bool,
    /// How deep the row lies that was begun and not ended.
    row: Option<usize>,
    within_statement: bool,
    parts: Parts<'a>,
}

impl<'a> Scanner<'a, '_> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn step(&mut self) -> Result<()> {
        if let Some((filling, length)) = self.hole_at(self.at) {
            self.hole(filling, length);
            return Ok(());
        }
        if self.some_inputs && self.rest().starts_with("%%") {
            // pyformat's way to write one.
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

    fn hole(&mut self, filling: Placeholder<'a>, length: usize) {
        self.flush(self.at);
        self.parts.pieces.push(Piece::Hole { place: self.place, filling });
        if self.place == Place::Open {
            self.token();
        }
        self.at += length;
        self.pending = self.at;
    }

    /// What is to be filled in at byte `at`, and its length.
    fn hole_at(&self, at: usize) -> Option<(Placeholder<'a>, usize)> {
        let rest = &self.text[at..];
        if rest.starts_with("{{") {
            let found = find(self.text, at).filter(|found| found.range.start == at)?;
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

    /// `:x` in the open, where it is neither a cast nor a path into a VARIANT.
    fn named_at(&self, at: usize) -> Option<(Placeholder<'a>, usize)> {
        let rest = self.text[at..].strip_prefix(':').filter(|_| self.place == Place::Open)?;
        let name = word(rest);
        let before = self.text[..at].chars().next_back();
        let is_free = before.is_none_or(|c| c.is_whitespace() || "(,=<>+-*/|!%".contains(c));
        (is_free && (self.is_input)(name)).then_some((Placeholder::Input(name), name.len() + 1))
    }

    /// One token in the open.
    fn open(&mut self) {
        let rest = self.rest();
        let (place, length) = opened(rest);
        if place != Place::Open {
            if !matches!(place, Place::LineComment | Place::BlockComment) {
                self.token();
            }
            self.place = place;
            self.at += length;
            return;
        }
        match word(rest) {
            "" => self.sign(rest),
            word => self.word(word),
        }
    }

    fn word(&mut self, word: &'a str) {
        self.token();
        self.parts.first_word.get_or_insert(word);
        self.after_values = word.eq_ignore_ascii_case("VALUES");
        self.at += word.len();
    }

    fn sign(&mut self, rest: &str) {
        let Some(sign) = rest.chars().next() else { return };
        if sign.is_whitespace() {
            self.at += sign.len_utf8();
            return;
        }
        match sign {
            ';' => self.within_statement = false,
            '(' => self.bracket(),
            _ => self.token(),
        }
        self.at += sign.len_utf8();
        match sign {
            ')' => self.closing_bracket(),
            '?' => self.parts.has_binds = true,
            _ => {}
        }
    }

    fn bracket(&mut self) {
        let starts_row = self.after_values && self.row.is_none();
        self.token();
        if starts_row {
            self.flush(self.at);
            self.parts.pieces.push(Piece::RowStart);
            self.row = Some(self.depth);
        }
        self.depth += 1;
    }

    fn closing_bracket(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        if self.row == Some(self.depth) {
            self.flush(self.at);
            self.parts.pieces.push(Piece::RowEnd);
            self.row = None;
        }
    }

    /// Something that belongs to a statement.
    fn token(&mut self) {
        self.after_values = false;
        self.parts.statements += usize::from(!self.within_statement);
        self.within_statement = true;
    }

    /// One character within quotes or a comment.
    fn inside(&mut self, place: Place) -> Result<()> {
        let rest = self.rest();
        if place == Place::Quoted && rest.starts_with('\\') {
            return self.escaped(rest);
        }
        let end = match place {
            Place::Quoted => "'",
            Place::Name => "\"",
            Place::Dollars => "$$",
            Place::LineComment => "\n",
            Place::BlockComment => "*/",
            Place::Open => "",
        };
        if rest.starts_with(end) {
            self.place = Place::Open;
            self.at += end.len();
        } else {
            self.at += rest.chars().next().map_or(0, char::len_utf8);
        }
        Ok(())
    }

    /// A backslash takes the next character with it, which must not be a value's first one.
    fn escaped(&mut self, rest: &str) -> Result<()> {
        if self.hole_at(self.at + 1).is_some() {
            let what = rest.chars().skip(1).take(40).take_while(|c| !c.is_whitespace());
            let what = what.collect::<String>();
            return Err(Error::invalid(format!(
                "template.sql.statement: {what} stands after a backslash"
            )));
        }
        self.at += 1 + rest[1..].chars().next().map_or(0, char::len_utf8);
        Ok(())
    }

    /// Keeps the text before byte `until`.
    fn flush(&mut self, until: usize) {
        if self.pending < until {
            self.parts.pieces.push(Piece::Text(&self.text[self.pending..until]));
            self.pending = until;
        }
    }
}

/// Where the head of `rest` leads from the open, and its length.
fn opened(rest: &str) -> (Place, usize) {
    let starts = |head: &str| rest.starts_with(head);
    match () {
        () if starts("--") || starts("//") => (Place::LineComment, 2),
        () if starts("/*") => (Place::BlockComment, 2),
        () if starts("$$") => (Place::Dollars, 2),
        () if starts("'") => (Place::Quoted, 1),
        () if starts("\"") => (Place::Name, 1),
        () => (Place::Open, 0),
    }
}

/// The unquoted name or keyword that `rest` starts with; may be empty.
fn word(rest: &str) -> &str {
    let is_first = |c: char| c.is_alphabetic() || c == '_';
    if !rest.starts_with(is_first) {
        return "";
    }
    let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'));
    &rest[..end.unwrap_or(rest.len())]
}

#[cfg(test)]
mod tests;
