//! Finds the placeholders of a statement.

use std::collections::BTreeSet;

use plugin_core::{
    sql::{Found, Kind, Token},
    task::placeholder::{Placeholder, find_at},
};

use super::{is_one_of, takes_a_literal};

/// Finds placeholders in `text`, from its start to its end.
pub(super) struct Finder<'a, 'i> {
    text: &'a str,
    inputs: &'i BTreeSet<&'i str>,
    /// The bytes before this one are part of a `%%`.
    escaped_until: usize,
    /// How many tokens were read.
    seen: usize,
    last: Last<'a>,
    script: Script,
}

/// The last token that is no comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last<'a> {
    Nothing,
    Word(&'a str),
    Sign(char),
    /// A number, string, quoted name or placeholder.
    Operand,
}

impl<'a, 'i> Finder<'a, 'i> {
    pub(super) fn new(text: &'a str, inputs: &'i BTreeSet<&'i str>) -> Self {
        let script = Script::default();
        Self { text, inputs, escaped_until: 0, seen: 0, last: Last::Nothing, script }
    }

    /// The placeholder at byte `at`. `before` are the tokens before it, unless it is within quotes or a
    /// comment.
    pub(super) fn find(&mut self, at: usize, before: Option<&[Token]>) -> Found<Placeholder<'a>> {
        let rest = &self.text[at..];
        if rest.starts_with("{{") {
            let found = find_at(self.text, at)?;
            return Some((found.placeholder, found.range.len()));
        }
        if self.inputs.is_empty() || at < self.escaped_until {
            return None;
        }
        if rest.starts_with("%%") {
            // pyformat's escape for one percent sign.
            self.escaped_until = at + "%%".len();
            return None;
        }
        if let Some(inner) = rest.strip_prefix("%(") {
            let name = word(inner);
            let closed = !name.is_empty() && inner[name.len()..].starts_with(")s");
            return closed.then_some((Placeholder::Input(name), name.len() + "%()s".len()));
        }
        let name = rest.strip_prefix(':').map(word).filter(|name| self.inputs.contains(name))?;
        let is_placeholder = self.is_free(at, before?) && !self.script.has_variable(name);
        is_placeholder.then_some((Placeholder::Input(name), name.len() + 1))
    }

    /// Whether an operand may begin at byte `at`: a colon after one is a cast or a path into a VARIANT.
    fn is_free(&mut self, at: usize, before: &[Token]) -> bool {
        for token in &before[self.seen..] {
            self.token(token);
        }
        self.seen = before.len();
        let previous = self.text[..at].chars().next_back();
        let is_apart = previous.is_none_or(|c| c.is_whitespace() || "(,=<>+-*/|!%[;".contains(c));
        is_apart
            && match self.last {
                Last::Nothing => true,
                Last::Word(word) => is_one_of(word, BEFORE_OPERANDS) || takes_a_literal(word),
                Last::Sign(sign) => !")]:.$".contains(sign),
                Last::Operand => false,
            }
    }

    fn token(&mut self, token: &Token) {
        let text = &self.text[token.range.clone()];
        let last = match token.kind {
            Kind::LineComment | Kind::BlockComment => return,
            Kind::Word => Last::Word(text),
            Kind::Sign(sign) => Last::Sign(sign),
            Kind::Number | Kind::Quoted(_) | Kind::Hole(_) => Last::Operand,
        };
        self.script.token(self.last, last, &self.text[token.range.end..]);
        self.last = last;
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

/// What is known of Snowflake Scripting, in whose blocks `:x` is a variable.
struct Script {
    /// The blocks and `CASE`s that have begun and not ended.
    open: Vec<Block>,
    /// Whether a `DECLARE` waits for its `BEGIN`.
    declares: bool,
    starts_statement: bool,
    /// The variables that `LET` declared, in upper case.
    variables: BTreeSet<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Block {
    Begin,
    Case,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            open: Vec::new(),
            declares: false,
            starts_statement: true,
            variables: BTreeSet::new(),
        }
    }
}

impl Script {
    fn has_variable(&self, name: &str) -> bool {
        self.is_within() || self.variables.contains(&name.to_uppercase())
    }

    fn is_within(&self) -> bool {
        self.declares || !self.open.is_empty()
    }

    /// Reads `token`, which comes after `last` and before `rest`.
    fn token(&mut self, last: Last<'_>, token: Last<'_>, rest: &str) {
        let starts = self.starts_statement || last_is(last, "AS");
        self.starts_statement = token == Last::Sign(';');
        let Last::Word(word) = token else { return };
        if last_is(last, "LET") {
            self.variables.insert(word.to_uppercase());
        }
        let is = |known: &str| word.eq_ignore_ascii_case(known);
        match () {
            () if is("DECLARE") && starts => self.declares = true,
            () if is("BEGIN") && starts && !begins_transaction(rest) => {
                self.declares = false;
                self.open.push(Block::Begin);
                self.starts_statement = true;
            }
            () if is("CASE") && self.is_within() && !last_is(last, "END") => {
                self.open.push(Block::Case);
            }
            () if is("END") => self.end(starts, rest),
            () => {
                let opens = is_one_of(word, &["THEN", "ELSE", "DO", "LOOP", "REPEAT"]);
                self.starts_statement = opens && self.is_within();
            }
        }
    }

    fn end(&mut self, starts: bool, rest: &str) {
        let ends = match self.open.last() {
            Some(Block::Case) => true,
            // A column may be named so.
            Some(Block::Begin) => starts,
            None => false,
        };
        let control = ["IF", "LOOP", "FOR", "WHILE", "REPEAT"];
        if ends && !(starts && is_one_of(word(rest.trim_start()), &control)) {
            self.open.pop();
        }
        if !self.is_within() {
            self.variables.clear();
        }
    }
}

fn last_is(last: Last<'_>, known: &str) -> bool {
    matches!(last, Last::Word(word) if word.eq_ignore_ascii_case(known))
}

/// Whether a `BEGIN` before `rest` starts a transaction and not a block of code.
fn begins_transaction(rest: &str) -> bool {
    let after = rest.trim_start();
    let next = word(after);
    after.is_empty() || after.starts_with(';') || is_one_of(next, &["TRANSACTION", "WORK", "NAME"])
}

/// Keywords after which an operand comes, so that a colon cannot begin a path.
const BEFORE_OPERANDS: &[&str] = &[
    "ALL",
    "AND",
    "ANY",
    "AS",
    "AT",
    "BEFORE",
    "BERNOULLI",
    "BETWEEN",
    "BY",
    "CALL",
    "CASE",
    "DEFAULT",
    "DISTINCT",
    "ELSE",
    "ELSEIF",
    "ESCAPE",
    "EXCEPT",
    "FETCH",
    "FIRST",
    "FROM",
    "HAVING",
    "IF",
    "ILIKE",
    "IMMEDIATE",
    "IN",
    "INTERSECT",
    "INTO",
    "IS",
    "LIKE",
    "LIMIT",
    "MINUS",
    "NEXT",
    "NOT",
    "OFFSET",
    "ON",
    "OR",
    "QUALIFY",
    "RANGE",
    "REGEXP",
    "REPEATABLE",
    "RETURN",
    "RLIKE",
    "ROW",
    "ROWS",
    "SAMPLE",
    "SEED",
    "SELECT",
    "SET",
    "SOME",
    "SYSTEM",
    "TABLE",
    "THEN",
    "TO",
    "TOP",
    "UNION",
    "UNTIL",
    "USING",
    "VALUES",
    "WHEN",
    "WHERE",
    "WHILE",
    "WITH",
    "XOR",
];
