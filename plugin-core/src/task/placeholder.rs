//! Flyte's placeholders, such as `{{ .inputs.x }}`.
//!
//! `FlytePropeller` renders them only in a container's arguments, so a plugin that runs something else
//! renders them itself. The grammar is propeller's
//! (`flyteplugins/go/tasks/pluginmachinery/core/template/template.go`): `{{`, whitespace, `.` or `$`, a
//! case-insensitive name, whitespace, `}}`. Anything else in braces is not a placeholder and stays as it
//! is.

use std::ops::Range;

use server_core::Error;

/// The meaning of a placeholder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Placeholder<'a> {
    /// `{{ .inputs.x }}`: the value of the input `x`.
    Input(&'a str),
    /// `{{ .outputPrefix }}`: the URI prefix of the attempt's outputs.
    OutputPrefix,
    /// `{{ .perRetryUniqueKey }}`: a string unique to the attempt.
    PerRetryUniqueKey,
    /// `{{ .namespace }}`: the Kubernetes namespace of the workflow.
    Namespace,
    /// A placeholder whose value propeller does not pass to backend plugins, for example
    /// `{{ .rawOutputDataPrefix }}`.
    Unavailable(&'a str),
}

/// A placeholder in a string, and its position.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Occurrence<'a> {
    /// Its bytes in the string, braces included.
    pub range: Range<usize>,
    /// Its meaning.
    pub placeholder: Placeholder<'a>,
}

/// The first placeholder at or after byte `from` of `text`.
///
/// # Panics
/// When `from` is not on a character boundary.
#[must_use]
pub fn find(text: &str, from: usize) -> Option<Occurrence<'_>> {
    let mut at = from;
    loop {
        at += text[at..].find("{{")?;
        if let Some(occurrence) = find_at(text, at) {
            return Some(occurrence);
        }
        at += 1;
    }
}

/// The placeholder that begins at byte `start` of `text`, if there is one.
///
/// # Panics
/// When `start` is not on a character boundary.
#[must_use]
pub fn find_at(text: &str, start: usize) -> Option<Occurrence<'_>> {
    let inner = text[start..].strip_prefix("{{")?;
    // First, so that a string of many braces takes linear time.
    if !inner.trim_start().starts_with(['.', '$']) {
        return None;
    }
    let end = inner.as_bytes().iter().take(LONGEST).position(|byte| *byte == b'}')?;
    let after = inner[end..].starts_with("}}");
    let placeholder = after.then(|| parse(inner[..end].trim()))??;
    Some(Occurrence { range: start..start + end + 4, placeholder })
}

/// What has a placeholder's form and is none: `{{ .inputs.x | upper }}`, `{{ .foo }}`. Propeller leaves it as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unknown<'a> {
    /// Its text, braces included.
    pub source: &'a str,
    /// Whether its name begins with one of Flyte's, so that it is not meant for another template's engine:
    /// `{{ .rawOutputDataPrefixes }}`.
    pub is_misspelt: bool,
}

/// What begins at byte `start` of `text` with a placeholder's form, and is none.
///
/// # Panics
/// When `start` is not on a character boundary.
#[must_use]
pub fn unknown_at(text: &str, start: usize) -> Option<Unknown<'_>> {
    let inner = text[start..].strip_prefix("{{")?;
    let name = inner.trim_start().strip_prefix(['.', '$'])?;
    let is_name = name.starts_with(|c: char| c.is_alphabetic() || c == '_');
    let end = inner.as_bytes().iter().take(LONGEST).position(|byte| *byte == b'}')?;
    let is_closed = inner[end..].starts_with("}}");
    if !is_name || !is_closed || parse(inner[..end].trim()).is_some() {
        return None;
    }
    let begins =
        |known: &&str| name.get(..known.len()).is_some_and(|head| head.eq_ignore_ascii_case(known));
    let is_misspelt = AVAILABLE.iter().chain(&UNAVAILABLE).any(begins);
    Some(Unknown { source: &text[start..start + end + 4], is_misspelt })
}

