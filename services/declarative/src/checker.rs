//! Compiles the parts of a file, and collects their mistakes.

use std::sync::Arc;

use plugin_core::http::HeaderName;

use crate::{
    expression::{Expr, Text},
    located::{At, Entries, Place, Source},
    mistake::Mistake,
    names::Names,
    node::Node,
    value::Value,
};

/// Compiles the parts of the file `source`.
pub(crate) struct Checker<'a> {
    pub(crate) source: &'a Arc<Source>,
    pub(crate) mistakes: Vec<Mistake>,
    /// The header of the credentials, once it is known.
    pub(crate) credentials: Option<HeaderName>,
}

impl Checker<'_> {
    pub(crate) fn mistake(&mut self, place: Place, message: impl Into<String>) {
        self.mistakes.push(Mistake::new(place, message));
    }

    pub(crate) fn wrong(&mut self, mistake: Mistake) {
        self.mistakes.push(mistake);
    }

    /// Text, which may have expressions.
    pub(crate) fn text(&mut self, text: &At<String>, names: &Names) -> Text {
        Text::compile(&text.value, text.place, self.source, names).unwrap_or_else(|mistake| {
            self.wrong(mistake);
            Text::default()
        })
    }

    /// One expression: `=…`.
    pub(crate) fn expr(&mut self, text: &At<String>, names: &Names) -> Expr {
        let compiled = match text.value.strip_prefix('=') {
            Some(source) => Expr::compile(source, text.place, self.source, names),
            None => Err(Mistake::new(text.place, "must be an expression, which begins with `=`")),
        };
        compiled.unwrap_or_else(|mistake| {
            self.wrong(mistake);
            Expr::nothing()
        })
    }

    pub(crate) fn optional_expr(
        &mut self,
        text: Option<&At<String>>,
        names: &Names,
    ) -> Option<Expr> {
        text.map(|text| self.expr(text, names))
    }

    pub(crate) fn optional_text(
        &mut self,
        text: Option<&At<String>>,
        names: &Names,
    ) -> Option<Text> {
        text.map(|text| self.text(text, names))
    }

    pub(crate) fn value(&mut self, node: &Node, names: &Names) -> Value {
        Value::compile(node, self.source, names, &mut self.mistakes)
    }

    pub(crate) fn values(&mut self, nodes: &Entries<Node>, names: &Names) -> Vec<(String, Value)> {
        let compiled =
            nodes.0.iter().map(|(name, node)| (name.value.clone(), self.value(node, names)));
        compiled.collect()
    }

    pub(crate) fn texts(
        &mut self,
        texts: &Entries<At<String>>,
        names: &Names,
    ) -> Vec<(String, Text)> {
        let compiled =
            texts.0.iter().map(|(name, text)| (name.value.clone(), self.text(text, names)));
        compiled.collect()
    }

    /// A name of letters, digits and `_`, which expressions can use.
    pub(crate) fn identifier(&mut self, name: &At<String>) {
        let first = name.value.chars().next();
        let is_letter = |letter: char| letter.is_ascii_alphabetic() || letter == '_';
        let is_fine = first.is_some_and(is_letter)
            && name.value.chars().all(|letter| is_letter(letter) || letter.is_ascii_digit());
        if !is_fine {
            let message = format!(
                "`{}` is no name: use letters, digits and _, and a letter first",
                name.value
            );
            self.mistake(name.place, message);
        }
    }
}
