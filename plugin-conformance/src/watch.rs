//! Looks at every answer for what none may contain.

use std::{
    path::Path,
    sync::{Mutex, PoisonError},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use memchr::memmem;
use secrecy::{ExposeSecret, SecretString};

use crate::error::StartError;

/// What a stack trace begins with, by language.
const TRACES: [(&str, &str); 7] = [
    ("Python", "Traceback (most recent call last)"),
    ("Rust", "panicked at"),
    ("Rust", "stack backtrace:"),
    ("Go", "[running]:"),
    ("Go", "runtime error:"),
    ("Java", "Exception in thread"),
    ("JavaScript", "    at Object."),
];

/// The fewest bytes of a canary: shorter ones occur by chance.
const MIN_CANARY: usize = 6;

/// The most findings that are kept.
const MAX_FINDINGS: usize = 20;

/// Something that an answer must not contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leak {
    /// A stack trace.
    Trace,
    /// A secret.
    Canary,
}

/// A secret that no answer may contain.
#[derive(Debug)]
struct Canary {
    /// What the report calls it, which must not leak it.
    name: String,
    forms: Vec<String>,
}

/// What was found in answers.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    canaries: Vec<Canary>,
    findings: Mutex<Vec<(Leak, String)>>,
}

impl Watch {
    /// One for the caller's token and the secrets in the file at `path`.
    pub(crate) fn new(
        token: Option<&SecretString>,
        path: Option<&Path>,
    ) -> Result<Self, StartError> {
        let mut canaries = path.map(read).transpose()?.unwrap_or_default();
        if let Some(token) = token.map(ExposeSecret::expose_secret)
            && token.len() >= MIN_CANARY
        {
            canaries.push(Canary { name: "the caller's token".to_owned(), forms: forms(token) });
        }
        Ok(Self { canaries, ..Self::default() })
    }

    /// Whether there are canaries.
    pub(crate) fn has_canaries(&self) -> bool {
        !self.canaries.is_empty()
    }

    /// Looks at an answer to `call`.
    pub(crate) fn look(&self, call: &str, answer: &[u8]) {
        let contains = |what: &str| memmem::find(answer, what.as_bytes()).is_some();
        if let Some((language, mark)) = TRACES.iter().find(|(_, mark)| contains(mark)) {
            self.add(Leak::Trace, format!("the answer to {call} has {mark:?}, as {language}'s do"));
        }
        for Canary { name, forms } in &self.canaries {
            if forms.iter().any(|form| contains(form)) {
                self.add(Leak::Canary, format!("the answer to {call} has {name}"));
            }
        }
    }

    fn add(&self, leak: Leak, finding: String) {
        let mut findings = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
        if findings.len() < MAX_FINDINGS && !findings.contains(&(leak, finding.clone())) {
            findings.push((leak, finding));
        }
    }

    /// What was found so far.
    pub(crate) fn findings(&self, leak: Leak) -> Vec<String> {
        let findings = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
        findings.iter().filter(|(kind, _)| *kind == leak).map(|(_, text)| text.clone()).collect()
    }
}

/// The secrets in the file at `path`, one a line.
fn read(path: &Path) -> Result<Vec<Canary>, StartError> {
    let invalid = |reason: String| StartError::File { path: path.to_owned(), reason };
    let text = std::fs::read_to_string(path).map_err(|error| invalid(error.to_string()))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let canaries = lines.map(|(index, line)| {
        let (number, secret) = (index + 1, line.trim());
        match secret.len() {
            MIN_CANARY.. => Ok(Canary { name: format!("canary {number}"), forms: forms(secret) }),
            _ => Err(invalid(format!("line {number} has fewer than {MIN_CANARY} bytes"))),
        }
    });
    canaries.collect()
}

/// A secret as it is, in JSON, and in base64 without the last characters, which depend on what follows it.
fn forms(secret: &str) -> Vec<String> {
    let json = serde_json::Value::from(secret).to_string();
    let base64 = BASE64_STANDARD.encode(secret);
    let whole = secret.len() / 3 * 4;
    let mut forms = vec![secret.to_owned()];
    forms.extend((json[1..json.len() - 1] != *secret).then(|| json[1..json.len() - 1].to_owned()));
    // Of fewer bytes there is too little to recognise.
    forms.extend((whole >= 2 * MIN_CANARY).then(|| base64[..whole].to_owned()));
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(canary: &str) -> Watch {
        let canary = Canary { name: "canary 1".to_owned(), forms: forms(canary) };
        Watch { canaries: vec![canary], ..Watch::default() }
    }

    #[test]
    fn a_canary_is_found_in_each_form_and_never_repeated() {
        let watch = watch("s3cr\"t-value");
        for answer in
            ["no secret", "x s3cr\"t-value", r#"{"a": "s3cr\"t-value"}"#, "czNjciJ0LXZhbHVl"]
        {
            watch.look(answer.get(..2).unwrap(), answer.as_bytes());
        }
        let findings = watch.findings(Leak::Canary);
        assert_eq!(findings.len(), 3, "{findings:?}");
        assert!(findings.iter().all(|finding| finding.ends_with("has canary 1")), "{findings:?}");
    }

    #[test]
    fn traces_are_found() {
        let watch = Watch::default();
        watch.look("a get", b"error: Traceback (most recent call last):\n");
        watch.look("a get", b"thread 'main' panicked at src/main.rs:1:1:\n");
        watch.look("a get", b"the tracks of a panic");
        assert_eq!(watch.findings(Leak::Trace).len(), 2);
    }
}
