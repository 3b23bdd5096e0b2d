//! Text with expressions in it.

use std::sync::Arc;

use super::{ANY_KEY, EvalError, Expr, Scope, words};
use crate::{
    located::{Origin, Place, Source},
    mistake::Mistake,
    names::Names,
};

/// Text with `${expression}` in it, or, as a whole, one `=expression`. `$${` stands for `${`.
#[derive(Debug, Default)]
pub(crate) struct Text(Vec<Part>);

#[derive(Debug)]
enum Part {
    Literal(String),
    Expr(Expr),
}

impl Text {
    /// Compiles `text`.
    ///
    /// # Errors
    /// The first mistake.
    pub(crate) fn compile(
        text: &str,
        place: Place,
        file: &Arc<Source>,
        names: &Names,
    ) -> Result<Self, Mistake> {
        let this = Self::of_parts(text, place, file, names)?;
        match this.known() {
            Some(Err(error)) => {
                let message = error.to_string();
                let place = error.into_origin().map_or(place, |origin| origin.place());
                Err(Mistake::new(place, message))
            }
            Some(Ok(_)) | None => Ok(this),
        }
    }

    fn of_parts(
        text: &str,
        place: Place,
        file: &Arc<Source>,
        names: &Names,
    ) -> Result<Self, Mistake> {
        if let Some(expression) = text.strip_prefix('=') {
            return Ok(Self(vec![Part::Expr(Expr::compile(expression, place, file, names)?)]));
        }
        let mut parts = Vec::new();
        let (mut literal, mut rest) = (String::new(), text);
        while let Some(at) = rest.find("${") {
            let (before, after) = rest.split_at(at);
            if let Some(escaped) = before.strip_suffix('$') {
                literal.extend([escaped, "${"]);
                rest = &after[2..];
                continue;
            }
            literal.push_str(before);
            let Some(end) = words::end_of_braces(&after[2..]) else {
                return Err(Mistake::new(place.of_word("${", &file.text), "`${` is not closed")
                    .help("write $${ for the characters themselves".to_owned()));
            };
            parts.push(Part::Literal(std::mem::take(&mut literal)));
            parts.push(Part::Expr(Expr::compile(&after[2..2 + end], place, file, names)?));
            rest = &after[2 + end + 1..];
        }
        literal.push_str(rest);
        parts.push(Part::Literal(literal));
        parts.retain(|part| !matches!(part, Part::Literal(text) if text.is_empty()));
        Ok(Self(parts))
    }

    /// The text; `None` if it is one expression without a value.
    ///
    /// # Errors
    /// An expression within text has no value, or is no scalar.
    pub(crate) fn eval(&self, scope: &Scope) -> Result<Option<String>, EvalError> {
        if let [Part::Expr(only)] = self.0.as_slice() {
            return only.eval_text(scope);
        }
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Expr(expr) => {
                    text += &expr.eval_text(scope)?.ok_or_else(|| expr.absent())?;
                }
            }
        }
        Ok(Some(text))
    }

    /// The text, if no task and no answer decides it.
    pub(crate) fn known(&self) -> Option<Result<Option<String>, EvalError>> {
        let mut expressions = self.expressions();
        expressions.all(Expr::is_known).then(|| self.eval(&ANY_KEY))
    }

    /// Whether it is known that it has no value, or an empty one.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self.known(), Some(Ok(text)) if text.as_ref().is_none_or(String::is_empty))
    }

    /// Whether it is the same for every task.
    pub(crate) fn is_constant(&self) -> bool {
        self.expressions().all(Expr::is_constant)
    }

    fn expressions(&self) -> impl Iterator<Item = &Expr> {
        self.0.iter().filter_map(|part| match part {
            Part::Literal(_) => None,
            Part::Expr(expr) => Some(expr),
        })
    }

    /// Its first expression.
    pub(crate) fn first(&self) -> Option<&Expr> {
        self.expressions().next()
    }

    /// Where its first expression is.
    pub(crate) fn origin(&self) -> Option<&Origin> {
        self.first().and_then(Expr::origin)
    }

    /// An error about it.
    pub(crate) fn error(&self, message: impl Into<String>) -> EvalError {
        match self.first() {
            Some(expr) => expr.wrong(message.into()),
            None => EvalError::new(message.into(), None),
        }
    }

    /// The text without expressions, if it has none.
    pub(crate) fn literal(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Part::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// Whether an expression uses `name`.
    pub(crate) fn uses(&self, name: &str) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Expr(expr) if expr.uses(name)))
    }
}
