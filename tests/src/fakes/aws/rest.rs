//! rest-json: operations have methods and paths, and inputs are spread over path, query and body.

use axum::response::{IntoResponse, Response};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::{
    Received,
    model::{Model, Operation, Reference, Shape},
};

/// The operation that `received` names, and its input; or what does not fit.
pub(super) fn read(
    model: &'static Model,
    received: Received<'_>,
) -> Result<(&'static str, &'static Operation, Value), String> {
    let path = received.uri.path();
    let found = model.operations.iter().find_map(|(name, operation)| {
        let is_method = operation.http.method == received.method.as_str();
        let labels = labels(&operation.http.request_uri, path).filter(|_| is_method)?;
        Some((name.as_str(), operation, labels))
    });
    let Some((name, operation, labels)) = found else {
        return Err(format!("no operation is {} {path}", received.method));
    };
    let Some(input) = model.shapes.get(&operation.input) else {
        return Err(format!("the model has no shape {}", operation.input));
    };
    let mut members = match &input.payload {
        Some(member) => payload(member, received.body),
        None => body(name, received)?,
    };
    if let Some(member) = members.keys().find(|member| is_elsewhere(input, member)) {
        return Err(format!("{name}: {member} is not a member of the body"));
    }
    members.extend(in_headers(model, name, input, received.headers)?);
    for (label, value) in labels {
        let member = at(input, "uri", label).ok_or_else(|| format!("{name}: no label {label}"))?.0;
        members.insert(member.to_owned(), value.into());
    }
    for (key, value) in query(received) {
        let (member, reference) =
            at(input, "querystring", &key).ok_or_else(|| format!("{name}: no query {key}"))?;
        let value = typed(model, reference, &value);
        match members.get_mut(member) {
            Some(Value::Array(items)) => {
                items.extend(value.as_array().cloned().unwrap_or_default())
            }
            _ => drop(members.insert(member.to_owned(), value)),
        }
    }
    Ok((name, operation, Value::Object(members)))
}

/// The members in the body.
fn body(name: &str, received: Received<'_>) -> Result<Map<String, Value>, String> {
    if received.body.is_empty() {
        return Ok(Map::new());
    }
    let media_type = received.headers.get(header::CONTENT_TYPE);
    if media_type.is_none_or(|value| value != "application/json") {
        return Err(format!("{name}: content-type: {media_type:?}"));
    }
    serde_json::from_slice(received.body).map_err(|why| format!("{name}: {why}"))
}

/// The member that is the whole body, as JSON has blobs.
fn payload(member: &str, body: &[u8]) -> Map<String, Value> {
    let body = Some(body).filter(|body| !body.is_empty());
    body.map(|body| (member.to_owned(), BASE64_STANDARD.encode(body).into())).into_iter().collect()
}

/// The members in `headers`. A header of AWS's that is none does not fit.
fn in_headers(
    model: &Model,
    name: &str,
    input: &Shape,
    headers: &HeaderMap,
) -> Result<Map<String, Value>, String> {
    let mut members = Map::new();
    for (header, value) in headers.iter().filter(|(name, _)| name.as_str().starts_with("x-amzn-")) {
        let (member, reference) = at(input, "header", header.as_str())
            .ok_or_else(|| format!("{name}: no header {header}"))?;
        let text = value.to_str().map_err(|why| format!("{name}: {header}: {why}"))?;
        members.insert(member.to_owned(), typed(model, reference, text));
    }
    Ok(members)
}

/// The headers and the body of an answer that is `output` of the shape.
pub(super) fn spread(shape: Option<&Shape>, output: &Value) -> (HeaderMap, Value) {
    let (mut headers, mut body) = (HeaderMap::new(), output.clone());
    let members = shape.into_iter().flat_map(|shape| &shape.members);
    for (member, reference) in members.filter(|(_, it)| it.location.as_deref() == Some("header")) {
        let value = body.as_object_mut().and_then(|body| body.remove(member));
        let name = reference.location_name.as_ref().unwrap_or(member);
        let name = HeaderName::from_bytes(name.to_lowercase().as_bytes());
        let value = value.as_ref().and_then(Value::as_str).map(HeaderValue::from_str);
        if let (Ok(name), Some(Ok(value))) = (name, value) {
            headers.insert(name, value);
        }
    }
    (headers, body)
}

/// The parts of `path` that the labels of `template` stand for.
fn labels<'a>(template: &'a str, path: &str) -> Option<Vec<(&'a str, String)>> {
    let (parts, of_path) = (template.split('/'), path.split('/'));
    if parts.clone().count() != of_path.clone().count() {
        return None;
    }
    let mut labels = Vec::new();
    for (part, found) in parts.zip(of_path) {
        match part.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            Some(label) => labels.push((label, decoded(found))),
            None if part == found => {}
            None => return None,
        }
    }
    Some(labels)
}

/// `part` of a path without percent-encoding. A plus is itself there.
fn decoded(part: &str) -> String {
    let pair = part.replace('+', "%2B");
    form_urlencoded::parse(pair.as_bytes()).map(|(key, _)| key.into_owned()).collect()
}

fn query(received: Received<'_>) -> impl Iterator<Item = (String, String)> {
    let query = received.uri.query().unwrap_or_default().as_bytes();
    form_urlencoded::parse(query).map(|(key, value)| (key.into_owned(), value.into_owned()))
}

/// The member of `shape` that a request has as `key` in `location`.
fn at<'a>(shape: &'a Shape, location: &str, key: &str) -> Option<(&'a str, &'a Reference)> {
    let mut members = shape.members.iter();
    let found = members.find(|(name, member)| {
        let its = member.location_name.as_ref().unwrap_or(name);
        let is_it = if location == "header" { its.eq_ignore_ascii_case(key) } else { its == key };
        member.location.as_deref() == Some(location) && is_it
    });
    found.map(|(name, member)| (name.as_str(), member))
}

fn is_elsewhere(shape: &Shape, member: &str) -> bool {
    shape.members.get(member).is_some_and(|member| member.location.is_some())
}

/// `text` of a query as a value of the member's type.
fn typed(model: &Model, reference: &Reference, text: &str) -> Value {
    let shape = model.shapes.get(&reference.shape);
    let read = || serde_json::from_str(text).ok().unwrap_or_else(|| text.into());
    match shape.map(|shape| (shape.kind.as_str(), &shape.member)) {
        Some(("list", Some(member))) => Value::Array(vec![typed(model, member, text)]),
        Some(("integer" | "long" | "boolean" | "timestamp", _)) => read(),
        _ => text.into(),
    }
}

/// An exception: its code is in a header.
pub(super) fn exception(
    shape: Option<&Shape>,
    status: StatusCode,
    code: &str,
    body: &Value,
) -> Response {
    let documented = shape.and_then(|shape| shape.error.as_ref()?.http_status_code);
    let status = documented.and_then(|code| StatusCode::from_u16(code).ok()).unwrap_or(status);
    let headers = [
        (header::CONTENT_TYPE.as_str(), "application/json".to_owned()),
        ("x-amzn-errortype", format!("{code}:http://internal.amazon.com/coral/")),
    ];
    (status, headers, body.to_string()).into_response()
}
