//! Values that may contain expressions.

use std::sync::Arc;

use plugin_core::serde_json::{Map, Value as Json};

use crate::{
    expression::{EvalError, Expr, Scope, Text, kind, scalar},
    located::{Place, Source},
    mistake::Mistake,
    names::Names,
    node::{Node, Tree},
};

/// A compiled value.
#[derive(Debug)]
pub(crate) enum Value {
    Literal(Json),
    Expr(Expr),
    Text(Text),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
}

/// An integer that YAML read as another number, because it is too large, or begins with a zero.
fn ambiguous(json: &Json, place: Place, file: &str) -> Option<Mistake> {
    let text = file.get(place.start..place.end)?.trim_start_matches(['+', '-']);
    let is_integer = text.chars().all(|sign| sign.is_ascii_digit() || sign == '_');
    if !json.is_f64() || !is_integer {
        return None;
    }
    let (message, help) = match text.starts_with('0') {
        true => {
            ("a number does not begin with a zero", "write 0o10 for octal, or \"010\" for text")
        }
        false => ("the integer is larger than 64 bits", "write it as text, in quotes"),
    };
    Some(Mistake::new(place, message).help(help.to_owned()))
}

impl Value {
    /// Compiles `node`. Its mistakes are added to `mistakes`.
    pub(crate) fn compile(
        node: &Node,
        file: &Arc<Source>,
        names: &Names,
        mistakes: &mut Vec<Mistake>,
    ) -> Self {
        let compiled = match &node.tree {
            Tree::Scalar(json) => {
                mistakes.extend(ambiguous(json, node.place, &file.text));
                return Self::Literal(json.clone());
            }
            Tree::List(items) => {
                let items = items.iter().map(|item| Self::compile(item, file, names, mistakes));
                return Self::List(items.collect());
            }
            Tree::Map(entries) => {
                let entries = entries.iter().map(|(name, value)| {
                    (name.value.clone(), Self::compile(value, file, names, mistakes))
                });
                return Self::Map(entries.collect());
            }
            Tree::Text(text) => match text.strip_prefix('=') {
                Some(source) => Expr::compile(source, node.place, file, names).map(Self::Expr),
                None => {
                    Text::compile(text, node.place, file, names).map(|text| match text.literal() {
                        Some(literal) => Self::Literal(literal.into()),
                        None => Self::Text(text),
                    })
                }
            },
        };
        compiled.unwrap_or_else(|mistake| {
            mistakes.push(mistake);
            Self::Literal(Json::Null)
        })
    }

    /// The value; `None` if an expression has none. In lists and maps these are left out.
    pub(crate) fn eval(&self, scope: &Scope) -> Result<Option<Json>, EvalError> {
        Ok(Some(match self {
            Self::Literal(json) => json.clone(),
            Self::Expr(expr) => return expr.eval(scope),
            Self::Text(text) => return Ok(text.eval(scope)?.map(Json::String)),
            Self::List(items) => {
                let items = items.iter().filter_map(|item| item.eval(scope).transpose());
                Json::Array(items.collect::<Result<_, _>>()?)
            }
            Self::Map(entries) => {
                let mut map = Map::new();
                for (name, value) in entries {
                    if let Some(value) = value.eval(scope)? {
                        map.insert(name.clone(), value);
                    }
                }
                Json::Object(map)
            }
        }))
    }

    /// The value as text, for headers and queries; `None` if it has none, or null.
    pub(crate) fn eval_text(&self, scope: &Scope) -> Result<Option<String>, EvalError> {
        match self.eval(scope)? {
            None | Some(Json::Null) => Ok(None),
            Some(json) => match scalar(&json) {
                Some(text) => Ok(Some(text)),
                None => Err(self.error("must be a string, a number or a truth value")),
            },
        }
    }

    /// An error about it.
    pub(crate) fn error(&self, message: &str) -> EvalError {
        match self.first() {
            Some(expr) => expr.wrong(message.to_owned()),
            None => EvalError::new(message.to_owned(), None),
        }
    }

    /// Its first expression.
    fn first(&self) -> Option<&Expr> {
        match self {
            Self::Literal(_) => None,
            Self::Expr(expr) => Some(expr),
            Self::Text(text) => text.first(),
            Self::List(items) => items.iter().find_map(Self::first),
            Self::Map(entries) => entries.iter().find_map(|(_, value)| value.first()),
        }
    }

    /// What it is, if that is known and is no text: a list or an object.
    pub(crate) fn is_no_scalar(&self) -> Option<&'static str> {
        match self {
            Self::List(_) => Some("a list"),
            Self::Map(_) => Some("an object"),
            Self::Literal(_) | Self::Expr(_) | Self::Text(_) => self
                .known()?
                .filter(|json| !json.is_null() && scalar(json).is_none())
                .as_ref()
                .map(kind),
        }
    }

    /// The value, if no task and no answer decides it; but for lists and mappings, which have values in any case.
    pub(crate) fn known(&self) -> Option<Option<Json>> {
        match self {
            Self::Literal(json) => Some(Some(json.clone())),
            Self::Expr(expr) => expr.known()?.ok(),
            Self::Text(text) => Some(text.known()?.ok()?.map(Json::String)),
            Self::List(_) | Self::Map(_) => None,
        }
    }

    /// Whether an expression in it uses `name`.
    pub(crate) fn uses(&self, name: &str) -> bool {
        match self {
            Self::Literal(_) => false,
            Self::Expr(expr) => expr.uses(name),
            Self::Text(text) => text.uses(name),
            Self::List(items) => items.iter().any(|item| item.uses(name)),
            Self::Map(entries) => entries.iter().any(|(_, value)| value.uses(name)),
        }
    }

    /// The value, if it has no expressions.
    pub(crate) fn literal(&self) -> Option<Json> {
        self.eval(&Scope::default()).ok().flatten().filter(|_| self.is_literal())
    }

    fn is_literal(&self) -> bool {
        match self {
            Self::Literal(_) => true,
            Self::Expr(_) | Self::Text(_) => false,
            Self::List(items) => items.iter().all(Self::is_literal),
            Self::Map(entries) => entries.iter().all(|(_, value)| value.is_literal()),
        }
    }
}
