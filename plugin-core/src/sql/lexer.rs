//! Splits a statement into tokens. Placeholders are tokens of their own outside of quotes and comments.

use std::ops::Range;

use server_core::{Error, Result};

use super::dialect::{Dialect, Quote, is_one_of};

/// A token and its bytes in the statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Its bytes, quotes and comment signs included.
    pub range: Range<usize>,
}

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A keyword or an unquoted identifier.
    Word,
    /// A number, or a part of one: `1e-5` is three tokens.
    Number,
    /// Any other character.
    Sign(char),
    /// A string or a quoted identifier, with its prefix.
    Quoted(Quoted),
    /// A comment to the end of the line, without the line break.
    LineComment,
    /// `/* … */`.
    BlockComment,
    /// A placeholder, by its index.
    Hole(usize),
}

/// The quotes around a string or identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quoted {
    /// Their form.
    pub quote: &'static Quote,
    /// Whether there are no escapes, because of a prefix.
    pub raw: bool,
    /// The length of the prefix and the opening quote.
    pub(super) opening: usize,
    /// Whether the closing quote is there.
    pub(super) closed: bool,
}

impl Quoted {
    /// The content's bytes in the token at `range`.
    pub(super) fn content(&self, range: &Range<usize>) -> Range<usize> {
        let closing = if self.closed { self.quote.close.len() } else { 0 };
        range.start + self.opening..range.end - closing
    }
}

/// A placeholder: its meaning, and its length in bytes, which is not 0.
pub type Found<H> = Option<(H, usize)>;

/// Finds the placeholder that begins at a byte of the statement. Between tokens, it is given the tokens
/// before; within quotes and comments, none.
pub type Find<'f, H> = dyn FnMut(usize, Option<&[Token]>) -> Found<H> + 'f;

/// The tokens of a statement, and its placeholders.
#[derive(Debug)]
pub(super) struct Lexed<H> {
    pub(super) tokens: Vec<Token>,
    pub(super) holes: Vec<(Range<usize>, H)>,
}

/// Splits `text`. `find` returns the placeholder at a byte.
///
/// # Errors
/// `InvalidArgument` for a placeholder whose place is ambiguous.
pub(super) fn lex<'f, H>(
    dialect: &'static Dialect,
    text: &str,
    find: &'f mut Find<'f, H>,
) -> Result<Lexed<H>> {
    let lexed = Lexed { tokens: Vec::new(), holes: Vec::new() };
    let mut lexer = Lexer { dialect, text, at: 0, find, ambiguous: None, lexed };
    while lexer.at < text.len() {
        lexer.token()?;
    }
    Ok(lexer.lexed)
}

/// Calls `read` with each token of `text`, which has no placeholders. Keeps none: `text` may be large.
pub(super) fn read_tokens(
    dialect: &'static Dialect,
    text: &str,
    read: &mut dyn FnMut(&Token),
) -> Result<()> {
    let lexed = Lexed { tokens: Vec::new(), holes: Vec::new() };
    let find = &mut |_: usize, _: Option<&[Token]>| None::<((), usize)>;
    let mut lexer = Lexer { dialect, text, at: 0, find, ambiguous: None, lexed };
    while lexer.at < text.len() {
        lexer.token()?;
        lexer.lexed.tokens.drain(..).for_each(|token| read(&token));
    }
    Ok(())
}

struct Lexer<'a, 'f, H> {
    dialect: &'static Dialect,
    text: &'a str,
    at: usize,
    find: &'f mut Find<'f, H>,
    /// Why the places of later placeholders are uncertain.
    ambiguous: Option<String>,
    lexed: Lexed<H>,
}

