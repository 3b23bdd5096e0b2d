//! Verifies a token: its signature, issuer, audience, dates and purpose.
//!
//! `jsonwebtoken` checks signatures and dates. Its defaults are lenient (they accept a missing `aud`, any
//! `typ`, an unknown `crit`), so this module checks the rest, by RFC 8725 and RFC 9068.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, Validation, errors::ErrorKind};
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::{
    config::{IssuerFile, RejectFile},
    failure::{TokenFailure, any_of, quoted, shown},
    jwk::Key,
    keys::Keys,
    published::Unavailable,
};
use crate::context::Identity;

/// The maximum size of a token, in bytes.
pub(super) const MAX_TOKEN_BYTES: usize = 16 << 10;

/// An issuer, and how its tokens are verified.
pub(super) struct Issuer {
    pub(super) name: Arc<str>,
    pub(super) iss: String,
    pub(super) accept_missing_iss: bool,
    pub(super) keys: Keys,
    algorithms: Vec<Algorithm>,
    audiences: Vec<String>,
    typ: Vec<String>,
    scope_claims: Vec<String>,
    kid_headers: Vec<String>,
    max_lifetime: Option<Duration>,
    reject: RejectFile,
    clock_skew: Duration,
}

/// The content of a verified token.
#[derive(Debug)]
pub(super) struct Verified {
    pub(super) issuer: Arc<str>,
    pub(super) identity: Identity,
    /// The client that it was issued to.
    pub(super) client: Option<String>,
    /// The version of the keys that verified it.
    pub(super) generation: u64,
    pub(super) scopes: BTreeSet<String>,
    pub(super) claims: Map<String, Json>,
    pub(super) expires_at: Timestamp,
}

/// A token before its signature is verified.
pub(super) struct Unverified<'a> {
    token: &'a str,
    header: Header,
    pub(super) iss: Option<String>,
}

#[derive(Deserialize)]
struct Header {
    alg: Algorithm,
    typ: Option<String>,
    #[serde(default, deserialize_with = "present")]
    crit: bool,
    #[serde(default, deserialize_with = "present")]
    b64: bool,
    #[serde(flatten)]
    rest: Map<String, Json>,
}

/// Whether a member is present, with any value.
fn present<'de, D: serde::Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    serde::de::IgnoredAny::deserialize(from).map(|_| true)
}

/// Seconds since 1970, which may have a fraction (RFC 7519 §2).
fn numeric_date<'de, D: serde::Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
    #[expect(clippy::cast_possible_truncation, reason = "saturates, far from any date")]
    f64::deserialize(from).map(|seconds| seconds.floor() as i64)
}

fn optional_numeric_date<'de, D: serde::Deserializer<'de>>(
    from: D,
) -> Result<Option<i64>, D::Error> {
    numeric_date(from).map(Some)
}

#[derive(Deserialize)]
struct Claims {
    sub: Option<String>,
    client_id: Option<String>,
    azp: Option<String>,
    #[serde(deserialize_with = "numeric_date")]
    exp: i64,
    #[serde(default, deserialize_with = "optional_numeric_date")]
    iat: Option<i64>,
    /// Binds the token to a key whose possession is not proven here (RFC 7800).
    #[serde(default, deserialize_with = "present")]
    cnf: bool,
    #[serde(flatten)]
    rest: Map<String, Json>,
}

impl Claims {
    /// Every claim that rules may name. serde leaves those with fields of their own out of `rest`.
    fn by_name(&mut self) -> Map<String, Json> {
        let strings = [("sub", &self.sub), ("client_id", &self.client_id), ("azp", &self.azp)];
        let strings = strings.map(|(name, value)| (name, value.as_deref().map(Json::from)));
        let dates = [("exp", Some(self.exp)), ("iat", self.iat)];
        let dates = dates.map(|(name, date)| (name, date.map(Json::from)));
        let mut all = std::mem::take(&mut self.rest);
        for (name, value) in strings.into_iter().chain(dates) {
            all.extend(value.map(|value| (name.to_owned(), value)));
        }
        all
    }
}

impl<'a> Unverified<'a> {
    pub(super) fn read(token: &'a str) -> Result<Self, TokenFailure> {
        #[derive(Deserialize)]
        struct Payload {
            iss: Option<String>,
        }
        let malformed = || TokenFailure::Invalid("malformed");
        let mut parts = token.split('.');
        let (header, payload) = match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(header), Some(payload), Some(_), None) => (header, payload),
            _ => return Err(malformed()),
        };
        let decode = |part| BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| malformed());
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| malformed())?;
        let payload: Payload =
            serde_json::from_slice(&decode(payload)?).map_err(|_| malformed())?;
        Ok(Self { token, header, iss: payload.iss })
    }

    /// The algorithm that it says it is signed with.
    pub(super) fn algorithm(&self) -> Algorithm {
        self.header.alg
    }
}

