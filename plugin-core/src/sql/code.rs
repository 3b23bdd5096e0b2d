//! Which strings of a statement run as code, by the grammar around them.

use super::{
    decode::decoded,
    dialect::{Dialect, Holds, Runs, is_one_of},
    lexer::{Kind, Token},
    statement::begins_like_one,
};

/// What becomes of a string, or of a value between tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// It stays data.
    Data,
    /// It is a program from start to end.
    Code(Language),
    /// It may become a part of a program.
    Fragment,
}

/// The language of code in a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    /// The dialect of the statement.
    Same,
    /// Another one, or maybe another one.
    Other,
}

/// The role of each token of `text`.
pub(super) fn roles(dialect: &'static Dialect, text: &str, tokens: &[Token]) -> Vec<Role> {
    let is_comment = |kind| matches!(kind, Kind::LineComment | Kind::BlockComment);
    let tokens = tokens.iter().enumerate().filter(|(_, token)| !is_comment(token.kind));
    let (indices, tokens): (Vec<_>, Vec<_>) = tokens.unzip();
    let mut walk = Walk {
        dialect,
        text,
        tokens: &tokens,
        roles: vec![Role::Data; tokens.len()],
        frames: Vec::new(),
        immediate: None,
        runs_variables: false,
        defines: false,
        makes_routine: false,
        language: None,
    };
    (0..tokens.len()).for_each(|at| walk.token(at));
    walk.end_immediate();
    walk.strings_in_variables();
    let mut all = vec![Role::Data; indices.last().map_or(0, |last| last + 1)];
    indices.into_iter().zip(walk.roles).for_each(|(index, role)| all[index] = role);
    all
}

/// What a parenthesis makes of strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    Data,
    /// Code if it looks like a statement: the function is unknown.
    Maybe,
    Code(Language),
}

/// An open parenthesis.
struct Frame<'a> {
    /// The effect around it.
    outer: Effect,
    call: Call,
    argument: usize,
    /// The name of the argument, if it is passed by name.
    named: &'a str,
    /// Whether its current argument contains a statement.
    has_statement: bool,
}

#[derive(Clone, Copy)]
enum Call {
    /// A group, or a function whose strings are data.
    Plain,
    Unknown,
    Runs(&'static Runs),
    Options,
}

impl Frame<'_> {
    fn effect(&self) -> Effect {
        match self.call {
            Call::Plain => self.outer,
            Call::Options => Effect::Data,
            Call::Unknown if self.outer == Effect::Data => Effect::Maybe,
            Call::Unknown => self.outer,
            Call::Runs(runs) if self.is_argument_of(runs) => {
                Effect::Code(match runs.same_dialect {
                    true => Language::Same,
                    false => Language::Other,
                })
            }
            Call::Runs(_) => self.outer,
        }
    }

    fn is_argument_of(&self, runs: &Runs) -> bool {
        match self.named {
            "" => self.argument == runs.argument,
            name => runs.named.is_some_and(|known| known.eq_ignore_ascii_case(name)),
        }
    }
}

/// The argument of `EXECUTE IMMEDIATE`.
#[derive(Default)]
struct Immediate {
    depth: usize,
    strings: Vec<usize>,
    /// Whether there is more than a string.
    is_expression: bool,
}

struct Walk<'a, 't> {
    dialect: &'static Dialect,
    text: &'a str,
    tokens: &'t [&'t Token],
    roles: Vec<Role>,
    frames: Vec<Frame<'a>>,
    immediate: Option<Immediate>,
    /// Whether a variable is run, so that any string may be.
    runs_variables: bool,
    /// Whether the statement is a `CREATE` before its `AS`.
    defines: bool,
    /// Whether the statement creates a function or procedure.
    makes_routine: bool,
    /// The language that the statement names.
    language: Option<Language>,
}

