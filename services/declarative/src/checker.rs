//! Compiles the parts of a file, and collects their mistakes.

use std::sync::Arc;

use plugin_core::{http::HeaderName, serde_json::Value as Json};

use crate::{
    expression::{Expr, Text, Wanted},
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

    /// One expression, the part `part` of the file, which is as `wanted` if its value is known.
    pub(crate) fn expr_of(
        &mut self,
        text: &At<String>,
        names: &Names,
        part: &str,
        wanted: Wanted,
    ) -> Expr {
        let expr = self.expr(text, names);
        self.known_expr(&expr, text.place, part, wanted);
        expr
    }

    /// Checks that `expr`, the part `part` of the file, is as `wanted` if its value is known.
    pub(crate) fn known_expr(&mut self, expr: &Expr, place: Place, part: &str, wanted: Wanted) {
        let Some(Ok(value)) = expr.known() else { return };
        if let Some(wrong) = wanted.wrong(part, value.as_ref()) {
            self.mistake(place, wrong);
        }
    }

    pub(crate) fn optional_text(
        &mut self,
        text: Option<&At<String>>,
        names: &Names,
    ) -> Option<Text> {
        text.map(|text| self.text(text, names))
    }

    /// Text, the part `part` of the file, which must have a value.
    pub(crate) fn required_text(&mut self, text: &At<String>, names: &Names, part: &str) -> Text {
        let before = self.mistakes.len();
        let compiled = self.text(text, names);
        if self.mistakes.len() == before && compiled.is_absent() {
            self.mistake(text.place, format!("{part}: has no value"));
        }
        compiled
    }

    /// A value without expressions, the part `part` of the file.
    pub(crate) fn literal(&mut self, node: &Node, part: &str) -> Option<Json> {
        if let Some(place) = node.expression() {
            let mistake = Mistake::new(place, format!("{part}: must have no expressions"));
            self.wrong(mistake.help("it is the same for every task: write the value".to_owned()));
            return None;
        }
        let before = self.mistakes.len();
        let value = self.value(node, &Names::default()).literal();
        value.filter(|_| self.mistakes.len() == before)
    }

    /// Values that become text, the part `part` of the file.
    pub(crate) fn scalars(
        &mut self,
        nodes: &Entries<Node>,
        names: &Names,
        part: &str,
    ) -> Vec<(String, Value)> {
        let named = nodes.0.iter().map(|(name, node)| {
            let part = format!("{part}.{}", name.value);
            (name.value.clone(), self.scalar(node, names, &part))
        });
        named.collect()
    }

    /// A value that becomes text, the part `part` of the file.
    pub(crate) fn scalar(&mut self, node: &Node, names: &Names, part: &str) -> Value {
        let value = self.value(node, names);
        if let Some(kind) = value.is_no_scalar() {
            let message =
                format!("{part}: must be a string, a number or a truth value, not {kind}");
            self.mistake(node.place, message);
        }
        value
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