impl Issuer {
    pub(super) fn new(file: IssuerFile, keys: Keys, clock_skew: Duration) -> Self {
        Self {
            name: file.name.as_str().into(),
            algorithms: file.allowed_algorithms(),
            iss: file.issuer,
            accept_missing_iss: file.accept_missing_iss,
            keys,
            audiences: file.audiences,
            typ: file.typ,
            scope_claims: file.scope_claims,
            kid_headers: file.kid_headers,
            max_lifetime: file.max_lifetime,
            reject: file.reject,
            clock_skew,
        }
    }

    pub(super) async fn verify(&self, token: &Unverified<'_>) -> Result<Verified, TokenFailure> {
        self.check_header(&token.header)?;
        let algorithm = token.header.alg;
        let kid = self.kid(&token.header)?;
        let keys = self.keys.candidates(kid, algorithm).await;
        let (keys, generation) = keys.map_err(|Unavailable| TokenFailure::KeysUnavailable)?;
        let validation = self.validation(algorithm, token.iss.is_some());
        let claims = decode(token.token, &keys, &validation).map_err(|reason| {
            match self.wrong_claim(reason, &payload(token.token)) {
                Some(detail) => TokenFailure::Claim(reason, detail),
                None => TokenFailure::Invalid(reason),
            }
        })?;
        self.check_claims(claims, generation)
    }

    fn check_header(&self, header: &Header) -> Result<(), TokenFailure> {
        if !self.algorithms.contains(&header.alg) {
            let expected = any_of(self.algorithms.iter().map(|it| format!("{it:?}")));
            let detail = format!("header alg is {:?}, expected {expected}", header.alg);
            return Err(TokenFailure::Claim("algorithm", detail));
        }
        if header.crit || header.b64 {
            return Err(TokenFailure::Invalid("critical_header"));
        }
        let typ = header.typ.as_deref().unwrap_or_default();
        let allowed = if self.typ.is_empty() {
            ["", "jwt", "at+jwt", "application/at+jwt"].contains(&typ.to_lowercase().as_str())
        } else {
            self.typ.iter().any(|allowed| allowed.eq_ignore_ascii_case(typ))
        };
        if allowed {
            return Ok(());
        }
        let expected = match &self.typ[..] {
            [] => any_of([quoted("JWT"), quoted("at+jwt")]),
            typ => any_of(typ.iter().map(|it| quoted(it))),
        };
        let detail = format!("header typ is {}, expected {expected}", quoted(typ));
        Err(TokenFailure::Claim("type", detail))
    }

