//! Renders Flyte's placeholders into a statement so that no value can escape its lexical context.
//!
//! | where | what `{{ .inputs.x }}` becomes |
//! |---|---|
//! | outside of quotes | a number or boolean as it is; a BigQuery table as its quoted name; else `@x`, the query parameter |
//! | in `'…'`, `"…"` and their triple forms | the value as a string, escaped |
//! | in `r'…'` | the value as a string, if it needs no escapes |
//! | in `` `…` `` | the value as a string, if it is a name |
//! | in a comment | nothing |

use plugin_core::{
    Context, Error, Result, Task, Value,
    serde_json::Value as Json,
    task::placeholder::{Placeholder, find},
};

use crate::Custom;

/// The statement of `task`, rendered.
pub(crate) fn render(cx: &Context, task: &Task<Custom>) -> Result<String> {
    let statement = task.sql()?;
    let mut rendered = String::with_capacity(statement.len());
    let kind = Kind::of(statement);
    let mut place = Place::Open;
    let mut at = 0;
    while let Some(found) = find(statement, at) {
        let before = &statement[at..found.range.start];
        place = place.after(before);
        rendered.push_str(before);
        let filling = filling(cx, task, found.placeholder)?;
        place.check_free(before, &filling.name)?;
        place.check_kind(kind, &filling)?;
        rendered.push_str(&place.fill(&filling)?);
        at = found.range.end;
    }
    rendered.push_str(&statement[at..]);
    Ok(rendered)
}

/// Properties of a statement as a whole.
#[derive(Debug, Clone, Copy)]
struct Kind {
    /// It runs strings as code: `EXECUTE IMMEDIATE '…'`, or a function in another language.
    runs_strings: bool,
    /// It has no line break, so that a `--` comment extends to its end. flytekit joins lines.
    is_one_line: bool,
}

impl Kind {
    fn of(statement: &str) -> Self {
        let mut words = statement.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let runs = |word: &str| {
            ["immediate", "language"].iter().any(|known| word.eq_ignore_ascii_case(known))
        };
        Self { runs_strings: words.any(runs), is_one_line: !statement.contains('\n') }
    }
}

/// A placeholder's value in the forms that a statement may need.
struct Filling {
    /// Its name in errors.
    name: String,
    /// As a string, for use within quotes.
    text: String,
    /// As an expression, for use outside of quotes.
    open: Result<String>,
}

fn filling(cx: &Context, task: &Task<Custom>, placeholder: Placeholder<'_>) -> Result<Filling> {
    let filled = cx.fill("template.sql.statement", placeholder, &task.inputs)?;
    match placeholder {
        Placeholder::Input(name) => of_input(name, &filled.value),
        _ => Ok(Filling::word(filled.name, text(&filled.value))),
    }
}

impl Filling {
    /// A string of Flyte's, which must be a name where it is outside of quotes.
    fn word(name: String, text: String) -> Self {
        let is_name =
            !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let open = if is_name {
            Ok(text.clone())
        } else {
            Err(Error::invalid(format!("{{{{ .{name} }}}}: must be within quotes")))
        };
        Self { name, text, open }
    }
}

fn of_input(name: &str, value: &Value) -> Result<Filling> {
    let text = text(value);
    let open = match value {
        // In parentheses, because a minus before it would start a comment.
        Value::Integer(..0) => format!("({text})"),
        Value::Float(number) if number.is_sign_negative() && number.is_finite() => {
            format!("({text})")
        }
        Value::Integer(_) | Value::Boolean(_) => text.clone(),
        Value::Float(number) if number.is_finite() => text.clone(),
        Value::StructuredDataset { uri, .. } if uri.starts_with("bq://") => table(name, uri)?,
        _ => format!("@{name}"),
    };
    Ok(Filling { name: format!("inputs.{name}"), text, open: Ok(open) })
}

fn text(value: &Value) -> String {
    match (value, value.to_json()) {
        (Value::Float(number), _) => format!("{number:?}"),
        (_, Json::String(text)) => text,
        (_, json) => json.to_string(),
    }
}

/// `bq://project:dataset.table` as a name that SQL can select from.
fn table(name: &str, uri: &str) -> Result<String> {
    // The project itself may have a colon: `example.com:acme`.
    let path = uri.trim_start_matches("bq://");
    let path = match path.rsplit_once(':') {
        Some((project, table)) => format!("{project}.{table}"),
        None => path.to_owned(),
    };
    if path.chars().all(is_path_character) {
        return Ok(format!("`{path}`"));
    }
    Err(Error::invalid(format!("inputs.{name}: {uri:?} is not a BigQuery table")))
}

fn is_path_character(c: char) -> bool {
    c.is_alphanumeric() || "_-.:$*".contains(c)
}

