//! Writes values into a statement.

use server_core::{Error, Result};

use super::{
    dialect::{Dialect, Escapes, Holds},
    lexer::Quoted,
    place::{Inner, Neighbours, Place},
    shape::{Filled, Shape},
};

/// A value in the forms that a statement may need.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Filling {
    /// Its name in errors, for example `inputs.x`.
    pub name: String,
    /// As a string, for use within quotes.
    pub text: String,
    /// As an operand, for use between tokens: a parameter or a literal.
    pub open: String,
    /// As a literal without quotes, for use in code: a number, a boolean or `NULL`; never a string.
    pub literal: Option<String>,
    /// Whether `text` is Flyte's own and not a caller's, so that it may be an identifier in code.
    pub is_name: bool,
}

impl Filling {
    /// A value that is `text` within quotes and `open` between tokens.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>, open: impl Into<String>) -> Self {
        let (name, text, open) = (name.into(), text.into(), open.into());
        Self { name, text, open, literal: None, is_name: false }
    }

    /// A value that is a number, a boolean or NULL.
    #[must_use]
    pub fn literal(mut self, literal: impl Into<String>) -> Self {
        self.literal = Some(literal.into());
        self
    }

    /// A string of Flyte's own, which may be an identifier in code.
    #[must_use]
    pub fn name(mut self) -> Self {
        self.is_name = true;
        self
    }

    fn refuse<T>(&self, why: &str) -> Result<T> {
        Err(Error::invalid(format!("{}: {why}", self.name)))
    }
}

/// What was written last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    Text,
    /// Digits or a name: they may continue a word of the statement, as in `orders_{{ .inputs.year }}`.
    Part,
    /// Any other operand, which must not touch another word or quote.
    Operand,
}

/// Writes the parts of a statement one after another.
#[derive(Debug)]
pub struct Writer {
    dialect: &'static Dialect,
    out: String,
    last: Last,
    shape: Shape,
}

impl Writer {
    /// An empty statement of `dialect`.
    #[must_use]
    pub fn new(dialect: &'static Dialect) -> Self {
        Self { dialect, out: String::new(), last: Last::Text, shape: Shape::default() }
    }

    /// How many bytes were written.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a size to compare with a limit")]
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Writes `text` of the statement itself.
    pub fn text(&mut self, text: &str) {
        let Some(first) = text.chars().next() else { return };
        let number = self.out.ends_with(|c: char| c.is_ascii_digit());
        let joins = !(first.is_whitespace() || "),;]}=<>+-*/|.:!%^~".contains(first));
        if self.last == Last::Operand && (joins || (first == '.' && number)) {
            self.out.push(' ');
        }
        self.out.push_str(text);
        self.last = Last::Text;
    }

    /// Writes `filling` at `place`.
    ///
    /// # Errors
    /// `InvalidArgument` with the filling's name if the value cannot be there.
    pub fn fill(&mut self, place: Place, filling: &Filling) -> Result<()> {
        let text = match place {
            Place::Open => return self.operand(filling, &filling.open),
            Place::Operand => match &filling.literal {
                Some(literal) => return self.operand(filling, literal),
                None => return filling.refuse(RUNS),
            },
            Place::LineComment { swallows: true } => {
                return Err(swallowed(&filling.name));
            }
            // Without a blank, the signs around it could close the comment.
            Place::LineComment { .. } | Place::BlockComment => " ".to_owned(),
            Place::Quoted(quoted) => within(quoted, filling, &filling.text)?,
            Place::Code(quoted, inner) => {
                let code = self.code(inner, filling)?;
                within(quoted, filling, &code)?
            }
        };
        let start = self.out.len();
        self.out.push_str(&text);
        self.last = Last::Text;
        self.shape.add(Filled { range: start..self.out.len(), place, name: filling.name.clone() });
        Ok(())
    }

    /// The statement.
    ///
    /// # Errors
    /// `InvalidArgument` with the filling's name if a value changed the tokens around it.
    pub fn finish(self) -> Result<String> {
        self.shape.check(self.dialect, &self.out)?;
        Ok(self.out)
    }

    /// Writes `operand` so that it joins no token beside it.
    fn operand(&mut self, filling: &Filling, operand: &str) -> Result<()> {
        let before = self.out.chars().next_back();
        let is_part = is_part(filling, operand);
        let is_own = self.last != Last::Operand;
        let blank = match is_part && is_own {
            true => "",
            false => separator(self.dialect, filling, before.filter(|_| is_own), operand)?,
        };
        let apart = !is_own && before.is_some_and(|c| !c.is_whitespace());
        self.out.push_str(if apart { " " } else { blank });
        let start = self.out.len();
        self.out.push_str(operand);
        self.last = if is_part { Last::Part } else { Last::Operand };
        if !is_part {
            let (range, place) = (start..self.out.len(), Place::Open);
            self.shape.add(Filled { range, place, name: filling.name.clone() });
        }
        Ok(())
    }

