//! Requests to the vendor: compiled, evaluated for a task or job, and sent.

mod prepared;

use plugin_core::{
    http::{HeaderName, HeaderValue, Method},
    serde_json::Value as Json,
};

pub(crate) use self::prepared::{Body as PreparedBody, Prepared};
use crate::{
    checker::Checker,
    expression::{EvalError, Scope, Text, kind},
    file,
    located::{At, Entries, Origin, Place},
    names::Names,
    node::Node,
    value::Value,
};

/// Headers that are not the file's to set: those of credentials, and those of the connection (RFC 9110 §7.6.1), which HTTP/2
/// does not have.
const FORBIDDEN: [&str; 13] = [
    "accept-encoding",
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];
/// What is wrong with the value of a header.
pub(crate) const NO_HEADER: &str = "a header cannot have this value";

/// A compiled request.
#[derive(Debug)]
pub(crate) struct Request {
    method: Method,
    target: Target,
    query: Vec<(String, Value)>,
    headers: Vec<(HeaderName, Value)>,
    body: Body,
}

#[derive(Debug)]
enum Target {
    /// Segments of a path, and whether a slash ends it.
    Path(Vec<Text>, bool),
    /// An operation of AWS.
    Call(String),
}

#[derive(Debug)]
enum Body {
    None,
    Json(Value),
    Form(Vec<(String, Value)>),
}

impl Request {
    /// Compiles `request`, whose expressions may use `names`. `calls` says whether the API names operations by a header.
    pub(crate) fn compile(
        checker: &mut Checker<'_>,
        request: &At<file::Request>,
        names: &Names,
        calls: bool,
    ) -> Self {
        let At { value: file, place } = request;
        let verbs = [
            (Method::GET, &file.get),
            (Method::POST, &file.post),
            (Method::PUT, &file.put),
            (Method::DELETE, &file.delete),
        ];
        let given = verbs.iter().filter_map(|(method, path)| Some((method, path.as_ref()?)));
        let given = given.collect::<Vec<_>>();
        let (method, target) = match (given.as_slice(), &file.call) {
            ([(method, path)], None) if !calls => {
                ((*method).clone(), path_of(checker, path, names))
            }
            ([], Some(operation)) if calls => {
                (Method::POST, Target::Call(operation_of(checker, operation)))
            }
            _ => {
                let message = match calls {
                    true => "a request of this API has `call`, the name of an operation",
                    false => {
                        "a request has one of `get`, `post`, `put` and `delete`, with its path"
                    }
                };
                checker.mistake(*place, message);
                (Method::GET, Target::Path(Vec::new(), false))
            }
        };
        if calls && let Some((name, _)) = file.query.0.first() {
            checker.mistake(name.place, "an operation that is called by its name has no query");
        }
        let body = body_of(checker, request, names, &method);
        Self {
            query: checker.scalars(&file.query, names, "query"),
            headers: headers_of(checker, file, names),
            method,
            target,
            body,
        }
    }

    /// Whether an expression in it uses `name`.
    pub(crate) fn uses(&self, name: &str) -> bool {
        let any = |values: &[(String, Value)]| values.iter().any(|(_, value)| value.uses(name));
        let in_path = match &self.target {
            Target::Path(segments, _) => segments.iter().any(|segment| segment.uses(name)),
            Target::Call(_) => false,
        };
        let in_body = match &self.body {
            Body::None => false,
            Body::Json(value) => value.uses(name),
            Body::Form(fields) => any(fields),
        };
        let in_headers = self.headers.iter().any(|(_, value)| value.uses(name));
        in_path || in_body || in_headers || any(&self.query)
    }

    /// Sends the key in the header `name`. False if the request has it.
    pub(crate) fn add_header(&mut self, name: HeaderName, value: Value) -> bool {
        if self.headers.iter().any(|(known, _)| *known == name) {
            return false;
        }
        self.headers.push((name, value));
        true
    }

