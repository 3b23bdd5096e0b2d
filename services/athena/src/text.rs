//! Renders Flyte's placeholders in what is no SQL: names and locations.

use plugin_core::{
    Context, Error, Result,
    task::{
        Inputs,
        placeholder::{self, Placeholder, find_at, unknown_at},
    },
};

use crate::literal;

/// The most bytes of a text with its values: longer than any name or location that Athena takes.
const MAX_RENDERED: usize = 2048;

/// `text` with its placeholders rendered, for what is no SQL.
pub(crate) fn plain(cx: &Context, inputs: &Inputs, field: &str, text: &str) -> Result<String> {
    rendered(cx, inputs, field, text, |_, _| Ok(()))
}

/// [`plain`] with the values of inputs that `check` accepts, by what is before them.
///
/// # Errors
/// `InvalidArgument` with the field, for what `check` refuses with the input's name, too.
pub(crate) fn rendered(
    cx: &Context,
    inputs: &Inputs,
    field: &str,
    text: &str,
    check: impl Fn(&str, &str) -> std::result::Result<(), &'static str>,
) -> Result<String> {
    let (mut rendered, mut at) = (String::new(), 0);
    while let Some(found) = text[at..].find("{{").map(|next| at + next) {
        rendered += &text[at..found];
        if let Some(unknown) = unknown_at(text, found) {
            return Err(placeholder::unknown(field, unknown.source));
        }
        let Some(found) = find_at(text, found) else {
            rendered.push('{');
            at = found + 1;
            continue;
        };
        let filled = cx.fill(field, found.placeholder, inputs)?;
        let value = match found.placeholder {
            Placeholder::PerRetryUniqueKey => unique_name(cx),
            _ => literal::text(&filled.value),
        };
        if let Placeholder::Input(_) = found.placeholder {
            let refused = |why| Error::invalid(format!("{field}: {} {why}", filled.name));
            check(&rendered, &value).map_err(refused)?;
        }
        rendered += &value;
        at = found.range.end;
        if rendered.len() > MAX_RENDERED {
            return Err(Error::invalid(format!("{field}: too long with its values")));
        }
    }
    Ok(rendered + &text[at..])
}

/// `{{ .PerRetryUniqueKey }}`: a name that SQL takes without quotes, which must not begin with a digit.
pub(crate) fn unique_name(cx: &Context) -> String {
    format!("flyte_{}", cx.idempotency_key().hex())
}