    /// `filling` in code within quotes, before the outer quotes' escapes.
    fn code(&self, inner: Inner, filling: &Filling) -> Result<String> {
        match (inner, &filling.literal) {
            (Inner::Comment, _) => Ok(" ".to_owned()),
            (Inner::Quoted(quoted), _) => within(quoted, filling, &filling.text),
            (Inner::Plain, None) if filling.text.contains(is_special) => filling.refuse(SPECIAL),
            (Inner::Plain, _) => Ok(filling.text.clone()),
            (Inner::Open(_) | Inner::Unknown(_), None)
                if filling.is_name && is_part(filling, &filling.text) =>
            {
                Ok(filling.text.clone())
            }
            (Inner::Open(_), None) => filling.refuse(OPEN),
            (Inner::Unknown(_), None) => filling.refuse(UNKNOWN),
            (Inner::Open(beside), Some(literal)) => self.open_in_code(beside, filling, literal),
            (Inner::Unknown(beside), Some(literal)) => {
                let joins =
                    beside.after.is_some_and(|c| self.dialect.continues_word(c) || c == '.');
                let apart = |c: char| c.is_whitespace() || "(,=<>'\"".contains(c);
                match is_digits(literal) || (beside.before.is_some_and(apart) && !joins) {
                    true => Ok(literal.clone()),
                    false => filling.refuse(BESIDE),
                }
            }
        }
    }

    fn open_in_code(&self, beside: Neighbours, filling: &Filling, literal: &str) -> Result<String> {
        if is_digits(literal) {
            return Ok(literal.to_owned());
        }
        let before = separator(self.dialect, filling, beside.before, literal)?;
        let joins = |c: char| self.dialect.continues_word(c) || "'\"`.".contains(c);
        let after = if beside.after.is_some_and(joins) { " " } else { "" };
        Ok(format!("{before}{literal}{after}"))
    }
}

/// What stands between the character `before` and `operand`.
fn separator(
    dialect: &Dialect,
    filling: &Filling,
    before: Option<char>,
    operand: &str,
) -> Result<&'static str> {
    let Some(before) = before else { return Ok("") };
    let is_number = operand.starts_with(|c: char| c == '(' || c.is_ascii_digit());
    if is_number && (dialect.continues_word(before) || before == '.') {
        return filling.refuse(BESIDE);
    }
    let is_apart = before.is_whitespace() || "([{,;=<>+-*/%|^~!".contains(before);
    Ok(if is_apart { "" } else { " " })
}

/// Whether `operand` may continue a word, because it is one token whatever it is.
fn is_part(filling: &Filling, operand: &str) -> bool {
    is_digits(operand) || (filling.is_name && !operand.is_empty() && operand.chars().all(is_word))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Whether `c` may end a string, or begin an escape, in some language.
fn is_special(c: char) -> bool {
    c.is_control() || "'\"`\\${}\u{2028}\u{2029}".contains(c)
}

/// `text`, written within `quoted`.
fn within(quoted: Quoted, filling: &Filling, text: &str) -> Result<String> {
    let quote = quoted.quote;
    if quote.holds == Holds::Name && text.is_empty() {
        return filling.refuse(&format!("must not be empty within {}", quote.open));
    }
    if quoted.raw {
        return match text.contains(['\'', '"', '\\', '\n', '\r']) {
            true => filling.refuse("has characters that cannot be escaped within a raw string"),
            false => Ok(text.to_owned()),
        };
    }
    match quote.escapes {
        Escapes::Backslash | Escapes::BackslashOrDoubled => Ok(escape(text, quote.close)),
        Escapes::Doubled => Ok(text.replace(quote.close, &quote.close.repeat(2))),
        Escapes::None if touches(text, quote.close) => {
            let (open, close) = (quote.open, quote.close);
            filling.refuse(&format!("must not contain {close}, nor begin or end with its signs, because {open}…{close} has no escapes"))
        }
        Escapes::None => Ok(text.to_owned()),
        Escapes::Path(signs) => {
            let is_path = |c: char| c.is_alphanumeric() || signs.contains(c);
            match text.chars().all(is_path) {
                true => Ok(text.to_owned()),
                false => filling.refuse(&format!(
                    "must be a name of letters, digits and {signs}, because it is within {}",
                    quote.open
                )),
            }
        }
    }
}

/// Whether `text` could complete `close`, together with what is beside it.
fn touches(text: &str, close: &str) -> bool {
    let is_sign = |c: char| close.contains(c);
    text.contains(close) || text.starts_with(is_sign) || text.ends_with(is_sign)
}

/// `text` with a backslash before what quotes that end in `close` cannot contain.
fn escape(text: &str, close: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if c == '\\' || close.contains(c) => escaped.extend(['\\', c]),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// The error for the parameter `name` in a comment that swallows the rest of its statement.
#[must_use]
pub fn swallowed(name: &str) -> Error {
    Error::invalid(format!(
        "template.sql.statement: {name} must not be in a comment to the end of the line, because Flyte \
         joins lines into one: use /* … */"
    ))
}

const RUNS: &str = "must not be a string here, because the statement runs it as code";
const OPEN: &str = "must be a number here, because the string around it is run as code; write a string within \
                    quotes in that code, or pass it with USING";
const UNKNOWN: &str = "must be a number here, because the string around it may be run as code and is not a \
                       whole statement, or is in another language; pass a string as a parameter";
const SPECIAL: &str = "must not contain quotes, backslashes, dollar signs, braces or control characters, \
                       because the string around it may be run as code in a language with other escapes";
const BESIDE: &str = "must be a whole number and not negative, because it is right beside a word, sign or \
                      end of a string";