/// A lexical context of GoogleSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Open,
    Quoted { quote: char, triple: bool, raw: bool },
    Name,
    LineComment,
    BlockComment,
}

impl Place {
    /// The context at the end of `text`, which starts in this one.
    fn after(self, text: &str) -> Self {
        let mut place = self;
        let mut rest = text;
        let mut open_since = text;
        while let Some(next) = rest.chars().next() {
            let (now, length) = match place {
                Self::Open => {
                    let before = &open_since[..open_since.len() - rest.len()];
                    opened(before, rest)
                }
                inside => inside.closed(rest),
            };
            if now == Self::Open && place != Self::Open {
                open_since = &rest[length..];
            }
            place = now;
            rest = &rest[length.max(next.len_utf8())..];
        }
        place
    }

    /// The context after the first token of `rest`, within a quote, name or comment, and its length.
    fn closed(self, rest: &str) -> (Self, usize) {
        let ends =
            |end: &str| if rest.starts_with(end) { (Self::Open, end.len()) } else { (self, 0) };
        match self {
            Self::Open => (self, 0),
            Self::LineComment => ends("\n"),
            Self::BlockComment => ends("*/"),
            Self::Name | Self::Quoted { .. } if rest.starts_with('\\') => {
                (self, 1 + rest[1..].chars().next().map_or(0, char::len_utf8))
            }
            Self::Name => ends("`"),
            Self::Quoted { quote, triple: true, .. } => ends(&quote.to_string().repeat(3)),
            Self::Quoted { quote, triple: false, .. } => ends(&quote.to_string()),
        }
    }

    /// A backslash at the end of `before` would escape the value's first character or the closing quote.
    fn check_free(self, before: &str, name: &str) -> Result<()> {
        let backslashes = before.len() - before.trim_end_matches('\\').len();
        let escapes = matches!(self, Self::Quoted { .. } | Self::Name) && backslashes % 2 == 1;
        if escapes {
            Err(Error::invalid(format!("{name}: must not follow a backslash")))
        } else {
            Ok(())
        }
    }

    /// Rejects values that would be valid in another statement.
    fn check_kind(self, kind: Kind, Filling { name, text, .. }: &Filling) -> Result<()> {
        let is_plain = text.chars().all(is_path_character) && !text.contains("--");
        let refuse = |why: &str| Err(Error::invalid(format!("{name}: {why}")));
        match self {
            // Escapes would be undone before the string is run.
            Self::Quoted { .. } if kind.runs_strings && !is_plain => refuse(
                "must be letters, digits and _-.:$* only, because the statement runs strings as code",
            ),
            Self::LineComment if kind.is_one_line => refuse(
                "must not be in a -- comment, because Flyte joins lines into one: use /* … */",
            ),
            _ => Ok(()),
        }
    }

    /// `filling`, rendered for this context.
    fn fill(self, filling: &Filling) -> Result<String> {
        let Filling { name, text, open } = filling;
        let refuse = |why: &str| Err(Error::invalid(format!("{name}: {why}")));
        match self {
            Self::Open => open.clone(),
            Self::LineComment | Self::BlockComment => Ok(String::new()),
            Self::Quoted { raw: false, .. } => Ok(escape(text)),
            Self::Quoted { raw: true, .. } => match text.contains(['\'', '"', '\\', '\n', '\r']) {
                true => refuse("has characters that cannot be escaped within a raw string"),
                false => Ok(text.clone()),
            },
            Self::Name => match !text.is_empty() && text.chars().all(is_path_character) {
                true => Ok(text.clone()),
                false => refuse("must be a name, because it is within backticks"),
            },
        }
    }
}

/// The context after the first token of `rest`, outside of quotes, and its length. `before` precedes it.
fn opened(before: &str, rest: &str) -> (Place, usize) {
    if rest.starts_with("--") || rest.starts_with('#') {
        return (Place::LineComment, 1);
    }
    if rest.starts_with("/*") {
        return (Place::BlockComment, 2);
    }
    match rest.chars().next() {
        Some('`') => (Place::Name, 1),
        Some(quote @ ('\'' | '"')) => {
            let triple = rest.starts_with(&quote.to_string().repeat(3));
            let raw = has_raw_prefix(before);
            (Place::Quoted { quote, triple, raw }, if triple { 3 } else { 1 })
        }
        _ => (Place::Open, 0),
    }
}