impl<'a> Walk<'a, '_> {
    fn word_at(&self, at: Option<usize>) -> &'a str {
        match at.and_then(|at| self.tokens.get(at)) {
            Some(Token { kind: Kind::Word, range }) => &self.text[range.clone()],
            _ => "",
        }
    }

    fn sign_at(&self, at: Option<usize>) -> Option<char> {
        match at.and_then(|at| self.tokens.get(at))?.kind {
            Kind::Sign(sign) => Some(sign),
            _ => None,
        }
    }

    fn token(&mut self, at: usize) {
        match self.tokens[at].kind {
            Kind::Word => self.word(at),
            Kind::Sign(sign) => self.sign(at, sign),
            Kind::Quoted(quoted) if quoted.quote.holds == Holds::Text => self.string(at),
            Kind::Hole(_) => self.hole(at),
            Kind::Quoted(_) | Kind::Number => self.in_immediate(),
            Kind::LineComment | Kind::BlockComment => {}
        }
    }

    fn in_immediate(&mut self) {
        if let Some(immediate) = &mut self.immediate {
            immediate.is_expression = true;
        }
    }

    fn word(&mut self, at: usize) {
        let (word, last) = (self.word_at(Some(at)), self.word_at(at.checked_sub(1)));
        let is = |known: &[&str]| is_one_of(word, known);
        if is(&["IMMEDIATE"]) && is_one_of(last, &["EXECUTE"]) {
            self.immediate = Some(Immediate { depth: self.frames.len(), ..Immediate::default() });
            return;
        }
        if self.immediate.is_some() {
            if is(&["INTO", "USING", "FROM"]) {
                self.end_immediate();
            } else {
                let before = self.sign_at(at.checked_sub(1));
                self.runs_variables |=
                    before != Some('@') && self.sign_at(Some(at + 1)) != Some('(');
                self.in_immediate();
            }
        }
        if is_one_of(last, &["LANGUAGE"]) {
            self.language = Some(if is(&["SQL"]) { Language::Same } else { Language::Other });
        }
        if self.frames.is_empty() {
            self.makes_routine |= is(&["FUNCTION", "PROCEDURE"]);
            self.defines = (self.defines || is(&["CREATE"])) && !is(&["AS"]);
        }
    }

    fn sign(&mut self, at: usize, sign: char) {
        if !matches!(sign, '(' | ')') {
            self.in_immediate();
        }
        match sign {
            '(' => self.open(at),
            ')' => {
                self.frames.pop();
                if self.immediate.as_ref().is_some_and(|it| it.depth > self.frames.len()) {
                    self.end_immediate();
                }
            }
            ';' => self.end_statement(),
            _ => {}
        }
        let name = self.word_at(at.checked_sub(2));
        let is_arrow = sign == '>' && self.sign_at(at.checked_sub(1)) == Some('=');
        match (self.frames.last_mut(), sign) {
            (Some(frame), ',') => {
                (frame.argument, frame.named) = (frame.argument + 1, "");
                // The arguments of CONCAT become one string.
                let joins = matches!(frame.call, Call::Plain) && frame.outer != Effect::Data;
                frame.has_statement &= joins;
            }
            (Some(frame), _) if is_arrow => frame.named = name,
            _ => {}
        }
    }

    fn open(&mut self, at: usize) {
        let outer = self.frames.last().map_or(Effect::Data, Frame::effect);
        let call = self.call(at.checked_sub(1));
        let has_statement = self.frames.last().is_some_and(|frame| frame.has_statement);
        self.frames.push(Frame { outer, call, argument: 0, named: "", has_statement });
    }

    /// What the parenthesis after the token `before` is.
    fn call(&self, before: Option<usize>) -> Call {
        let name = self.word_at(before);
        let quoted = before.is_some_and(|at| matches!(self.tokens[at].kind, Kind::Quoted(_)));
        let runs = self.dialect.runs.iter();
        match () {
            () if is_one_of(name, &["OPTIONS"]) => Call::Options,
            // The columns of a table, or the parameters of a function.
            () if self.defines && self.frames.is_empty() => Call::Plain,
            () if name.is_empty() && !quoted => Call::Plain,
            () if is_one_of(name, GROUPS) || is_one_of(name, self.dialect.plain) => Call::Plain,
            () => runs
                .filter(|runs| runs.function.eq_ignore_ascii_case(name))
                .map(Call::Runs)
                .next()
                .unwrap_or(Call::Unknown),
        }
    }

    fn string(&mut self, at: usize) {
        if let Some(immediate) = &mut self.immediate {
            immediate.strings.push(at);
            return;
        }
        let follows_as = is_one_of(self.word_at(at.checked_sub(1)), &["AS"]);
        if follows_as && self.makes_routine && self.frames.is_empty() {
            let default = match self.dialect.bodies_are_sql {
                true => Language::Same,
                false => Language::Other,
            };
            self.roles[at] = Role::Code(self.language.unwrap_or(default));
            return;
        }
        let Some(frame) = self.frames.last() else { return };
        let (effect, after_statement) = (frame.effect(), frame.has_statement);
        let is_whole = matches!(frame.call, Call::Runs(_)) && self.is_whole_argument(at);
        self.roles[at] = match effect {
            Effect::Code(language) if is_whole => Role::Code(language),
            Effect::Code(_) => Role::Fragment,
            Effect::Maybe if self.begins_like_a_statement(at) => {
                // Around a frame with a statement, every frame has one.
                let frames = self.frames.iter_mut().rev().take_while(|frame| !frame.has_statement);
                frames.for_each(|frame| frame.has_statement = true);
                Role::Code(Language::Other)
            }
            Effect::Maybe if after_statement => Role::Fragment,
            Effect::Maybe | Effect::Data => Role::Data,
        };
    }

    /// A value between tokens is code if a string in its place would be.
    fn hole(&mut self, at: usize) {
        self.in_immediate();
        let frame = self.frames.last();
        let runs = frame.is_some_and(|frame| match frame.effect() {
            Effect::Code(_) => true,
            Effect::Maybe => frame.has_statement,
            Effect::Data => false,
        });
        if runs || self.immediate.is_some() {
            self.roles[at] = Role::Fragment;
        }
    }

    fn is_whole_argument(&self, at: usize) -> bool {
        let before = self.sign_at(at.checked_sub(1));
        let after = self.sign_at(Some(at + 1));
        matches!(before, Some('(' | ',' | '>')) && matches!(after, Some(')' | ',') | None)
    }

    fn begins_like_a_statement(&self, at: usize) -> bool {
        let Token { kind: Kind::Quoted(quoted), range } = self.tokens[at] else { return false };
        begins_like_one(&decoded(self.text, range, *quoted, &[]).text)
    }

    fn end_statement(&mut self) {
        self.end_immediate();
        self.frames.clear();
        (self.defines, self.makes_routine, self.language) = (false, false, None);
    }

    fn end_immediate(&mut self) {
        let Some(Immediate { strings, is_expression, .. }) = self.immediate.take() else { return };
        let whole = strings.len() == 1 && !is_expression;
        for at in strings {
            self.roles[at] = if whole { Role::Code(Language::Same) } else { Role::Fragment };
        }
    }

    /// Where a variable is run, any other string may be in it.
    fn strings_in_variables(&mut self) {
        if !self.runs_variables {
            return;
        }
        for (at, token) in self.tokens.iter().enumerate() {
            let is_string = matches!(token.kind, Kind::Quoted(it) if it.quote.holds == Holds::Text);
            if is_string && self.roles[at] == Role::Data {
                self.roles[at] = match self.begins_like_a_statement(at) {
                    true => Role::Code(Language::Other),
                    false => Role::Fragment,
                };
            }
        }
    }
}

/// Keywords before a parenthesis, which make no function of it.
const GROUPS: &[&str] = &[
    "ALL",
    "AND",
    "ANY",
    "AS",
    "BETWEEN",
    "BY",
    "CASE",
    "DISTINCT",
    "ELSE",
    "EXCEPT",
    "EXISTS",
    "FILTER",
    "FROM",
    "HAVING",
    "ILIKE",
    "IN",
    "INTERSECT",
    "INTO",
    "IS",
    "JOIN",
    "LIKE",
    "LIMIT",
    "MINUS",
    "NOT",
    "OFFSET",
    "ON",
    "OR",
    "OVER",
    "PIVOT",
    "QUALIFY",
    "RETURN",
    "RLIKE",
    "SELECT",
    "SET",
    "SOME",
    "TABLE",
    "THEN",
    "TOP",
    "UNION",
    "UNPIVOT",
    "USING",
    "VALUES",
    "WHEN",
    "WHERE",
    "WITH",
    "XOR",
];
