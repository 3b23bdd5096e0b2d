//! What a request must be, beside its body: signed, and of the right kind.

use http::HeaderMap;

use super::ACCESS_KEY_ID;

/// The operation that `headers` name.
pub(super) fn operation(headers: &HeaderMap) -> Result<String, String> {
    let target = text(headers, "x-amz-target")?;
    let operation = target.strip_prefix("AmazonAthena.");
    operation.map(str::to_owned).ok_or_else(|| format!("x-amz-target: {target}"))
}

/// Checks the media type.
pub(super) fn check_media_type(headers: &HeaderMap) -> Result<(), String> {
    match text(headers, "content-type")? {
        "application/x-amz-json-1.1" => Ok(()),
        other => Err(format!("content-type: {other}")),
    }
}

/// The access key's id and the region of a signature for Athena.
pub(super) fn signed_by(headers: &HeaderMap) -> Result<(String, String), String> {
    let authorization = text(headers, "authorization")?;
    let rest = authorization.strip_prefix("AWS4-HMAC-SHA256 ").ok_or("authorization: not SigV4")?;
    let field = |name: &str| {
        let mut fields = rest.split(',').map(str::trim);
        fields.find_map(|field| field.strip_prefix(name)).ok_or(format!("authorization: no {name}"))
    };
    let scope = field("Credential=")?.split('/').collect::<Vec<_>>();
    let [key, day, region, "athena", "aws4_request"] = scope[..] else {
        return Err(format!("authorization: scope {scope:?}"));
    };
    let at = text(headers, "x-amz-date")?;
    if !at.starts_with(day) || at.len() != "20260301T063015Z".len() {
        return Err(format!("x-amz-date: {at}, but the scope has {day}"));
    }
    let signed = field("SignedHeaders=")?.split(';').collect::<Vec<_>>();
    for name in ["host", "x-amz-date", "x-amz-target"] {
        if !signed.contains(&name) {
            return Err(format!("authorization: {name} is not signed"));
        }
    }
    let signature = field("Signature=")?;
    if signature.len() != 64 || !signature.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err("authorization: the signature is not 64 hex digits".to_owned());
    }
    Ok((key.to_owned(), region.to_owned()))
}

/// Whether the fake knows the key; temporary ones begin with `ASIA`.
pub(super) fn is_known(access_key_id: &str) -> bool {
    access_key_id == ACCESS_KEY_ID || access_key_id.starts_with("ASIA")
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, String> {
    let value = headers.get(name).ok_or_else(|| format!("{name}: missing"))?;
    value.to_str().map_err(|error| format!("{name}: {error}"))
}
