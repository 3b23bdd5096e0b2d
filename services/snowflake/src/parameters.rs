//! Renders a task's inputs into its statement so that no value can escape its lexical context.
//!
//! | where | what an input becomes |
//! |---|---|
//! | outside of quotes, in a query or DML | `?`, and a bind variable; a list becomes `?,?,…` |
//! | outside of quotes elsewhere: DDL, several statements, own `?`, `DATE …` | a literal, escaped; a list of them |
//! | in `'…'` | a string, escaped |
//! | in `"…"` | a string, with `"` doubled |
//! | in `$$…$$` | a string without `$$` |
//! | in a string that runs as code | a number; within quotes in that code, a string |
//! | in a comment | nothing |

use std::{borrow::Cow, collections::BTreeSet};

use plugin_core::{
    Context, Error, Result, Value,
    context::Filling as Filled,
    sql::{Filling, Place, Writer},
    task::{Inputs, placeholder::Placeholder},
};

use crate::{
    bindings::Bindings,
    dialect::SNOWFLAKE,
    literal,
    sql::{Piece, Slot, split},
};

/// The most bytes of a statement and its bindings: it may contain one input many times.
const MAX_BYTES: usize = 8 << 20;

/// What a placeholder counts for at least. In a comment it writes nothing, but a batch repeats the work.
const HOLE_BYTES: usize = 16;

/// A statement, ready to be sent.
#[derive(Debug, PartialEq)]
pub(crate) struct Rendered {
    pub(crate) statement: String,
    pub(crate) bindings: Bindings,
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
    let names = inputs.iter().map(|(name, _)| name).collect::<BTreeSet<_>>();
    let parts = split(statement, &names)?;
    let binds = parts.can_bind();
    let out = Writer::new(SNOWFLAKE);
    let mut renderer = Renderer { cx, inputs, binds, out, bindings: Bindings::default(), idle: 0 };
    if batch {
        renderer.batch(&parts.pieces)?;
    } else {
        renderer.all(&parts.pieces, None)?;
    }
    Ok(Rendered {
        statement: renderer.out.finish()?,
        bindings: renderer.bindings,
        several: parts.statements > 1,
    })
}

struct Renderer<'a> {
    cx: &'a Context,
    inputs: &'a Inputs,
    binds: bool,
    out: Writer,
    bindings: Bindings,
    /// What placeholders count for beyond what they wrote, in bytes.
    idle: usize,
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
                self.out.text(", ");
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
                // pyformat's escape for one percent sign.
                Piece::Text(text) if !self.inputs.is_empty() && text.contains("%%") => {
                    self.out.text(&text.replace("%%", "%"));
                    self.check_size(field)?;
                }
                Piece::Text(text) => {
                    self.out.text(text);
                    self.check_size(field)?;
                }
                Piece::Slot(slot) => self.fill(slot, row)?,
                Piece::RowStart | Piece::RowEnd => {}
            }
        }
        Ok(())
    }

    /// The bytes of the statement and its bindings.
    fn written(&self) -> usize {
        self.out.len() + self.bindings.bytes()
    }

    fn check_size(&self, field: &str) -> Result<()> {
        self.check_added(0, field)
    }

    /// Checks the size with `added` bytes more.
    fn check_added(&self, added: usize, field: &str) -> Result<()> {
        if self.written() + added + self.idle <= MAX_BYTES {
            return Ok(());
        }
        let limit = MAX_BYTES >> 20;
        Err(Error::invalid(format!(
            "{field}: the statement with its values is larger than {limit} MiB"
        )))
    }

    fn fill(&mut self, slot: &Slot<'_>, row: Option<usize>) -> Result<()> {
        let before = self.written();
        let Filled { name, value } = self.value(slot.placeholder, row)?;
        let is_own = !matches!(slot.placeholder, Placeholder::Input(_));
        let open = match slot.place {
            Place::Open => self.open(&name, &value, slot)?,
            _ => String::new(),
        };
        let mut filling = Filling::new(&*name, text(&value), open);
        if is_literal(&value) {
            filling = filling.literal(literal::literal(&value));
        }
        self.out.fill(slot.place, &if is_own { filling.name() } else { filling })?;
        self.idle += HOLE_BYTES.saturating_sub(self.written() - before);
        self.check_size(&name)
    }

    /// The value of `placeholder`; within a row of a batch, a list is replaced by its item.
    fn value(&self, placeholder: Placeholder<'_>, row: Option<usize>) -> Result<Filled<'a>> {
        let inputs: &'a Inputs = self.inputs;
        let Filled { name, value } = self.cx.fill("template.sql.statement", placeholder, inputs)?;
        let value = match (value, row) {
            (Cow::Borrowed(Value::List(items)), Some(row)) => {
                items.get(row).map_or(Cow::Owned(Value::Null), Cow::Borrowed)
            }
            (value, _) => value,
        };
        Ok(Filled { name, value })
    }

    /// `value` as an operand; a list becomes an operand for each item.
    fn open(&mut self, name: &str, value: &Value, slot: &Slot<'_>) -> Result<String> {
        let items = match value {
            Value::List(items) if items.is_empty() => return empty_list(name, slot),
            Value::List(items) => items.as_slice(),
            scalar => std::slice::from_ref(scalar),
        };
        let mut operand = String::new();
        for (number, item) in items.iter().enumerate() {
            if number > 0 {
                operand.push(',');
            }
            operand.push_str(&self.scalar(item, !slot.constant));
            self.check_added(operand.len(), name)?;
        }
        Ok(operand)
    }

    fn scalar(&mut self, value: &Value, can_bind: bool) -> Cow<'static, str> {
        if self.binds && can_bind && *value != Value::Null {
            self.bindings.push(value);
            Cow::Borrowed("?")
        } else {
            Cow::Owned(literal::literal(value))
        }
    }
}

/// What stands for no items: `IN` a query without rows is false, and `NOT IN` is true. `NULL` would make
/// both unknown.
fn empty_list(name: &str, slot: &Slot<'_>) -> Result<String> {
    if slot.is_whole_list {
        return Ok("SELECT NULL WHERE FALSE".to_owned());
    }
    Err(Error::invalid(format!(
        "{name}: must not be empty here: an empty list has a meaning only as all of IN (…)"
    )))
}

/// Whether `value` is written without quotes.
fn is_literal(value: &Value) -> bool {
    match value {
        Value::Null | Value::Integer(_) | Value::Boolean(_) => true,
        Value::Float(number) => number.is_finite(),
        _ => false,
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::List(items) => items.iter().map(literal::text).collect::<Vec<_>>().join(","),
        scalar => literal::text(scalar),
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod shape_tests;