    /// Sends the key in the field `name` of the body. False if the body has it, or has no fields.
    pub(crate) fn add_field(&mut self, name: &str, value: Value) -> bool {
        let fields = match &mut self.body {
            Body::Json(Value::Map(fields)) | Body::Form(fields) => fields,
            Body::Json(_) | Body::None => return false,
        };
        if fields.iter().any(|(known, _)| known == name) {
            return false;
        }
        fields.push((name.to_owned(), value));
        true
    }

    /// The request for the task or job of `scope`.
    ///
    /// # Errors
    /// An expression that has no value where one is needed, with its part of the request.
    pub(crate) fn prepare(&self, scope: &Scope) -> Result<Prepared, EvalError> {
        let mut prepared = Prepared::new(self.method.clone());
        match &self.target {
            Target::Call(operation) => prepared.call = Some(operation.clone()),
            Target::Path(segments, ends_with_slash) => {
                prepared.ends_with_slash = *ends_with_slash;
                for segment in segments {
                    let text = segment.eval(scope).map_err(|error| error.within("path"))?;
                    let text = text.filter(|text| !text.is_empty());
                    let absent = || segment.error("path: a part of it has no value");
                    let text = text.ok_or_else(absent)?;
                    if !is_segment(&text) {
                        let message = format!("path: {text:?} cannot be a part of it");
                        return Err(segment.error(message));
                    }
                    prepared.segments.push(text);
                }
            }
        }
        for (name, value) in &self.query {
            let text =
                value.eval_text(scope).map_err(|error| error.within(&format!("query.{name}")))?;
            prepared.query.extend(text.map(|text| (name.clone(), text)));
        }
        for (name, value) in &self.headers {
            let within = |error: EvalError| error.within(&format!("headers.{name}"));
            let Some(text) = value.eval_text(scope).map_err(within)? else { continue };
            let parsed = text.parse().map_err(|_| within(value.error(NO_HEADER)))?;
            prepared.headers.push((name.clone(), parsed));
        }
        prepared.body = match &self.body {
            Body::None => PreparedBody::None,
            Body::Json(value) => {
                let json = value.eval(scope).map_err(|error| error.within("json"))?;
                PreparedBody::Json(json.ok_or_else(|| value.error("json: has no value"))?)
            }
            Body::Form(fields) => {
                let mut form = Vec::new();
                for (name, value) in fields {
                    let within = |error: EvalError| error.within(&format!("form.{name}"));
                    let text = value.eval_text(scope).map_err(within)?;
                    form.extend(text.map(|text| (name.clone(), text)));
                }
                PreparedBody::Form(form)
            }
        };
        Ok(prepared)
    }
}

fn path_of(checker: &mut Checker<'_>, path: &At<String>, names: &Names) -> Target {
    let Some(text) = path.value.strip_prefix('/') else {
        checker.mistake(path.place, "a path begins with `/`");
        return Target::Path(Vec::new(), false);
    };
    let ends_with_slash = text.ends_with('/');
    let text = text.strip_suffix('/').unwrap_or(text);
    let mut segments = Vec::new();
    for segment in split_path(text).into_iter().filter(|_| !text.is_empty()) {
        let literal = segment.split("${").next().unwrap_or_default();
        if literal.contains(['?', '#', '%']) {
            checker.mistake(
                path.place,
                "a path has no `?`, `#` and `%`: parameters are in `query`, and what is special is encoded",
            );
        }
        if matches!(segment, "" | "." | "..") {
            checker.mistake(path.place, "a part of the path is empty, `.` or `..`");
        } else if !is_segment(segment) {
            checker.mistake(path.place, "a path has no tabs and line breaks");
        }
        let segment = At { value: segment.to_owned(), place: path.place };
        let text = checker.text(&segment, names);
        if text.literal().is_none()
            && let Some(Ok(given)) = text.known()
            && !given.as_deref().is_some_and(|given| !given.is_empty() && is_segment(given))
        {
            let place = text.origin().map_or(path.place, Origin::place);
            checker.mistake(
                place,
                format!("{:?} cannot be a part of a path", given.as_deref().unwrap_or_default()),
            );
        }
        segments.push(text);
    }
    Target::Path(segments, ends_with_slash)
}

