//! Renders a task's inputs into its statement so that no value can escape its lexical context.
//!
//! | where | what an input becomes |
//! |---|---|
//! | outside of quotes, in a query or DML | `?`, and a bind variable; a list becomes `?,?,…` |
//! | outside of quotes elsewhere: DDL, several statements, own `?`, `DATE …` | a literal, escaped; a list of them |
//! | in `'…'` | a string, escaped |
//! | in `"…"` | a string, with `"` doubled |
//! | in `$$…$$`, and in `'…'` that is code | a string, if it is a word or number |
//! | in a comment | nothing |

use std::borrow::Cow;

use plugin_core::{
    Context, Error, Result, Value,
    context::Filling,
    serde_json::{Map, Value as Json},
    task::{Inputs, placeholder::Placeholder},
};

use crate::{
    literal,
    sql::{Piece, Place, split},
};

/// The most bytes of a statement and its bindings: it may contain one input many times.
const MAX_BYTES: usize = 8 << 20;
/// The size of a binding without its value.
const BINDING_BYTES: usize = r#""100000":{"type":"BOOLEAN","value":""},"#.len();

/// A statement, ready to be sent.
#[derive(Debug, PartialEq)]
pub(crate) struct Rendered {
    pub(crate) statement: String,
    pub(crate) bindings: Map<String, Json>,
    /// Whether there are several statements.
    pub(crate) several: bool,
}

/// Renders `inputs` into `statement`; in a `batch` the row after `VALUES` is repeated.
///
/// # Errors
/// `InvalidArgument` with the input that cannot be rendered in its context.
pub(crate) fn render(
    cx: &Context,
    statement: &str,
    inputs: &Inputs,
    batch: bool,
) -> Result<Rendered> {
    let is_input = |name: &str| inputs.iter().any(|(known, _)| known == name);
    let parts = split(statement, !inputs.is_empty(), &is_input)?;
    let binds = parts.can_bind();
    let mut renderer = Renderer {
        cx,
        inputs,
        binds,
        one_line: !statement.contains('\n'),
        out: String::new(),
        bindings: Vec::new(),
        bound: 0,
    };
    if batch {
        renderer.batch(&parts.pieces)?;
    } else {
        renderer.all(&parts.pieces, None)?;
    }
    let numbered = renderer.bindings.into_iter().zip(1_usize..);
    Ok(Rendered {
        statement: renderer.out,
        bindings: numbered.map(|(binding, number)| (number.to_string(), binding)).collect(),
        several: parts.statements > 1,
    })
}

struct Renderer<'a> {
    cx: &'a Context,
    inputs: &'a Inputs,
    binds: bool,
    /// Whether Flyte's SDKs may have joined the statement's lines.
    one_line: bool,
    out: String,
    bindings: Vec<Json>,
    /// The size of the bindings in bytes.
    bound: usize,
}

