//! Finds Flyte's `{{ .inputs.x }}` placeholders.
//!
//! `FlytePropeller` renders them only in a container's arguments, so a plugin that runs other texts
//! renders them itself. The grammar is propeller's
//! (`flyteplugins/go/tasks/pluginmachinery/core/template/template.go`): `{{`, blanks, `.` or `$`, a
//! name in any case, blanks, `}}`. Anything else between braces is not a placeholder and stays.

use std::ops::Range;

/// What a placeholder stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Placeholder<'a> {
    /// `{{ .inputs.x }}`: the value of the input `x`.
    Input(&'a str),
    /// `{{ .outputPrefix }}`: where the attempt's outputs lie.
    OutputPrefix,
    /// `{{ .perRetryUniqueKey }}`: a text unique to the attempt.
    PerRetryUniqueKey,
    /// `{{ .namespace }}`: the Kubernetes namespace of the workflow.
    Namespace,
    /// One that propeller knows and does not tell backend plugins, for example
    /// `{{ .rawOutputDataPrefix }}`.
    Unavailable(&'a str),
}

/// A placeholder and where in the text it stands, braces included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<'a> {
    /// The bytes of the text that it takes up.
    pub range: Range<usize>,
    /// What it stands for.
    pub placeholder: Placeholder<'a>,
}

/// The first placeholder at or after byte `from` of `text`.
///
/// # Panics
/// When `from` is not on a character boundary.
#[must_use]
pub fn find(text: &str, from: usize) -> Option<Found<'_>> {
    let mut at = from;
    loop {
        at += text[at..].find("{{")?;
        if let Some(found) = find_at(text, at) {
            return Some(found);
        }
        at += 1;
    }
}

/// The placeholder that begins at byte `start` of `text`, if one does.
///
/// # Panics
/// When `start` is not on a character boundary.
#[must_use]
pub fn find_at(text: &str, start: usize) -> Option<Found<'_>> {
    let inner = text[start..].strip_prefix("{{")?;
    // Bounded, so that a text of braces costs no more than its length.
    let end = inner.as_bytes().iter().take(LONGEST).position(|byte| *byte == b'}')?;
    let after = inner[end..].starts_with("}}");
    let placeholder = after.then(|| parse(inner[..end].trim()))??;
    Some(Found { range: start..start + end + 4, placeholder })
}

/// The most bytes between the braces of a placeholder.
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
        let mut found = Vec::new();
        let mut at = 0;
        while let Some(next) = find(text, at) {
            at = next.range.end;
            found.push((&text[next.range], next.placeholder));
        }
        found
    }

    #[test]
    fn propellers_spellings_are_found() {
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
    fn other_braces_stay() {
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
    fn a_text_of_braces_is_read_in_one_go() {
        assert_eq!(all(&("{".repeat(100_000) + " }}")), []);
    }

    #[test]
    fn what_propeller_does_not_tell_is_known_by_name() {
        let text = "{{ .rawOutputDataPrefix }}";
        assert_eq!(all(text), [(text, Placeholder::Unavailable("rawOutputDataPrefix"))]);
    }
}