/// Whether `text` is one part of a path. Parsers of URLs remove tabs and line breaks before they look for dots.
fn is_segment(text: &str) -> bool {
    !matches!(text, "." | "..") && !text.contains(['\t', '\n', '\r'])
}

/// The parts of a path between slashes, but for those within `${…}`.
fn split_path(path: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0_usize);
    for (at, letter) in path.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            '/' if depth == 0 => {
                parts.push(&path[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&path[start..]);
    parts
}

fn operation_of(checker: &mut Checker<'_>, operation: &At<String>) -> String {
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    if operation.value.is_empty() || !operation.value.chars().all(is_name) {
        checker.mistake(operation.place, "an operation's name has letters and digits alone");
    }
    operation.value.clone()
}

fn headers_of(
    checker: &mut Checker<'_>,
    file: &file::Request,
    names: &Names,
) -> Vec<(HeaderName, Value)> {
    let mut headers = Vec::new();
    for (name, (given, node)) in
        header_names(checker, &file.headers).into_iter().zip(&file.headers.0)
    {
        let value = checker.scalar(node, names, &format!("headers.{}", given.value));
        if let Some(Some(Json::String(text))) = value.known()
            && text.parse::<HeaderValue>().is_err()
        {
            checker.mistake(node.place, NO_HEADER);
        }
        headers.extend(name.map(|name| (name, value)));
    }
    headers
}

/// The names of `headers`; `None` for one that the file may not set, or has twice.
pub(crate) fn header_names<T>(
    checker: &mut Checker<'_>,
    headers: &Entries<T>,
) -> Vec<Option<HeaderName>> {
    let mut names = Vec::new();
    for (name, _) in &headers.0 {
        let parsed = header_name(checker, name);
        if parsed.is_some() && names.contains(&parsed) {
            checker.mistake(name.place, format!("the header `{}` is here twice", name.value));
        }
        names.push(parsed);
    }
    names
}

/// The name of a header that the file may set.
pub(crate) fn header_name(checker: &mut Checker<'_>, name: &At<String>) -> Option<HeaderName> {
    let Ok(header) = name.value.parse::<HeaderName>() else {
        checker.mistake(name.place, format!("`{}` is no name of a header", name.value));
        return None;
    };
    if FORBIDDEN.contains(&header.as_str()) || checker.credentials.as_ref() == Some(&header) {
        let message = format!(
            "the header `{header}` cannot be set: it is the client's own, as credentials are"
        );
        checker.mistake(name.place, message);
        return None;
    }
    Some(header)
}

fn body_of(
    checker: &mut Checker<'_>,
    request: &At<file::Request>,
    names: &Names,
    method: &Method,
) -> Body {
    let file::Request { json, form, .. } = &request.value;
    let has_none = |checker: &mut Checker<'_>, place: Place| {
        if matches!(*method, Method::GET | Method::DELETE) {
            checker.mistake(place, format!("a {method} has no body"));
        }
    };
    match (json, form) {
        (Some(json), None) => {
            has_none(checker, json.place);
            let value = checker.value(json, names);
            check_json(checker, json, &value, request.value.call.is_some());
            Body::Json(value)
        }
        (None, Some(form)) if request.value.call.is_some() => {
            checker.mistake(form.place, "an operation that is called by its name has `json`");
            Body::None
        }
        (None, Some(form)) => {
            has_none(checker, form.place);
            Body::Form(checker.scalars(&form.value, names, "form"))
        }
        (Some(_), Some(form)) => {
            checker.mistake(form.place, "a request has `json` or `form`, not both");
            Body::None
        }
        (None, None) => Body::None,
    }
}

/// Checks what is known of the body `value` in `node`. Operations that are called by their names take objects alone.
fn check_json(checker: &mut Checker<'_>, node: &Node, value: &Value, is_call: bool) {
    match (value, value.known()) {
        (_, Some(None)) => checker.mistake(node.place, "json: has no value"),
        (Value::List(_), _) if is_call => {
            checker.mistake(node.place, "json: must be an object, not a list");
        }
        (_, Some(Some(json))) if is_call && !json.is_object() => {
            checker.mistake(node.place, format!("json: must be an object, not {}", kind(&json)));
        }
        _ => {}
    }
}