impl<'a> Renderer<'a> {
    /// Repeats the row after `VALUES` for each item of the lists.
    fn batch(&mut self, pieces: &[Piece<'_>]) -> Result<()> {
        let position = |wanted: &Piece<'_>| pieces.iter().position(|piece| piece == wanted);
        let rows = pieces.iter().filter(|piece| **piece == Piece::RowStart).count();
        let (Some(start), Some(end), 1) =
            (position(&Piece::RowStart), position(&Piece::RowEnd), rows)
        else {
            return Err(Error::invalid(format!(
                "custom.batch: the statement must have one VALUES (…) to repeat, but has {rows}"
            )));
        };
        self.all(&pieces[..start], None)?;
        for row in 0..self.rows()? {
            if row > 0 {
                self.out.push_str(", ");
            }
            self.all(&pieces[start..end], Some(row))?;
        }
        self.all(&pieces[end..], None)
    }

    /// The common length of all lists.
    fn rows(&self) -> Result<usize> {
        let lists = self.inputs.iter().filter_map(|(name, input)| match &input.value {
            Value::List(items) => Some((name, items.len())),
            _ => None,
        });
        let lists = lists.collect::<Vec<_>>();
        let Some((_, first)) = lists.first() else {
            return Err(Error::invalid("custom.batch: none of the inputs is a list"));
        };
        if lists.iter().any(|(_, length)| length != first) {
            let lengths = lists.iter().map(|(name, length)| format!("inputs.{name} has {length}"));
            let lengths = lengths.collect::<Vec<_>>().join(", ");
            return Err(Error::invalid(format!(
                "custom.batch: the lists must have the same length, but {lengths}"
            )));
        }
        if *first == 0 {
            return Err(Error::invalid("custom.batch: the lists are empty"));
        }
        Ok(*first)
    }

    /// Writes `pieces`; within a row of a batch, a list is replaced by its item.
    fn all(&mut self, pieces: &[Piece<'_>], row: Option<usize>) -> Result<()> {
        let field = if row.is_some() { "custom.batch" } else { "template.sql.statement" };
        for piece in pieces {
            match piece {
                Piece::Text(text) => {
                    self.out.push_str(text);
                    self.check_size(field)?;
                }
                Piece::Hole { place, filling } => self.fill(*place, *filling, row)?,
                Piece::RowStart | Piece::RowEnd => {}
            }
        }
        Ok(())
    }

    fn check_size(&self, field: &str) -> Result<()> {
        if self.out.len() + self.bound <= MAX_BYTES {
            return Ok(());
        }
        let limit = MAX_BYTES >> 20;
        Err(Error::invalid(format!(
            "{field}: the statement with its values is larger than {limit} MiB"
        )))
    }

    fn fill(&mut self, place: Place, filling: Placeholder<'_>, row: Option<usize>) -> Result<()> {
        let Filling { name, value } = self.value(filling, row)?;
        match place {
            Place::Open | Place::Constant => self.open(&name, &value, place == Place::Open)?,
            Place::LineComment if self.one_line => {
                return Err(Error::invalid(format!(
                    "template.sql.statement: {name} must not be in a -- comment, because Flyte joins \
                     lines into one: use /* … */"
                )));
            }
            Place::LineComment | Place::BlockComment => {}
            inside => {
                let text = within(inside, &name, &text(&value), &self.out)?;
                self.out.push_str(&text);
            }
        }
        self.check_size(&name)
    }

    /// The value of `placeholder`; within a row of a batch, a list is replaced by its item.
    fn value(&self, placeholder: Placeholder<'_>, row: Option<usize>) -> Result<Filling<'a>> {
        let inputs: &'a Inputs = self.inputs;
        let Filling { name, value } =
            self.cx.fill("template.sql.statement", placeholder, inputs)?;
        let value = match (value, row) {
            (Cow::Borrowed(Value::List(items)), Some(row)) => {
                items.get(row).map_or(Cow::Owned(Value::Null), Cow::Borrowed)
            }
            (value, _) => value,
        };
        Ok(Filling { name, value })
    }

    fn open(&mut self, name: &str, value: &Value, can_bind: bool) -> Result<()> {
        match value {
            // `IN (NULL)` matches nothing, as an empty list should.
            Value::List(items) if items.is_empty() => self.out.push_str("NULL"),
            Value::List(items) => {
                for (number, item) in items.iter().enumerate() {
                    if number > 0 {
                        self.out.push(',');
                    }
                    self.scalar(item, can_bind);
                    self.check_size(name)?;
                }
            }
            scalar => self.scalar(scalar, can_bind),
        }
        Ok(())
    }

    fn scalar(&mut self, value: &Value, can_bind: bool) {
        if self.binds && can_bind && *value != Value::Null {
            self.out.push('?');
            let binding = literal::binding(value);
            self.bound += BINDING_BYTES + binding["value"].as_str().map_or(0, str::len);
            self.bindings.push(binding);
        } else {
            self.out.push_str(&literal::literal(value));
        }
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::List(items) => items.iter().map(literal::text).collect::<Vec<_>>().join(","),
        scalar => literal::text(scalar),
    }
}

/// `text`, rendered within quotes, after `before`.
fn within(place: Place, name: &str, text: &str, before: &str) -> Result<String> {
    let refuse = |why: &str| Err(Error::invalid(format!("{name}: {why}")));
    match place {
        Place::Name if text.is_empty() => refuse("must not be empty within double quotes"),
        Place::Name => Ok(text.replace('"', "\"\"")),
        // It may be code, in which even a space separates tokens.
        Place::Dollars | Place::Code if is_word(text, before) => Ok(text.to_owned()),
        Place::Code => refuse(
            "must be letters, digits or _.:@+- only, because the '…' around it is run as code, which \
             would undo escapes",
        ),
        Place::Dollars => {
            refuse("must be letters, digits or _.:@+- only, because $$…$$ around it has no escapes")
        }
        _ => Ok(literal::escape(text)),
    }
}

fn is_word(text: &str, before: &str) -> bool {
    let allowed = |c: char| c.is_alphanumeric() || "_.:@+-".contains(c);
    // Two minuses start a comment, wherever the second comes from.
    let comments = text.contains("--")
        || text.ends_with('-')
        || (text.starts_with('-') && before.ends_with('-'));
    !comments && text.chars().all(allowed)
}

#[cfg(test)]
mod tests;