/// Whether `before` ends in `r`, `rb` or `br`, in any case, as a word of its own.
fn has_raw_prefix(before: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let word = &before[before.trim_end_matches(is_word).len()..];
    ["r", "rb", "br"].iter().any(|prefix| word.eq_ignore_ascii_case(prefix))
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => escaped.push_str("\\\\"),
            '\'' => escaped.push_str("\\'"),
            '"' => escaped.push_str("\\\""),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(before: &str, value: &Value) -> Result<String> {
        let place = Place::Open.after(before);
        place.check_free(before, "x")?;
        place.fill(&of_input("x", value)?)
    }

    #[test]
    fn lexical_contexts_are_recognised() {
        let quoted = |quote, triple, raw| Place::Quoted { quote, triple, raw };
        for (text, place) in [
            ("SELECT ", Place::Open),
            ("'a", quoted('\'', false, false)),
            ("'a' ", Place::Open),
            ("'it\\'s", quoted('\'', false, false)),
            ("\"it's", quoted('"', false, false)),
            ("'''it's ''", quoted('\'', true, false)),
            ("'''it's'''", Place::Open),
            ("''", Place::Open),
            ("r'\\", quoted('\'', false, true)),
            ("bR\"", quoted('"', false, true)),
            ("xr'", quoted('\'', false, false)),
            ("'a' r'", quoted('\'', false, true)),
            ("`p", Place::Name),
            ("`p`.", Place::Open),
            ("-- it's", Place::LineComment),
            ("# it's", Place::LineComment),
            ("-- it's\n", Place::Open),
            ("/* it's", Place::BlockComment),
            ("/* it's */ '", quoted('\'', false, false)),
            ("a - b ", Place::Open),
        ] {
            assert_eq!(Place::Open.after(text), place, "{text:?}");
        }
    }

    #[test]
    fn values_cannot_escape_their_context() {
        let hostile = Value::String("x'; DROP TABLE t; --".to_owned());
        for (before, expected) in [
            ("WHERE a = ", Some("@x")),
            ("WHERE a = '", Some("x\\'; DROP TABLE t; --")),
            ("WHERE a = '''", Some("x\\'; DROP TABLE t; --")),
            ("WHERE a = \"", Some("x\\'; DROP TABLE t; --")),
            ("WHERE a = r'", None),
            ("WHERE a = '\\", None),
            ("WHERE a = '\\\\", Some("x\\'; DROP TABLE t; --")),
            ("WHERE a = r'\\", None),
            ("FROM `\\", None),
            ("FROM `", None),
            ("-- ", Some("")),
            ("/* ", Some("")),
        ] {
            assert_eq!(fill(before, &hostile).ok().as_deref(), expected, "{before}");
        }
    }

    #[test]
    fn values_do_not_become_code() {
        let kind = Kind::of("EXECUTE immediate 'DELETE FROM t WHERE k = \"{{.inputs.x}}\"'");
        let place = Place::Quoted { quote: '\'', triple: false, raw: false };
        for (text, allowed) in [("orders_2026", true), ("\" OR 1=1", false), ("a--b", false)] {
            let filling = of_input("x", &Value::String(text.to_owned())).unwrap();
            assert_eq!(place.check_kind(kind, &filling).is_ok(), allowed, "{text}");
            assert!(place.check_kind(Kind::of("SELECT 'x'"), &filling).is_ok());
        }
    }

    #[test]
    fn placeholders_in_a_comment_that_extends_to_the_end_are_rejected() {
        let filling = of_input("x", &Value::Integer(1)).unwrap();
        let folded = Kind::of("DELETE FROM t -- old WHERE x = {{.inputs.x}}");
        let error = Place::LineComment.check_kind(folded, &filling).unwrap_err();
        assert!(error.to_string().starts_with("inputs.x: must not be in a -- comment"), "{error}");
        let whole = Kind::of("-- {{.inputs.x}}\nSELECT 1");
        assert!(Place::LineComment.check_kind(whole, &filling).is_ok());
    }

    #[test]
    fn values_outside_of_quotes_keep_their_type() {
        for (value, expected) in [
            (Value::Integer(50), "50"),
            (Value::Integer(-5), "(-5)"),
            (Value::Float(0.5), "0.5"),
            (Value::Float(-0.5), "(-0.5)"),
            (Value::Float(1e300), "1e300"),
            (Value::Float(f64::NAN), "@x"),
            (Value::Boolean(true), "true"),
            (Value::Null, "@x"),
            (Value::List(vec![]), "@x"),
            (Value::structured_dataset("bq://acme-1:shop.orders"), "`acme-1.shop.orders`"),
            (
                Value::structured_dataset("bq://example.com:acme:shop.orders"),
                "`example.com:acme.shop.orders`",
            ),
        ] {
            assert_eq!(fill("SELECT ", &value).unwrap(), expected, "{value:?}");
        }
        assert!(fill("FROM ", &Value::structured_dataset("bq://p:d.t`; DROP")).is_err());
    }

    #[test]
    fn names_are_allowed_within_backticks() {
        let name = Value::String("shop.orders_2026".to_owned());
        assert_eq!(fill("FROM `acme.", &name).unwrap(), "shop.orders_2026");
    }
}
