//! Flyte's placeholders, such as `{{ .inputs.x }}`.
//!
//! `FlytePropeller` renders them only in a container's arguments, so a plugin that runs something else
//! renders them itself. The grammar is propeller's
//! (`flyteplugins/go/tasks/pluginmachinery/core/template/template.go`): `{{`, whitespace, `.` or `$`, a
//! case-insensitive name, whitespace, `}}`. Anything else in braces is not a placeholder and stays as it
//! is.

use std::ops::Range;

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
    fn placeholders_without_a_value_are_unavailable() {
        let text = "{{ .rawOutputDataPrefix }}";
        assert_eq!(all(text), [(text, Placeholder::Unavailable("rawOutputDataPrefix"))]);
    }
}