/// The error for what has a placeholder's form in `field` and is none.
#[must_use]
pub fn unknown(field: &str, source: &str) -> Error {
    Error::invalid(format!(
        "{field}: {source} is no placeholder of Flyte: those are {{{{ .inputs.NAME }}}}, {{{{ .outputPrefix }}}}, \
         {{{{ .perRetryUniqueKey }}}} and {{{{ .namespace }}}}, without functions or filters"
    ))
}

/// The most bytes between a placeholder's braces.
const LONGEST: usize = 256;

fn parse(inner: &str) -> Option<Placeholder<'_>> {
    let name = inner.strip_prefix(['.', '$'])?;
    let (head, rest) = name.split_once('.').unwrap_or((name, ""));
    let is = |known: &str| name.eq_ignore_ascii_case(known);
    let plain = |text: &str| !text.is_empty() && !text.contains(char::is_whitespace);
    if head.eq_ignore_ascii_case("inputs") && plain(rest) {
        return Some(Placeholder::Input(rest));
    }
    match () {
        () if is("outputPrefix") => Some(Placeholder::OutputPrefix),
        () if is("perRetryUniqueKey") => Some(Placeholder::PerRetryUniqueKey),
        () if is("namespace") => Some(Placeholder::Namespace),
        () if UNAVAILABLE.iter().any(|known| is(known)) => Some(Placeholder::Unavailable(name)),
        () => None,
    }
}

/// The names of those with a value; `input` is also among the others.
const AVAILABLE: [&str; 3] = ["outputPrefix", "perRetryUniqueKey", "namespace"];

const UNAVAILABLE: [&str; 6] = [
    "input",
    "inputPrefix",
    "rawOutputDataPrefix",
    "taskTemplatePath",
    "prevCheckpointPrefix",
    "checkpointOutputPrefix",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<(&str, Placeholder<'_>)> {
        let mut all = Vec::new();
        let mut at = 0;
        while let Some(next) = find(text, at) {
            at = next.range.end;
            all.push((&text[next.range], next.placeholder));
        }
        all
    }

    #[test]
    fn spellings_of_propeller_are_found() {
        assert_eq!(
            all("a {{ .inputs.x }} b {{$INPUTS.y_1}} c {{ .outputprefix}} {{.PerRetryUniqueKey }}"),
            [
                ("{{ .inputs.x }}", Placeholder::Input("x")),
                ("{{$INPUTS.y_1}}", Placeholder::Input("y_1")),
                ("{{ .outputprefix}}", Placeholder::OutputPrefix),
                ("{{.PerRetryUniqueKey }}", Placeholder::PerRetryUniqueKey),
            ]
        );
    }

    #[test]
    fn other_braces_are_not_placeholders() {
        assert_eq!(
            all("{{ x }} {{ .inputs }} {{ .inputs. }} {{ .inputs.a b }} {{{ '{{' }} {{"),
            []
        );
    }

    #[test]
    fn a_placeholder_after_a_stray_brace_is_found() {
        assert_eq!(all("{{{.inputs.x}}"), [("{{.inputs.x}}", Placeholder::Input("x"))]);
    }

    #[test]
    fn a_string_of_braces_takes_linear_time() {
        assert_eq!(all(&("{".repeat(100_000) + " }}")), []);
    }

    #[test]
    fn what_only_looks_like_a_placeholder_is_told() {
        for (text, is_misspelt) in [
            ("{{ .foo | upper }}", false),
            ("{{ $values.x }}", false),
            ("{{ .inputs }}", true),
            ("{{ .inputs.x | upper }}", true),
            ("{{.Inputs.a b}}", true),
            ("{{ .rawOutputDataPrefixx }}", true),
            ("{{ .outputPrefix.x }}", true),
            ("{{ .namespaces }}", true),
        ] {
            let source = format!("{text} }}}}");
            assert_eq!(unknown_at(&source, 0), Some(Unknown { source: text, is_misspelt }));
        }
        for text in ["{{ x }}", "{{ .5 }}", "{{ .inputs.x }}", "{{ .foo }", "{ .foo }}", "{{ . }}"]
        {
            assert_eq!(unknown_at(text, 0), None, "{text}");
        }
    }

    #[test]
    fn placeholders_without_a_value_are_unavailable() {
        let text = "{{ .rawOutputDataPrefix }}";
        assert_eq!(all(text), [(text, Placeholder::Unavailable("rawOutputDataPrefix"))]);
    }
}
