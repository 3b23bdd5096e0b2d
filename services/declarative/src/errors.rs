//! How the vendor reports errors.

use plugin_core::{
    Kind,
    aws::Refusal,
    http::{HeaderMap, StatusCode},
    serde_json::{self, Map, Value as Json},
    upstream::Failure,
};

use crate::{
    checker::Checker,
    expression::{Expr, Scope, Text, Wanted, scalar},
    file,
    located::At,
    mistake::Mistake,
    names::{Names, Scopes},
    node::{Node, Tree},
};

/// The most of an error's body that expressions see, in bytes.
const LARGEST: usize = 256 << 10;

/// Tells errors of one class from others.
#[derive(Debug)]
pub(crate) enum Matcher {
    Codes(Vec<String>),
    Expr(Expr),
}

impl Matcher {
    /// A list of codes, or an expression of `names`: the part `part` of the file.
    pub(crate) fn compile(
        checker: &mut Checker<'_>,
        node: &Node,
        names: &Names,
        part: &str,
    ) -> Self {
        if let Tree::Text(text) = &node.tree
            && text.starts_with('=')
        {
            let text = At { value: text.clone(), place: node.place };
            return Self::Expr(checker.expr_of(&text, names, part, Wanted::Truth));
        }
        let Tree::List(items) = &node.tree else {
            let mistake = Mistake::new(node.place, "must be a list of codes, or an expression")
                .help("write for example [ThrottlingException] or =status == 429".to_owned());
            checker.wrong(mistake);
            return Self::Codes(Vec::new());
        };
        let mut codes = Vec::new();
        for item in items {
            let code = match &item.tree {
                Tree::Scalar(json) => scalar(json),
                Tree::Text(text) => Some(text.clone()).filter(|text| !text.starts_with('=')),
                Tree::List(_) | Tree::Map(_) => None,
            };
            match code {
                Some(code) => codes.push(code),
                None => checker.mistake(item.place, "must be a code"),
            }
        }
        Self::Codes(codes)
    }

    /// Whether it fits the error `code`, which `scope` describes. An expression that fails fits none.
    pub(crate) fn fits(&self, code: Option<&str>, scope: &Scope) -> bool {
        match self {
            Self::Codes(codes) => code.is_some_and(|code| codes.iter().any(|one| one == code)),
            Self::Expr(expr) => expr.is_true(scope).unwrap_or(false),
        }
    }
}

/// The compiled `errors` of a file.
#[derive(Debug)]
pub(crate) struct Errors {
    code: Option<Text>,
    message: Option<Text>,
    /// Names, meanings and what tells them.
    classes: Vec<(&'static str, Kind, Matcher)>,
}

impl Errors {
    pub(crate) fn compile(
        checker: &mut Checker<'_>,
        file: &file::Errors,
        scopes: &Scopes,
        is_aws: bool,
    ) -> Self {
        if is_aws {
            for known in [&file.code, &file.message].into_iter().flatten() {
                checker.mistake(known.place, "codes and messages of AWS are known");
            }
        }
        let classes = [
            ("throttled", Kind::ResourceExhausted, &file.throttled),
            ("retryable", Kind::Unavailable, &file.retryable),
            ("already_exists", Kind::AlreadyExists, &file.already_exists),
            ("not_found", Kind::NotFound, &file.not_found),
            ("unauthenticated", Kind::Unauthenticated, &file.unauthenticated),
            ("denied", Kind::PermissionDenied, &file.denied),
            ("refused", Kind::InvalidArgument, &file.refused),
        ];
        let classes = classes.into_iter().filter_map(|(name, kind, node)| {
            let part = format!("errors.{name}");
            Some((name, kind, Matcher::compile(checker, node.as_ref()?, &scopes.refusal, &part)))
        });
        let classes = classes.collect();
        Self {
            code: checker.optional_text(file.code.as_ref(), &scopes.failure),
            message: checker.optional_text(file.message.as_ref(), &scopes.failure),
            classes,
        }
    }

    /// What the response means, with `scope` of the settings; `None` if it is not the vendor's.
    pub(crate) fn read(
        &self,
        scope: Scope,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Option<Failure> {
        let body = &body[..body.len().min(LARGEST)];
        let text = String::from_utf8_lossy(body);
        let scope = scope
            .with("status", status.as_u16())
            .with("headers", header_map(headers))
            .with("text", &text);
        let scope = match serde_json::from_slice::<Json>(body) {
            Ok(json) => scope.with("body", json),
            Err(_) => scope,
        };
        // An error that does not fit the file is one without a code or a message.
        let read = |text: &Option<Text>| text.as_ref()?.eval(&scope).ok().flatten();
        let is_some = |text: &String| !text.is_empty();
        let (code, message) =
            (read(&self.code).filter(is_some), read(&self.message).filter(is_some));
        let scope = scope.clone().with("code", &code).with("message", &message);
        let kind = self.class(code.as_deref(), &scope);
        if kind.is_none() && code.is_none() && message.is_none() {
            return None;
        }
        let words = match (message, &code) {
            (Some(message), _) => message,
            (None, Some(code)) => format!("the vendor gave no reason but {code}"),
            (None, None) => format!("the vendor answered {status}"),
        };
        let mut failure = Failure::of_status(status, words).code(code);
        failure.kind = kind.unwrap_or(failure.kind);
        Some(failure)
    }

    /// What an error of AWS means, if the file says so.
    pub(crate) fn read_aws(&self, scope: Scope, refusal: &Refusal<'_>) -> Option<Kind> {
        let scope = scope
            .with("status", refusal.status.as_u16())
            .with("code", refusal.code)
            .with("message", refusal.message);
        self.class(Some(refusal.code), &scope)
    }

    fn class(&self, code: Option<&str>, scope: &Scope) -> Option<Kind> {
        let mut classes = self.classes.iter();
        let found = classes.find(|(class, _, matcher)| {
            let fits = matcher.fits(code, scope);
            scope.note(|| format!("errors.{class}"), if fits { "fits" } else { "does not fit" });
            fits
        });
        found.map(|(_, kind, _)| *kind)
    }
}

/// The first value of each header, by its name in lower case.
pub(crate) fn header_map(headers: &HeaderMap) -> Map<String, Json> {
    let named = headers.keys().filter_map(|name| {
        let value = headers.get(name)?.to_str().ok()?;
        Some((name.as_str().to_owned(), Json::from(value)))
    });
    named.collect()
}