    fn kid<'h>(&self, header: &'h Header) -> Result<Option<&'h str>, TokenFailure> {
        const MAX_KID_BYTES: usize = 256;
        match self.kid_headers.iter().find_map(|name| header.rest.get(name)) {
            None => Ok(None),
            Some(Json::String(kid)) if kid.len() <= MAX_KID_BYTES => Ok(Some(kid)),
            Some(_) => Err(TokenFailure::Invalid("key_id")),
        }
    }

    fn validation(&self, algorithm: Algorithm, has_issuer: bool) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.leeway = self.clock_skew.as_secs();
        validation.validate_nbf = true;
        validation.set_audience(&self.audiences);
        if has_issuer {
            validation.set_issuer(&[&self.iss]);
            validation.set_required_spec_claims(&["exp", "aud", "iss"]);
        } else {
            validation.set_required_spec_claims(&["exp", "aud"]);
        }
        validation
    }

    fn check_claims(&self, mut claims: Claims, generation: u64) -> Result<Verified, TokenFailure> {
        let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        let latest = Timestamp::now().as_second().saturating_add(seconds(self.clock_skew));
        if let Some(issued) = claims.iat.filter(|issued| *issued > latest) {
            let detail =
                format!("iat is {}, expected no later than {}", date(issued), date(latest));
            return Err(TokenFailure::Claim("issued_in_future", detail));
        }
        if let Some(longest) = self.max_lifetime {
            let lifetime = claims.iat.map(|issued| claims.exp.saturating_sub(issued));
            if lifetime.is_none_or(|lifetime| lifetime > seconds(longest)) {
                let longest = seconds(longest);
                let detail = match lifetime {
                    Some(lifetime) => {
                        format!("exp is {lifetime} s after iat, expected {longest} s at most")
                    }
                    None => format!("iat is missing, expected {longest} s before exp at most"),
                };
                return Err(TokenFailure::Claim("lifetime", detail));
            }
        }
        if claims.cnf {
            let detail = "cnf is present, expected none".to_owned();
            return Err(TokenFailure::Claim("bound_to_a_key", detail));
        }
        let all = claims.by_name();
        let scopes = scopes(&all, &self.scope_claims);
        self.check_purpose(&all, &scopes)?;
        let client = named([claims.client_id, claims.azp]);
        let identity = Identity::of(named([claims.sub]), client.clone());
        Ok(Verified {
            issuer: Arc::clone(&self.name),
            identity: identity.ok_or_else(|| {
                let detail = "sub is missing, and so are client_id and azp";
                TokenFailure::Claim("subject", detail.to_owned())
            })?,
            client,
            generation,
            scopes,
            claims: all,
            expires_at: Timestamp::from_second(claims.exp).unwrap_or(Timestamp::MAX),
        })
    }

    /// Refuses tokens of the same key that are not access tokens.
    fn check_purpose(
        &self,
        claims: &Map<String, Json>,
        scopes: &BTreeSet<String>,
    ) -> Result<(), TokenFailure> {
        let purpose = |detail: String| Err(TokenFailure::Claim("purpose", detail));
        let prefix = self.reject.scope_prefix.as_deref();
        if let Some(prefix) = prefix.filter(|it| scopes.iter().any(|s| s.starts_with(it))) {
            return purpose(format!("a scope begins with {}, which is refused", quoted(prefix)));
        }
        let present = self.reject.claims_present.iter().find(|name| claims.contains_key(*name));
        match present {
            Some(name) => purpose(format!("{name} is present, which is refused")),
            None => Ok(()),
        }
    }

    /// The claim that is wrong for `reason`, what it is and what is expected, for the log.
    fn wrong_claim(&self, reason: &str, claims: &Map<String, Json>) -> Option<String> {
        let value = |name: &str| claims.get(name).map_or_else(|| "missing".to_owned(), shown);
        let moment = |name: &str| match claims.get(name).and_then(Json::as_f64) {
            #[expect(clippy::cast_possible_truncation, reason = "saturates, far from any date")]
            Some(seconds) => date(seconds.floor() as i64),
            None => value(name),
        };
        let (now, skew) = (Timestamp::now().as_second(), self.clock_skew.as_secs());
        let now = || format!("now, {}, with {skew} s of clock skew", date(now));
        let all = |values: &[String]| any_of(values.iter().map(|it| quoted(it)));
        Some(match reason {
            "expired" => format!("exp is {}, expected after {}", moment("exp"), now()),
            "not_yet_valid" => format!("nbf is {}, expected before {}", moment("nbf"), now()),
            "audience" => format!("aud is {}, expected {}", value("aud"), all(&self.audiences)),
            "issuer" => format!("iss is {}, expected {}", value("iss"), quoted(&self.iss)),
            "missing_claim" => {
                let is_missing = |name: &&&str| claims.get(**name).is_none_or(Json::is_null);
                let name = ["exp", "aud", "iss"].iter().find(is_missing)?;
                let expected = match *name {
                    "aud" => all(&self.audiences),
                    "iss" => quoted(&self.iss),
                    _ => "a date".to_owned(),
                };
                format!("{name} is missing, expected {expected}")
            }
            "malformed" => {
                let is_number = |name: &&str| claims.get(*name).is_none_or(Json::is_number);
                let name = ["exp", "nbf", "iat"].into_iter().find(|name| !is_number(name))?;
                format!("{name} is {}, expected seconds since 1970", value(name))
            }
            _ => return None,
        })
    }
}

/// The claims of a token whose signature is verified already, although one of them is wrong.
fn payload(token: &str) -> Map<String, Json> {
    let payload = token.split('.').nth(1).unwrap_or_default();
    let payload = BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap_or_default();
    serde_json::from_slice(&payload).unwrap_or_default()
}

fn date(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |date| date.to_string())
}

/// The first of `claims` that is not empty.
fn named<const N: usize>(claims: [Option<String>; N]) -> Option<String> {
    claims.into_iter().flatten().find(|name| !name.is_empty())
}

/// # Errors
/// Why not, as a metric's label. If it is about a claim, the signature is that of a key.
fn decode(token: &str, keys: &[Key], validation: &Validation) -> Result<Claims, &'static str> {
    let mut failure = "unknown_key";
    for key in keys {
        match jsonwebtoken::decode::<Claims>(token, &key.decoding, validation) {
            Ok(decoded) => return Ok(decoded.claims),
            Err(error) => failure = reason(error.kind()),
        }
    }
    Err(failure)
}

/// The reason as a metric's label: a closed set.
fn reason(error: &ErrorKind) -> &'static str {
    match error {
        ErrorKind::InvalidSignature => "signature",
        ErrorKind::ExpiredSignature => "expired",
        ErrorKind::ImmatureSignature => "not_yet_valid",
        ErrorKind::InvalidAudience => "audience",
        ErrorKind::InvalidIssuer => "issuer",
        ErrorKind::MissingRequiredClaim(_) => "missing_claim",
        _ => "malformed",
    }
}

/// The scopes in `claims`: each claim is a space-separated string or a list.
fn scopes(claims: &serde_json::Map<String, Json>, names: &[String]) -> BTreeSet<String> {
    let mut scopes = BTreeSet::new();
    for claim in names.iter().filter_map(|name| claims.get(name)) {
        match claim {
            Json::String(list) => scopes.extend(list.split_whitespace().map(str::to_owned)),
            Json::Array(items) => {
                scopes.extend(items.iter().filter_map(Json::as_str).map(str::to_owned));
            }
            _ => {}
        }
    }
    scopes
}