impl<H> Lexer<'_, '_, H> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn push(&mut self, kind: Kind, start: usize) {
        self.lexed.tokens.push(Token { kind, range: start..self.at });
    }

    fn token(&mut self) -> Result<()> {
        let start = self.at;
        if self.hole(true)? {
            self.push(Kind::Hole(self.lexed.holes.len() - 1), start);
            return Ok(());
        }
        let Some(first) = self.rest().chars().next() else { return Ok(()) };
        if first.is_whitespace() {
            self.at += first.len_utf8();
            return Ok(());
        }
        if self.dialect.line_comments.iter().any(|open| self.rest().starts_with(open)) {
            return self.line_comment(start);
        }
        if self.rest().starts_with("/*") {
            return self.block_comment(start);
        }
        if let Some((quote, prefix)) = self.opened() {
            return self.quoted(start, quote, prefix);
        }
        self.plain(start, first);
        Ok(())
    }

    /// A word, number or sign.
    fn plain(&mut self, start: usize, first: char) {
        let dialect = self.dialect;
        let length_of = |rest: &str, continues: &dyn Fn(char) -> bool| {
            rest.find(|c: char| !continues(c)).unwrap_or(rest.len())
        };
        if Dialect::begins_word(first) {
            self.at += length_of(self.rest(), &|c| dialect.continues_word(c));
            let word = &self.text[start..self.at];
            // Of most dialects no quote can be in a word, and a search for each in every word would take longest.
            let fits = |quote: &Quote| quote.open.chars().all(|c| dialect.continues_word(c));
            let opens = |quote: &&Quote| fits(quote) && word.contains(quote.open);
            if let Some(quote) = dialect.quotes.iter().find(opens) {
                self.ambiguous.get_or_insert_with(|| {
                    let open = quote.open;
                    format!("follows {word}, which may or may not open a string; put a space before {open}")
                });
            }
            self.push(Kind::Word, start);
        } else if first.is_ascii_digit() {
            self.at += length_of(self.rest(), &|c| c.is_alphanumeric() || c == '_' || c == '.');
            self.check_number(start);
            self.push(Kind::Number, start);
        } else {
            self.at += first.len_utf8();
            self.push(Kind::Sign(first), start);
        }
    }

    /// `1r'…'` may be a number and a raw string.
    fn check_number(&mut self, start: usize) {
        let number = &self.text[start..self.at];
        let opens = |quote: &Quote| self.rest().starts_with(quote.open);
        let may_be_prefix = number.ends_with(|c: char| c.is_alphabetic());
        if may_be_prefix
            && !self.dialect.prefixes.is_empty()
            && self.dialect.quotes.iter().any(opens)
        {
            let why = format!("follows {number}, which may or may not end in a prefix of a string");
            self.ambiguous.get_or_insert(why);
        }
    }

    /// The quotes that open here, after a prefix of this many bytes.
    fn opened(&self) -> Option<(&'static Quote, usize)> {
        let (rest, dialect) = (self.rest(), self.dialect);
        let word = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        // Only the start of a word can be a prefix: words are read as a whole.
        let prefix = if is_one_of(&rest[..word], dialect.prefixes) { word } else { 0 };
        let opens = |quote: &&Quote| rest[prefix..].starts_with(quote.open);
        let quote = dialect.quotes.iter().find(opens)?;
        (prefix == 0 || quote.holds == super::Holds::Text).then_some((quote, prefix))
    }

    fn quoted(&mut self, start: usize, quote: &'static Quote, prefix: usize) -> Result<()> {
        let raw = self.text[start..start + prefix].contains(['r', 'R']);
        let opening = prefix + quote.open.len();
        self.at += opening;
        let mut closed = false;
        while !closed && self.at < self.text.len() {
            closed = self.within(quote)?;
        }
        self.push(Kind::Quoted(Quoted { quote, raw, opening, closed }), start);
        Ok(())
    }

    /// One character within `quote`, and whether it closed it.
    fn within(&mut self, quote: &Quote) -> Result<bool> {
        if self.hole(false)? {
            return Ok(false);
        }
        let (rest, close) = (self.rest(), quote.close);
        if quote.escapes.has_backslash() && rest.starts_with('\\') {
            return self.escaped().map(|()| false);
        }
        let closes = rest.starts_with(close);
        if closes && quote.escapes.has_doubled() && rest[close.len()..].starts_with(close) {
            self.at += 2 * close.len();
            return Ok(false);
        }
        self.at += if closes { close.len() } else { next_length(rest) };
        Ok(closes)
    }

    /// A backslash and the character that it escapes, which must not be a value's first one.
    fn escaped(&mut self) -> Result<()> {
        self.at += 1;
        let start = self.at;
        if let Some((_, length)) = (self.find)(start, None) {
            let hole = &self.text[start..start + length];
            return Err(Error::invalid(format!(
                "template.sql.statement: {hole} must not follow a backslash"
            )));
        }
        self.at += next_length(self.rest());
        Ok(())
    }

    fn line_comment(&mut self, start: usize) -> Result<()> {
        while self.at < self.text.len() && !self.rest().starts_with('\n') {
            if self.hole(false)? {
                continue;
            }
            let rest = self.rest();
            if rest.starts_with('\r') && !rest.starts_with("\r\n") {
                let why = "follows a comment with a carriage return, which may or may not end it; use a line feed";
                self.ambiguous.get_or_insert_with(|| why.to_owned());
            }
            self.at += next_length(self.rest());
        }
        self.push(Kind::LineComment, start);
        Ok(())
    }

    fn block_comment(&mut self, start: usize) -> Result<()> {
        self.at += "/*".len();
        while self.at < self.text.len() {
            if self.hole(false)? {
                continue;
            }
            if self.rest().starts_with("*/") {
                self.at += "*/".len();
                break;
            }
            self.at += next_length(self.rest());
        }
        self.push(Kind::BlockComment, start);
        Ok(())
    }

    /// Reads a placeholder, if there is one here.
    fn hole(&mut self, is_open: bool) -> Result<bool> {
        let before = is_open.then_some(self.lexed.tokens.as_slice());
        let Some((hole, length)) = (self.find)(self.at, before) else { return Ok(false) };
        let range = self.at..self.at + length;
        if let Some(why) = &self.ambiguous {
            let hole = &self.text[range];
            return Err(Error::invalid(format!("template.sql.statement: {hole} {why}")));
        }
        self.at = range.end;
        self.lexed.holes.push((range, hole));
        Ok(true)
    }
}

/// The length of the first character of `text`.
fn next_length(text: &str) -> usize {
    text.chars().next().map_or(0, char::len_utf8)
}
