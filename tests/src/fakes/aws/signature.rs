//! Verifies Signature Version 4, written from AWS's description of it and not with the library that signs.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::{digest, hmac};
use http::{HeaderMap, header};

use super::Received;

/// How far the clocks may differ, in seconds.
const SKEW: u64 = 300;

/// Keys that a fake accepts.
#[derive(Clone)]
pub struct Identity {
    /// The access key id.
    pub access_key: String,
    /// The secret access key.
    pub secret: String,
    /// The session token, for temporary keys.
    pub session_token: Option<String>,
    pub(super) expired: bool,
}

impl Identity {
    /// Keys of a user.
    #[must_use]
    pub fn new(access_key: &str, secret: &str) -> Self {
        Self {
            access_key: access_key.to_owned(),
            secret: secret.to_owned(),
            session_token: None,
            expired: false,
        }
    }

    /// The `number`th temporary keys that the fakes issue. Their secrets are canaries.
    #[must_use]
    pub fn temporary(number: usize) -> Self {
        let access_key = format!("ASIAIOSFODNN7EXAM{number:03}");
        Self::new(&access_key, &format!("canary/secret+of+{number}="))
            .with_token(&format!("FwoGZXIvYXdzE/canary+session+{number}=="))
    }

    /// Temporary keys, which are valid with `token` alone.
    #[must_use]
    pub fn with_token(self, token: &str) -> Self {
        Self { session_token: Some(token.to_owned()), ..self }
    }
}

/// Why a request is refused.
pub(super) struct Refused {
    pub(super) code: &'static str,
    pub(super) message: String,
    /// Whether the request is malformed, and not only signed with other keys.
    pub(super) is_breach: bool,
}

fn malformed(message: impl Into<String>) -> Refused {
    Refused { code: "IncompleteSignatureException", message: message.into(), is_breach: true }
}

fn refused(code: &'static str, message: &str) -> Refused {
    Refused { code, message: message.to_owned(), is_breach: false }
}

/// The parts of `Authorization`.
struct Authorization<'a> {
    access_key: &'a str,
    scope: &'a str,
    signed: Vec<&'a str>,
    signature: &'a str,
}

/// Who signed `received` for `service` in one of `regions`: an access key id.
pub(super) fn verify(
    received: Received<'_>,
    service: &str,
    regions: &[String],
    identities: &BTreeMap<String, Identity>,
) -> Result<String, Refused> {
    let authorization = parse(text(received.headers, header::AUTHORIZATION.as_str()))?;
    let date = text(received.headers, "x-amz-date");
    check_date(date)?;
    let day = date.get(..8).unwrap_or_default();
    let is_ours =
        |region: &&String| authorization.scope == format!("{day}/{region}/{service}/aws4_request");
    let Some(region) = regions.iter().find(is_ours) else {
        return Err(malformed(format!("the scope is {}", authorization.scope)));
    };
    for required in ["host", "x-amz-date"] {
        if !authorization.signed.contains(&required) {
            return Err(malformed(format!("{required} is not signed")));
        }
    }
    let Some(identity) = identities.get(authorization.access_key) else {
        let message = "The security token included in the request is invalid.";
        return Err(refused("UnrecognizedClientException", message));
    };
    check_token(received.headers, identity, &authorization)?;
    let key = [day, region, service, "aws4_request"]
        .iter()
        .fold(format!("AWS4{}", identity.secret).into_bytes(), |key, part| sign(&key, part));
    let canonical = sha256(canonical(received, &authorization.signed).as_bytes());
    let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{}\n{canonical}", authorization.scope);
    if hex(&sign(&key, &to_sign)) != authorization.signature {
        let message =
            "The request signature we calculated does not match the signature you provided.";
        return Err(refused("InvalidSignatureException", message));
    }
    Ok(identity.access_key.clone())
}

fn check_token(
    headers: &HeaderMap,
    identity: &Identity,
    authorization: &Authorization<'_>,
) -> Result<(), Refused> {
    let token = text(headers, "x-amz-security-token");
    if token != identity.session_token.as_deref().unwrap_or_default() {
        let message = "The security token included in the request is invalid.";
        return Err(refused("UnrecognizedClientException", message));
    }
    if !token.is_empty() && !authorization.signed.contains(&"x-amz-security-token") {
        return Err(malformed("x-amz-security-token is not signed"));
    }
    if identity.expired {
        let message = "The security token included in the request is expired";
        return Err(refused("ExpiredTokenException", message));
    }
    Ok(())
}

fn parse(value: &str) -> Result<Authorization<'_>, Refused> {
    let fields = value
        .strip_prefix("AWS4-HMAC-SHA256 ")
        .ok_or_else(|| malformed("no Authorization: AWS4-HMAC-SHA256"))?;
    let field = |name: &str| {
        let mut all = fields.split(',').map(str::trim);
        all.find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
    };
    let credential = field("Credential").and_then(|credential| credential.split_once('/'));
    let (Some((access_key, scope)), Some(signed), Some(signature)) =
        (credential, field("SignedHeaders"), field("Signature"))
    else {
        return Err(malformed("Authorization has not Credential, SignedHeaders and Signature"));
    };
    Ok(Authorization { access_key, scope, signed: signed.split(';').collect(), signature })
}

/// Whether `date` is `20260301T063000Z` and about now.
fn check_date(date: &str) -> Result<(), Refused> {
    let number = |range: std::ops::Range<usize>| {
        date.get(range).and_then(|digits| digits.parse::<i64>().ok())
    };
    let parts =
        (number(0..4), number(4..6), number(6..8), number(9..11), number(11..13), number(13..15));
    let (Some(year), Some(month), Some(day), Some(hour), Some(minute), Some(second)) = parts else {
        return Err(malformed(format!("x-amz-date is {date:?}")));
    };
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    if u64::try_from(seconds).unwrap_or_default().abs_diff(now) > SKEW {
        return Err(malformed(format!(
            "Signature expired: {date} is not within five minutes of now"
        )));
    }
    Ok(())
}

/// Days since 1970-01-01 (Howard Hinnant's `days_from_civil`).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn canonical(received: Received<'_>, signed: &[&str]) -> String {
    let mut query = received.uri.query().unwrap_or_default().split('&').collect::<Vec<_>>();
    query.sort_unstable();
    let query = query.iter().map(|pair| match pair.contains('=') || pair.is_empty() {
        true => (*pair).to_owned(),
        false => format!("{pair}="),
    });
    let headers = signed.iter().map(|name| {
        let values = received.headers.get_all(*name).iter();
        let values = values.map(|value| value.to_str().unwrap_or_default());
        let values = values.map(|value| value.split_whitespace().collect::<Vec<_>>().join(" "));
        format!("{name}:{}\n", values.collect::<Vec<_>>().join(","))
    });
    [
        received.method.as_str().to_owned(),
        path(received.uri.path()),
        query.collect::<Vec<_>>().join("&"),
        headers.collect(),
        signed.join(";"),
        sha256(received.body),
    ]
    .join("\n")
}

/// The path, encoded once more, as all services but S3 have it.
fn path(path: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    path.bytes().fold(String::new(), |mut out, byte| {
        match keep(byte) {
            true => out.push(char::from(byte)),
            false => out.push_str(&format!("%{byte:02X}")),
        }
        out
    })
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn sign(key: &[u8], message: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, message.as_bytes()).as_ref().to_vec()
}

fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
